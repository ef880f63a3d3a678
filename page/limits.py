"""What strangers may use of this machine: every limit, once, and what a host sets it by.

`NST_REQUEST_BYTES=8e6 python app.py` sets `request_bytes`, and so on for all. The page's errors
name these numbers, and `SECURITY.md` has them as a table.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from nst_core.errors import SettingsError

PREFIX = "NST_"  # of the environment's variables


def _limit(default: float, help: str, unit: str = "", *, may_be_none: bool = False) -> float:
    notes = {"help": help, "unit": unit, "may_be_none": may_be_none}
    found: float = dataclasses.field(default=default, metadata=notes)
    return found


@dataclass(frozen=True)
class Limits:
    """Numbers above 0, or 0 where that is said; of a client means of a network address."""

    # Bodies, before anything of them is looked at. A call's is kept in memory, some three times
    # over, until it is answered; an upload goes to the disk as it comes.
    request_bytes: float = _limit(16e6, "a call, the pictures inside of it (base64) included", "B")
    upload_bytes: float = _limit(50e6, "an upload", "B")
    frame_bytes: float = _limit(300e3, "a camera's frame, which has some 30 kB", "B")
    other_bytes: float = _limit(100e3, "whatever else is sent", "B")
    waiting_bytes: float = _limit(128e6, "all calls that are not answered; of a client half", "B")
    body_seconds: float = _limit(30, "a body may take, and longer as it grows by the next", "s")
    body_pace: float = _limit(10e3, "the least that a body may grow in a second", "B")
    # Rates. A talk's whole audience has one address, and comes at once.
    bytes_at_once: float = _limit(500e6, "of a client at once, uploads and calls together", "B")
    bytes_per_second: float = _limit(2e6, "of a client in the long run, every second", "B")
    requests_at_once: float = _limit(500, "requests of a client at once, without mere reading")
    requests_per_second: float = _limit(20, "and in the long run, every second")
    # The queue.
    events: float = _limit(500, "calls that are not answered; of a client half")
    waiting: float = _limit(32, "pictures that wait to be painted; of a client half")
    turn_seconds: float = _limit(600, "a picture may be painted for", "s")
    clip_seconds: float = _limit(20, "of a clip", "s")
    film_seconds: float = _limit(3600, "a film may be painted for, in turns", "s")
    unread_seconds: float = _limit(10, "work goes on when nobody reads its answers", "s")
    mirrors: float = _limit(
        3, "cameras that are painted at once; 0 for no mirror", may_be_none=True
    )
    # What is kept. Of 16 GB of memory, TensorFlow and the networks take 1, the largest run 6, and
    # reading a hostile picture 1: of the 8 that are left, these take 4. At 512 px, a painting has
    # some 15 MB of pictures and 45 MB of its optimizer's memory; at 2048 px 200 and 730.
    picture_bytes: float = _limit(2e9, "pictures of paintings that are kept in memory", "B")
    optimizer_bytes: float = _limit(2e9, "their optimizers' memories", "B")
    file_bytes: float = _limit(2e9, "files of visitors", "B")
    disk_reserve: float = _limit(1e9, "the disk is left, or no upload is taken", "B")
    age_seconds: float = _limit(
        6 * 3600, "anything of a visitor stays, in memory and on the disk", "s"
    )

    def __post_init__(self) -> None:
        """Raise `SettingsError` for what is no number above 0."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            is_enough = value > 0 or (value == 0 and field.metadata["may_be_none"])
            if not (math.isfinite(value) and is_enough):
                raise _wrong(field.name, value)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Limits:
        """The limits as an environment sets them; raises `SettingsError`, naming the variable."""
        values = {}
        for field in dataclasses.fields(cls):
            text = environment.get(variable(field.name))
            if text is not None:
                try:
                    values[field.name] = float(text)
                except ValueError:
                    raise _wrong(field.name, text) from None
        return cls(**values)


def variable(name: str) -> str:
    """What a host sets a limit by."""
    return PREFIX + name.upper()


def _wrong(name: str, value: object) -> SettingsError:
    return SettingsError(
        "{name} is {value!r}, but must be a number above 0, like 16e6; or leave it out.",
        name=variable(name),
        value=value,
    )


def in_words(amount: float, unit: str) -> str:
    """An amount with its unit, like "16 MB", "100 kB", "6 h" or "500"."""
    steps = {"B": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")), "s": ((3600, "h"), (1, "s"))}
    size, name = next(((s, n) for s, n in steps.get(unit, ()) if amount >= s), (1, unit))
    return f"{amount / size:.3g} {name}".strip()


def table() -> str:
    """All limits with their defaults, as Markdown."""
    defaults = dataclasses.asdict(Limits())
    rows = [
        f"| `{variable(field.name)}` | {in_words(defaults[field.name], field.metadata['unit'])} "
        f"| {field.metadata['help']} |"
        for field in dataclasses.fields(Limits)
    ]
    return "\n".join(["| Variable | Default | Of |", "|---|---|---|", *rows])


def one_client(host: str) -> str:
    """Whom a network address counts as: of IPv6 one network of 64 bits, which one visitor has."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


LIMITS = Limits.of(os.environ)
