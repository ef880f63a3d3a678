"""The command line of films: `python -m nst_core video CLIP STYLE... -o OUT.mp4`.

OUT.mp4 plays at any moment, as far as it is painted. Progress goes to standard error; with `--json`
one JSON object goes to standard output. Exit codes: 0 the film is done, 1 a step diverged, 2 bad
input, 3 out of memory, 130 stopped by Ctrl-C or SIGTERM; whatever it is, the film so far is kept.
Started again, it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from nst_core.cli import flags
from nst_core.cli.flags import (
    BAD_INPUT,
    DIVERGED,
    DONE,
    OUT_OF_MEMORY,
    STOPPED,
    Parser,
    stopped_by_signals,
)
from nst_core.errors import DivergenceError, NSTError, OutOfMemoryError, SettingsError
from nst_core.films.clip import LIMITS
from nst_core.films.painter import FILM_SIZE, Film, FilmFrame
from nst_core.pictures.regions import MAX_PAINTINGS, Style
from nst_core.stop import StopToken

NAME = "video"

# What ends a film before its time -> the exit code.
ENDS: dict[type[Exception], int] = {
    DivergenceError: DIVERGED,
    OutOfMemoryError: OUT_OF_MEMORY,
    NSTError: BAD_INPUT,
    OSError: BAD_INPUT,
}


def make_parser() -> Parser:
    """The parser, its flags derived from `Settings`."""
    parser = Parser(
        prog=f"python -m nst_core {NAME}",
        description="Paint a clip in the style of a painting, with its sound. Started again, it "
        "goes on where it was stopped.",
    )
    parser.add_argument("clip", metavar="CLIP", type=Path, help="the clip, of an hour at most")
    parser.add_argument(
        "style", metavar="STYLE", nargs="+", help=f"the painting, or up to {MAX_PAINTINGS} to mix"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True, type=Path, help="the film, an MP4 or MOV"
    )
    flags.add_quality(parser)
    parser.add_argument(
        "--mix", metavar="W,W,...", type=flags.weights, help="weights of the paintings, like 2,1"
    )
    parser.add_argument("--force", action="store_true", help="replace OUT, or begin it anew")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    flags.add_preset(parser)
    flags.add_settings(parser)
    parser.epilog = f"Without --size the long side is {FILM_SIZE} px; no clip is enlarged."
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    with stopped_by_signals() as stop:
        try:
            film = Film(
                options.clip,
                _styles(options),
                options.output,
                flags.read_film_settings(options),
                options.quality,
                limits=LIMITS,
                overwrite=options.force,
            )
        except (NSTError, OSError) as error:
            parser.error(str(error))
        frame, code = _follow(film, stop)
    if options.json:
        print(json.dumps(_outcome(film, frame)))
    return code


def _styles(options: argparse.Namespace) -> list[Style]:
    mix = options.mix or [1.0] * len(options.style)
    if len(mix) != len(options.style):
        raise SettingsError(f"--mix has {len(mix)} weights for {len(options.style)} paintings.")
    return [Style(path, weight) for path, weight in zip(options.style, mix, strict=True)]


def _follow(film: Film, stop: StopToken) -> tuple[FilmFrame | None, int]:
    """Show the progress; returns the last frame, if there is any, and the exit code."""
    frame, code = None, DONE
    with tqdm(unit="frame", file=sys.stderr) as bar:
        try:
            for frame in film.paint(stop):
                bar.total = frame.total
                bar.update(frame.number + 1 - bar.n)
                if frame.eta is not None:
                    bar.set_postfix(left=f"{frame.eta:.0f} s")
        except KeyboardInterrupt:  # the second Ctrl-C
            stop.stop()
        except tuple(ENDS) as error:
            tqdm.write(f"error: {error}", file=sys.stderr)
            code = next(code for kind, code in ENDS.items() if isinstance(error, kind))
    if stop.is_set() and not (frame and frame.done):
        kept = "the film so far is kept; start it again to go on" if frame else "no frame was done"
        tqdm.write(f"Stopped; {kept}.", file=sys.stderr)
        code = STOPPED
    return frame, code


def _outcome(film: Film, frame: FilmFrame | None) -> dict[str, object]:
    width, height = film.size
    return {
        "output": str(film.path),
        "width": width,
        "height": height,
        "frames": frame.number + 1 if frame else 0,
        "total": frame.total if frame else None,
        "seconds": round(frame.elapsed, 3) if frame else 0.0,
    }
