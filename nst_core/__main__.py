"""The command line: `python -m nst_core CONTENT STYLE -o OUT.png`, a flag per field of `Settings`.

Progress goes to standard error; with `--json` one JSON object goes to standard output. Exit codes:
0 done, 1 the run diverged (the last good picture is written), 2 bad input (nothing is written),
130 stopped by Ctrl-C (the picture so far is written).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from nst_core import __version__, film, images, recipe
from nst_core.features import WeightsError
from nst_core.film import FilmError, Reel
from nst_core.images import ImageError
from nst_core.presets import PRESETS
from nst_core.preview import PreviewError
from nst_core.settings import DEFAULTS, SPECS, Settings, SettingsError, parse, spell
from nst_core.transfer import CHOICES, DivergenceError, Frame, stream

DONE, DIVERGED, BAD_INPUT, STOPPED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is for those who ask for it."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser, its flags derived from `Settings`."""
    parser = _Parser(
        prog="python -m nst_core", description="Paint a photo in the style of a painting."
    )
    parser.add_argument("content", metavar="CONTENT", help="the photo")
    parser.add_argument("style", metavar="STYLE", help="the painting")
    endings = ", ".join(sorted(images.WRITABLE))
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True, type=Path, help=f"the result ({endings})"
    )
    endings = ", ".join(sorted(film.FORMATS))
    parser.add_argument(
        "--film", metavar="FILM", type=Path, help=f"also write a film of the run ({endings})"
    )
    base = parser.add_mutually_exclusive_group()
    base.add_argument(
        "--preset",
        choices=PRESETS,
        help="settings that belong together; other flags overrule them",
    )
    base.add_argument(
        "--recipe",
        metavar="PNG",
        type=Path,
        help="take the settings from a PNG that was painted before; other flags overrule them",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT and FILM if they exist")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    parser.add_argument("--version", action="version", version=__version__)
    group = parser.add_argument_group("settings")
    for name in SPECS:
        _add_setting(group, name)
    return parser


def _add_setting(group: Any, name: str) -> None:
    spec, default = SPECS[name], DEFAULTS[name]
    flag = "--" + name.replace("_", "-")
    text = _help_text(name)
    if isinstance(default, bool):
        group.add_argument(flag, dest=name, action=argparse.BooleanOptionalAction, help=text)
        return
    metavar = spec.unit.upper() or name.split("_")[-1].upper()
    group.add_argument(flag, dest=name, metavar=metavar, type=_converter(name), help=text)


def _help_text(name: str) -> str:
    spec, default = SPECS[name], DEFAULTS[name]
    parts = [spec.help]
    if isinstance(default, str) and name in CHOICES:
        parts.append(f"one of {', '.join(CHOICES[name])}")
    if default is not None and not isinstance(default, bool):
        parts.append(f"default {spell(default)}")
    return "; ".join(parts).replace("%", "%%")


def _converter(name: str) -> Any:
    def convert(text: str) -> Any:
        try:
            return parse(name, text)
        except SettingsError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        settings = _settings(options)
        images.writable_format(options.output)
        _check_output(options.output, options.force)
        if options.film:
            film.writer(options.film)
            _check_output(options.film, options.force)
        frames = stream(options.content, options.style, settings)
        notes = {recipe.KEY: recipe.make(options.content, options.style, settings).to_json()}
    except (ImageError, SettingsError, WeightsError, PreviewError, FilmError, OSError) as error:
        parser.error(str(error))
    reel = Reel()
    frame, code = _follow(_onto(reel, frames) if options.film else frames)
    try:
        images.save(frame.to_pil(), options.output, notes)
        if options.film:
            film.save(reel, options.film)
    except OSError as error:
        parser.error(f"the picture could not be written: {error}")
    if options.json:
        print(json.dumps(_outcome(options.output, frame, settings)))
    return code


def _settings(options: argparse.Namespace) -> Settings:
    """Those of the flags, on top of those of a preset, a recipe or the defaults."""
    values: dict[str, Any] = {}
    if options.preset:
        values |= PRESETS[options.preset].changes
    if options.recipe:
        values |= recipe.read(options.recipe).settings.to_dict()
    given = {name: getattr(options, name) for name in SPECS}
    values |= {name: value for name, value in given.items() if value is not None}
    return Settings.from_dict(values)


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
