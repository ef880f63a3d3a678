"""What the command lines share: a flag for every setting, how errors are told, how to stop."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import FrameType
from typing import Any, NoReturn

from nst_core.engine.choices import CHOICES
from nst_core.errors import SettingsError
from nst_core.films.painter import QUALITIES, QUICK
from nst_core.presets import PRESETS
from nst_core.settings import DEFAULTS, SPECS, Settings, parse, spell
from nst_core.stop import StopToken

DONE, DIVERGED, BAD_INPUT, OUT_OF_MEMORY, SOME_FAILED, STOPPED = 0, 1, 2, 3, 4, 130


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[StopToken]:
    """A token that Ctrl-C and SIGTERM set, so that the work ends within a step.

    A second one raises `KeyboardInterrupt` at once.
    """
    stop = StopToken()

    def tell(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.stop()

    if threading.current_thread() is not threading.main_thread():  # who else may set handlers
        yield stop
        return
    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is for those who ask for it."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")


def add_preset(parser: Any) -> None:
    """The flag for settings that belong together."""
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help="settings that belong together; other flags overrule them",
    )


def add_quality(parser: Any) -> None:
    """The flag for how much of a film is painted."""
    known = "; ".join(f"{name}: {quality.help}" for name, quality in QUALITIES.items())
    parser.add_argument("--quality", choices=QUALITIES, default=QUICK, help=f"of films; {known}")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """A flag for every setting, in a group of their own."""
    group = parser.add_argument_group("settings", argument_default=argparse.SUPPRESS)
    for name in SPECS:
        _add_setting(group, name)


def read_settings(options: argparse.Namespace, base: Settings | None = None) -> Settings:
    """Those of the flags, on top of those of a preset, of `base` or the defaults."""
    values: dict[str, Any] = {}
    if options.preset:
        values |= PRESETS[options.preset].changes
    if base:
        values |= base.to_dict()
    given = {name: getattr(options, name) for name in SPECS if hasattr(options, name)}
    if "steps" in given and "time_budget" not in given:
        values["time_budget"] = None  # whoever asks for steps does not mean a preset's time
    return Settings.from_dict(values | given)


def read_film_settings(options: argparse.Namespace) -> Settings:
    """The same for films; a preset's time is that of one picture, and no film's."""
    settings = read_settings(options)
    is_asked_for = hasattr(options, "time_budget")
    return settings if is_asked_for else replace(settings, time_budget=None)


def weights(text: str) -> list[float]:
    """Weights of paintings like 2,1; for `argparse`."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of weights like 2,1") from None


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
