"""The command line: `python -m nst_core CONTENT STYLE... -o OUT.png`.

It has a flag for every field of `Settings`. `python -m nst_core batch` is in `batch.py`, and
`python -m nst_core video` in `video.py`, `python -m nst_core explain` in `explain.py`.

Progress goes to standard error; with `--json` one JSON object goes to standard output. Exit codes:
0 done, 1 the run diverged (the last good picture is written), 2 bad input (nothing is written),
3 out of memory and 130 stopped by Ctrl-C or SIGTERM (the picture so far is written).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nst_core import recipe
from nst_core.cli import batch, explain, flags, video
from nst_core.cli.flags import (
    BAD_INPUT,
    DIVERGED,
    DONE,
    OUT_OF_MEMORY,
    STOPPED,
    Parser,
    stopped_by_signals,
)
from nst_core.engine.easel import stream
from nst_core.engine.frame import Frame
from nst_core.engine.plan import Plan
from nst_core.errors import DivergenceError, ImageError, NSTError, SettingsError
from nst_core.pictures import film, images
from nst_core.pictures.film import ThinnedFrames
from nst_core.pictures.images import ImageSource
from nst_core.pictures.regions import MAX_PAINTINGS, Style
from nst_core.recipe import Recipe
from nst_core.settings import Settings
from nst_core.stop import StopToken
from nst_core.version import __version__

# The first word of a command line of its own.
COMMANDS = {batch.NAME: batch.main, explain.NAME: explain.main, video.NAME: video.main}


def make_parser() -> Parser:
    """The parser, its flags derived from `Settings`."""
    parser = Parser(
        prog="python -m nst_core",
        description="Paint a photo in the style of a painting.",
        epilog=f"Many at once: python -m nst_core {batch.NAME} --help. "
        f"Clips: python -m nst_core {video.NAME} --help",
    )
    parser.add_argument("content", metavar="CONTENT", help="the photo")
    parser.add_argument(
        "style", metavar="STYLE", nargs="+", help=f"the painting, or up to {MAX_PAINTINGS} to mix"
    )
    endings = ", ".join(sorted(images.WRITABLE))
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True, type=Path, help=f"the result ({endings})"
    )
    endings = ", ".join(sorted(film.FORMATS))
    parser.add_argument(
        "--film", metavar="FILM", type=Path, help=f"also write a film of the run ({endings})"
    )
    parser.add_argument(
        "--mix", metavar="W,W,...", type=flags.weights, help="weights of the paintings, like 2,1"
    )
    parser.add_argument(
        "--mask",
        metavar="N=FILE",
        type=_numbered,
        action="append",
        help="painting N, from 1, only where this picture is white; once for each painting. "
        "One without applies where no mask is; if all have one, the rest stays as in the photo",
    )
    parser.add_argument(
        "--keep", metavar="FILE", type=Path, help="leave the photo as it is where this is white"
    )
    parser.add_argument(
        "--canvas", metavar="FILE", type=Path, help="a picture to start from, instead of --init"
    )
    base = parser.add_mutually_exclusive_group()
    flags.add_preset(base)
    base.add_argument(
        "--recipe",
        metavar="PNG",
        type=Path,
        help="take settings, weights and masks from a PNG that was painted before; other flags "
        "overrule them. With the same pictures and no other setting, the same picture is painted",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT and FILM if they exist")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    parser.add_argument("--version", action="version", version=__version__)
    flags.add_settings(parser)
    return parser


def _numbered(text: str) -> tuple[int, Path]:
    number, _, path = text.partition("=")
    if not (number.isdecimal() and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 2=mask.png")
    return int(number), Path(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:])
    parser = make_parser()
    options = parser.parse_args(arguments)
    with stopped_by_signals() as stop:
        try:
            return _paint(parser, options, stop)
        except KeyboardInterrupt:  # the second Ctrl-C
            return STOPPED


def _paint(parser: Parser, options: argparse.Namespace, stop: StopToken) -> int:
    """Check everything, paint, and write the results; returns the exit code."""
    try:
        base = recipe.read(options.recipe) if options.recipe else None
        settings = flags.read_settings(options, base.settings if base else None)
        styles, keep = _styles(options, base)
        _check_outputs(options)
        made = recipe.make(options.content, styles, settings, keep, options.canvas)
        plan = _same_plan(base, made)
        frames = stream(
            options.content, styles, settings, keep, canvas=options.canvas, plan=plan, stop=stop
        )
    except (NSTError, OSError) as error:
        parser.error(str(error))
    thinned = ThinnedFrames()
    frame, code = _follow(_onto(thinned, frames) if options.film else frames, stop)
    if frame is None:
        return code
    try:
        notes = {recipe.KEY: replace(made, plan=frame.plan.up_to(frame.step)).to_json()}
        images.save(frame.to_pil(), options.output, notes)
    except OSError as error:
        parser.error(f"the picture could not be written: {error}")
    if options.film:
        try:
            film.save(thinned, options.film)
        except OSError as error:
            parser.error(f"the film could not be written, the picture was: {error}")
    if options.json:
        print(json.dumps(_outcome(options.output, frame, settings)))
    return code


def _same_plan(base: Recipe | None, made: Recipe) -> Plan | None:
    """The plan of a recipe that is to be painted again as it was; None for any other run."""
    if base is None:
        return None
    different = [text for is_so, text in _differences(base, made) if is_so]
    for text in different:
        tqdm.write(f"The recipe's picture {text}; this one will differ.", file=sys.stderr)
    return base.plan if not different and base.is_same_picture(made) else None


def _differences(base: Recipe, made: Recipe) -> list[tuple[bool, str]]:
    """What of a recipe is not done again, and whether it has it."""
    canvas = base.canvas.name if base.canvas else ""
    return [
        (base.blend != 1, "was blended with the photo"),
        (bool(base.before), "was stopped and resumed"),
        (
            base.canvas is not None and made.canvas is None,
            f"was started from another one, {canvas!r}, which --canvas can give",
        ),
    ]


def _styles(
    options: argparse.Namespace, base: Recipe | None
) -> tuple[list[Style], ImageSource | None]:
    """The paintings with their weights and masks, and what to keep."""
    styles, keep = [Style(path) for path in options.style], options.keep
    if base:
        styles, kept = base.styles(options.style)
        keep = keep or kept
    if options.mix:
        if len(options.mix) != len(styles):
            raise SettingsError(
                f"--mix has {len(options.mix)} weights for {len(styles)} paintings."
            )
        pairs = zip(styles, options.mix, strict=True)
        styles = [replace(style, weight=weight) for style, weight in pairs]
    for number, path in options.mask or []:
        if not 1 <= number <= len(styles):
            raise SettingsError(f"--mask {number}={path}: there is no painting {number}.")
        styles[number - 1] = replace(styles[number - 1], mask=path)
    return styles, keep


def _onto(thinned: ThinnedFrames, frames: Iterator[Frame]) -> Iterator[Frame]:
    """The same frames, filmed."""
    for frame in frames:
        thinned.add(frame.image)
        yield frame


def _follow(frames: Iterator[Frame], stop: StopToken) -> tuple[Frame | None, int]:
    """Show the progress; returns the last good frame, if there is any, and the exit code."""
    frame = None
    with tqdm(unit="step", file=sys.stderr) as bar:
        try:
            for frame in frames:
                if frame.step == 0 and frame.notice:
                    tqdm.write(frame.notice, file=sys.stderr)
                if frame.losses:
                    bar.set_postfix(loss=f"{frame.losses['total']:.3g}", refresh=False)
                bar.total = frame.total_steps
                bar.update(frame.step - bar.n)
        except DivergenceError as error:
            tqdm.write(f"error: {error}", file=sys.stderr)
            return error.frame, DIVERGED
        except NSTError as error:
            tqdm.write(f"error: {error}", file=sys.stderr)
            return frame, OUT_OF_MEMORY if isinstance(error, MemoryError) else BAD_INPUT
        except KeyboardInterrupt:  # the second Ctrl-C
            stop.stop()
    if not stop.is_set() or (frame and frame.done):
        return frame, DONE
    kept = "the picture so far is kept" if frame else "nothing was painted yet"
    tqdm.write(f"Stopped; {kept}.", file=sys.stderr)
    return frame, STOPPED


def _check_outputs(options: argparse.Namespace) -> None:
    """Find out before the work whether the results can be written."""
    images.writable_format(options.output)
    _check_output(options.output, options.force)
    if options.film:
        film.writer(options.film)
        _check_output(options.film, options.force)
        if options.film.resolve() == options.output.resolve():
            raise ImageError("--film has the name of the picture; give another one.")


def _check_output(output: Path, force: bool) -> None:
    if output.is_dir():
        raise ImageError(f"{str(output)!r} is a folder; give the name of a file.")
    if output.exists() and not force:
        raise ImageError(f"{str(output)!r} exists; give another name, or --force to replace it.")
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        raise ImageError(f"The folder {str(output.parent)!r} does not exist or cannot be written.")


def _outcome(output: Path, frame: Frame, settings: Settings) -> dict[str, Any]:
    height, width, _ = frame.image.shape
    return {
        "output": str(output),
        "width": width,
        "height": height,
        "steps": frame.step,
        "seconds": round(frame.elapsed, 3),
        "losses": frame.losses,
        "settings": settings.to_dict(),
    }
