"""The command line of a batch: `python -m nst_core batch PHOTOS PAINTINGS -o FOLDER`.

Every photo and clip in the style of every painting, or the jobs of a table. Progress goes to
standard error; with `--json` one JSON object goes to standard output. Exit codes: 0 all is there, 2
bad input (nothing is painted), 4 some failed (the summary says why), 130 stopped by Ctrl-C. Started
again, it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from nst_core.cli import flags
from nst_core.cli.flags import DONE, SOME_FAILED, STOPPED, Parser, stopped_by_signals
from nst_core.engine.choices import check_choices
from nst_core.errors import BatchError, SettingsError
from nst_core.many import batch
from nst_core.many.batch import Outcome, PaintAll, Task
from nst_core.settings import Settings

NAME = "batch"

SUMMARY_INTERVAL = 1.0  # s, between two summaries on the way


def make_parser() -> argparse.ArgumentParser:
    """The parser, its flags derived from `Settings`."""
    parser = Parser(
        prog=f"python -m nst_core {NAME}",
        description="Paint every photo and clip of a folder in the style of every painting of "
        "another, or the jobs of a table. Started again, it goes on where it was stopped.",
    )
    parser.add_argument(
        "photos", metavar="PHOTOS", nargs="?", type=Path, help="folder of photos and clips"
    )
    parser.add_argument(
        "paintings", metavar="PAINTINGS", nargs="?", type=Path, help="folder of paintings"
    )
    columns = ", ".join(batch.COLUMNS)
    parser.add_argument(
        "--jobs",
        metavar="CSV",
        type=Path,
        help=f"a table instead of folders, a row for each picture; columns: {columns} and any "
        "setting. Several paintings stand between semicolons",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        required=True,
        type=Path,
        help=f"where the pictures go, and {batch.SUMMARY}",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="paint on a Ray cluster, like 10.0.0.1:6379, or 'local' for one on this machine",
    )
    flags.add_quality(parser)
    parser.add_argument("--force", action="store_true", help="paint again what is there")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    flags.add_preset(parser)
    flags.add_settings(parser)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        settings = flags.read_settings(options)
        check_choices(settings)
        tasks = _tasks(options, settings, flags.read_film_settings(options))
        options.output.mkdir(parents=True, exist_ok=True)
        paint_all = _painter(options.ray)
    except (BatchError, SettingsError, OSError) as error:
        parser.error(str(error))
    is_there = (lambda task: False) if options.force else batch.is_painted
    began = time.monotonic()
    outcomes = [batch.to_do(task) for task in tasks]
    with stopped_by_signals() as stop:
        try:
            _follow(batch.run(tasks, paint_all, is_there, stop), outcomes, options.output)
        except KeyboardInterrupt:  # the second Ctrl-C
            stop.stop()
        except (BatchError, OSError) as error:
            parser.error(str(error))
    if stop.is_set():
        tqdm.write("Stopped; start it again to go on.", file=sys.stderr)
    counts = collections.Counter(outcome.outcome for outcome in outcomes)
    if options.json:
        summary = str(options.output / batch.SUMMARY)
        seconds = round(time.monotonic() - began, 3)
        print(json.dumps({"summary": summary, "seconds": seconds, "outcomes": counts}))
    if stop.is_set():
        return STOPPED
    return SOME_FAILED if counts[batch.FAILED] else DONE


def _tasks(
    options: argparse.Namespace, settings: Settings, film_settings: Settings
) -> Sequence[Task | Outcome]:
    wanted = options.output, settings, options.quality, film_settings
    if options.jobs and not options.photos:
        return batch.from_table(options.jobs, *wanted)
    if options.jobs or not options.paintings:
        raise BatchError("Give a folder of photos and one of paintings, or --jobs with a table.")
    return batch.from_folders(options.photos, options.paintings, *wanted)


def _painter(address: str | None) -> PaintAll:
    if address is None:
        return batch.paint_here
    from nst_core.many.cluster import painter  # Ray is an extra

    return painter(address)


def _follow(ended: Iterator[tuple[int, Outcome]], outcomes: list[Outcome], folder: Path) -> None:
    """Enter what ends into `outcomes`, show it, and keep the summary up to date."""
    written = time.monotonic()
    try:
        with tqdm(total=len(outcomes), unit="picture", file=sys.stderr) as bar:
            for number, outcome in ended:
                outcomes[number] = outcome
                if outcome.outcome == batch.FAILED:
                    what = outcome.output or outcome.content
                    tqdm.write(f"{what}: failed: {outcome.reason}", file=sys.stderr)
                bar.update()
                if time.monotonic() - written > SUMMARY_INTERVAL:
                    batch.save_summary(outcomes, folder)
                    written = time.monotonic()
    finally:
        batch.save_summary(outcomes, folder)
