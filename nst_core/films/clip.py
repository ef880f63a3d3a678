"""A clip: its frames as they are seen, upright, in the order they are shown in, with their times.

Whatever a phone, a camera or an editor writes is brought to one form: uint8 RGB, turned as its
display matrix says, square pixels, transparency laid on `PAPER`, even sides. What cannot be is a
`ClipError` that says what arrived and what is accepted. What a file declares is looked at before
anything is decoded.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nst_core.errors import ClipError
from nst_core.pictures.images import MINIMUM_SIDE, PAPER
from nst_core.sentence import Sentence

ClipSource = str | os.PathLike[str]

READABLE_TEXT = Sentence("MP4, MOV, WebM, MKV or AVI")

# FFmpeg's names of the containers that are read. Others are refused: playlists open other files,
# and pictures are no clips.
READABLE = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg,flv,nut,asf,gif"

FALLBACK_RATE = Fraction(25)  # frames a second, where a file tells neither times nor a rate
HD_HEIGHT = 720  # rows from which on colours that are not told are those of HD television


@dataclass(frozen=True)
class Limits:
    """What a clip may have; a page has tighter ones than a command line."""

    seconds: float = 3600.0
    pixels: int = 4096 * 2304  # of a frame
    bytes: int = 4 * 10**9  # of the file

    def check_seconds(self, seconds: float, name: str) -> None:
        """Raise `ClipError` for a clip that is longer."""
        if seconds > self.seconds:
            raise ClipError(
                "{name!r} is {seconds:.1f} s long, but {most:g} s are the most; cut it and try "
                "again.",
                name=name,
                seconds=seconds,
                most=self.seconds,
            )


LIMITS = Limits()


class ClipFrame(NamedTuple):
    """One frame of a clip."""

    number: int  # from 0
    time: int  # when it is shown, in `Clip.time_base` from the first frame on
    pixels: np.ndarray  # uint8 [H, W, 3]


@dataclass(frozen=True)
class Clip:
    """What is known of a clip before it is decoded."""

    path: Path
    width: int  # as it is seen, upright and with square pixels
    height: int
    rate: Fraction  # frames a second, a mean
    time_base: Fraction  # s
    seconds: float  # as declared; 0 where it is not
    has_sound: bool

    def size_at(self, side: int) -> tuple[int, int]:
        """Width and height in pixels with a long side of `side` at most; both even, as H.264 needs.

        Raises `ClipError` for a clip that would be too narrow.
        """
        factor = min(1.0, side / max(self.width, self.height))
        width, height = (2 * round(own * factor / 2) for own in (self.width, self.height))
        if min(width, height) < MINIMUM_SIDE:
            raise ClipError(
                "{name!r} has {before} pixels, which become {after} at size {size}; every side "
                "needs {least}.",
                name=self.path.name,
                before=f"{self.width} x {self.height}",
                after=f"{width} x {height}",
                size=side,
                least=MINIMUM_SIDE,
            )
        return width, height

    def frames(self, size: tuple[int, int]) -> Iterator[ClipFrame]:
        """All frames, width and height as in `size`, one at a time.

        Two that are to be shown at once, or in the wrong order, count as one. Raises `ClipError`
        where the file is damaged.
        """
        number, last, first = 0, -1, None
        with opened(self.path) as container, _decoding_errors(self.path):
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                time = _time_of(frame, stream, number, self.rate)
                first = time if first is None else first
                if time - first > last:
                    last = time - first
                    yield ClipFrame(number, last, _pixels(frame, size))
                    number += 1


def probe(source: ClipSource, limits: Limits = LIMITS) -> Clip:
    """What is known of a clip before it is decoded.

    Raises `ClipError` for what is none, or is larger or longer than `limits`.
    """
    path = Path(source)
    if not path.is_file():
        raise ClipError("There is no clip {path!r}.", path=str(path))
    size = path.stat().st_size
    if size == 0:
        raise ClipError(
            "{name!r} is empty; a clip in {formats} is needed.",
            name=path.name,
            formats=READABLE_TEXT,
        )
    if size > limits.bytes:
        raise ClipError(
            "{name!r} has {megabytes:.0f} MB, but {most:g} MB are the most; cut it and try again.",
            name=path.name,
            megabytes=size / 1e6,
            most=limits.bytes / 1e6,
        )
    with opened(path) as container:
        if not container.streams.video:
            raise ClipError("{name!r} has no picture, only sound; give a clip.", name=path.name)
        stream = container.streams.video[0]
        if stream.codec_context is None:  # damaged, or of a codec that nobody knows
            raise ClipError(
                "{name!r} has a picture that cannot be decoded; export it again, as {formats}.",
                name=path.name,
                formats=READABLE_TEXT,
            )
        _check_sides(stream.width, stream.height, limits, path.name)
        seconds = float(container.duration or 0) / 1e6
        limits.check_seconds(seconds, path.name)
        width, height = _seen_size(path, stream)
        return Clip(
            path,
            width,
            height,
            stream.average_rate or stream.guessed_rate or FALLBACK_RATE,
            stream.time_base,
            seconds,
            sound_of(container) is not None,
        )


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A container to read from; raises `ClipError` for what is none, or of another kind."""
    import av  # here, because it takes a quarter of a second

    try:
        # The list is FFmpeg's own gate, so that nothing in a file can open another one.
        options = {"format_whitelist": READABLE, "protocol_whitelist": "file"}
        container = av.open(path, container_options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ClipError(
            "{name!r} is not a clip that can be read; {formats} is needed.",
            name=path.name,
            formats=READABLE_TEXT,
        ) from error
    with container:
        yield container


def sound_of(container: Any) -> Any | None:
    """The stream of a container's sound, the first one that can be read; None for none."""
    return next((one for one in container.streams.audio if one.codec_context), None)


@contextlib.contextmanager
def _decoding_errors(path: Path) -> Iterator[None]:
    import av

    try:
        yield
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise ClipError(
            "{name!r} is truncated or damaged; export it again, as {formats}, and give the new "
            "file.",
            name=path.name,
            formats=READABLE_TEXT,
        ) from error


def _check_sides(width: int, height: int, limits: Limits, name: str) -> None:
    if min(width, height) < MINIMUM_SIDE or width * height > limits.pixels:
        raise ClipError(
            "{name!r} has {width} x {height} pixels; every side needs {least}, and {millions:.1f} "
            "million are the most.",
            name=name,
            width=width,
            height=height,
            least=MINIMUM_SIDE,
            millions=limits.pixels / 1e6,
        )


def _seen_size(path: Path, stream: Any) -> tuple[int, int]:
    """Width and height as seen: the first frame tells how it is turned."""
    with opened(path) as container, _decoding_errors(path):
        frame = next(container.decode(video=0), None)
    if frame is None:
        raise ClipError("{name!r} has no frame that can be read.", name=path.name)
    ratio = stream.sample_aspect_ratio or 1
    width, height = round(frame.width * ratio), frame.height
    return (height, width) if _quarter_turns(frame) % 2 else (width, height)


def _quarter_turns(frame: Any) -> int:
    """How often the frame is to be turned by 90 degrees, counterclockwise."""
    return round(frame.rotation / 90) % 4


def _time_of(frame: Any, stream: Any, number: int, rate: Fraction) -> int:
    """When a frame is shown; of a file that does not say, as if they came evenly."""
    if frame.pts is not None:
        return int(frame.pts)
    return round(number / rate / stream.time_base)


def _pixels(frame: Any, size: tuple[int, int]) -> np.ndarray:
    from av.video.reformatter import ColorRange, Colorspace

    turns = _quarter_turns(frame)
    width, height = size[::-1] if turns % 2 else size
    has_alpha = any(part.is_alpha for part in frame.format.components)
    is_told = frame.colorspace in (Colorspace.ITU709, Colorspace.ITU601, Colorspace.BT2020)
    is_hd = frame.height >= HD_HEIGHT
    rgb = frame.reformat(
        width,
        height,
        "rgba" if has_alpha else "rgb24",
        src_colorspace=None if is_told or frame.format.is_rgb or not is_hd else Colorspace.ITU709,
        dst_color_range=ColorRange.JPEG,
        interpolation="AREA",
    ).to_ndarray()
    return np.ascontiguousarray(np.rot90(_on_paper(rgb) if has_alpha else rgb, turns))


def _on_paper(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:].astype(np.float32) / 255
    laid = alpha * rgba[..., :3] + (1 - alpha) * np.array(PAPER, np.float32)
    return np.rint(laid).astype(np.uint8)
