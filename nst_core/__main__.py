"""The command line: `python -m nst_core CONTENT STYLE... -o OUT.png`.

It has a flag for every field of `Settings`. `python -m nst_core batch` is in `batch_command.py`.

Progress goes to standard error; with `--json` one JSON object goes to standard output. Exit codes:
0 done, 1 the run diverged (the last good picture is written), 2 bad input (nothing is written),
3 out of memory and 130 stopped by Ctrl-C (the picture so far is written).
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

from nst_core import __version__, batch_command, film, flags, images, recipe
from nst_core.features import WeightsError
from nst_core.film import FilmError, Reel
from nst_core.flags import DIVERGED, DONE, OUT_OF_MEMORY, STOPPED, Parser
from nst_core.images import ImageError, ImageSource
from nst_core.preview import PreviewError
from nst_core.recipe import Recipe
from nst_core.regions import MOST_PAINTINGS, Style
from nst_core.settings import Settings, SettingsError
from nst_core.transfer import DivergenceError, Frame, stream


def make_parser() -> argparse.ArgumentParser:
    """The parser, its flags derived from `Settings`."""
    parser = Parser(
        prog="python -m nst_core",
        description="Paint a photo in the style of a painting.",
        epilog=f"Many at once: python -m nst_core {batch_command.NAME} --help",
    )
    parser.add_argument("content", metavar="CONTENT", help="the photo")
    parser.add_argument(
        "style", metavar="STYLE", nargs="+", help=f"the painting, or up to {MOST_PAINTINGS} to mix"
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
        "One without rules where no mask is; if all have one, the rest stays as in the photo",
    )
    parser.add_argument(
        "--keep", metavar="FILE", type=Path, help="leave the photo as it is where this is white"
    )
    base = parser.add_mutually_exclusive_group()
    flags.add_preset(base)
    base.add_argument(
        "--recipe",
        metavar="PNG",
        type=Path,
        help="take settings, weights and masks from a PNG that was painted before; other flags "
        "overrule them",
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
    if arguments[:1] == [batch_command.NAME]:
        return batch_command.main(arguments[1:])
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        base = recipe.read(options.recipe) if options.recipe else None
        settings = flags.read_settings(options, base.settings if base else None)
        styles, keep = _styles(options, base)
        images.writable_format(options.output)
        _check_output(options.output, options.force)
        if options.film:
            film.writer(options.film)
            _check_output(options.film, options.force)
        frames = stream(options.content, styles, settings, keep)
        made = recipe.make(options.content, styles, settings, keep)
    except (ImageError, SettingsError, WeightsError, PreviewError, FilmError, OSError) as error:
        parser.error(str(error))
    reel = Reel()
    frame, code = _follow(_onto(reel, frames) if options.film else frames)
    try:
        images.save(frame.to_pil(), options.output, {recipe.KEY: made.to_json()})
        if options.film:
            film.save(reel, options.film)
    except OSError as error:
        parser.error(f"the picture could not be written: {error}")
    if options.json:
        print(json.dumps(_outcome(options.output, frame, settings)))
    return code


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


def _onto(reel: Reel, frames: Iterator[Frame]) -> Iterator[Frame]:
    """The same frames, filmed."""
    for frame in frames:
        reel.add(frame.image)
        yield frame


def _follow(frames: Iterator[Frame]) -> tuple[Frame, int]:
    """Show the progress; returns the last good frame and the exit code."""
    frame = next(frames)
    if frame.notice:
        tqdm.write(frame.notice, file=sys.stderr)
    with tqdm(total=frame.total_steps, unit="step", file=sys.stderr) as bar:
        try:
            for frame in frames:
                if frame.losses:
                    bar.set_postfix(loss=f"{frame.losses['total']:.3g}", refresh=False)
                bar.total = frame.total_steps
                bar.update(frame.step - bar.n)
        except DivergenceError as error:
            tqdm.write(f"error: {error}", file=sys.stderr)
            return error.frame, DIVERGED
        except MemoryError as error:
            tqdm.write(f"error: {error}", file=sys.stderr)
            return frame, OUT_OF_MEMORY
        except KeyboardInterrupt:
            tqdm.write("Stopped; the picture so far is kept.", file=sys.stderr)
            return frame, STOPPED
    return frame, DONE


def _check_output(output: Path, force: bool) -> None:
    """Find out before the work whether the result can be written."""
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


if __name__ == "__main__":
    sys.exit(main())
