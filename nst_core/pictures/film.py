"""A film of a run, from the first look to the finished picture.

MP4 (H.264) plays in browsers and slides; animated WebP and GIF play wherever a picture is shown.
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from nst_core.errors import FilmError
from nst_core.files import by_ending, replacing
from nst_core.sentence import Sentence

FRAMES_PER_SECOND = 12
HOLD_SECONDS = 1.5  # how long the finished picture stays before a film ends or starts again

# A run may have thousands of frames, of megabytes each; a film of more than this is not watched.
MAX_PICTURES = 120

# Long side in pixels that pictures are made smaller to: neither format compresses from one picture
# to the next, as H.264 does, and a GIF hardly at all.
WEBP_SIDE, GIF_SIDE = 768, 480
REC_709 = 1  # FFmpeg's number for the colours of HD television, for primaries, curve and matrix


class ThinnedFrames(Sequence[np.ndarray]):
    """The pictures of a run on their way to a film, evenly thinned out so that it never grows long.

    `add` keeps every picture at first; when `MAX_PICTURES` are reached it drops every second one
    and from then on keeps every second, and so on. The last picture added is always there.

    Pictures are held as JPEG, a tenth of their size, and come out uint8 RGB [H, W, 3].
    """

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._last: bytes | None = None  # where it is not among those kept
        self._stride = 1
        self._added = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the pictures as they are kept."""
        return sum(map(len, self._kept)) + len(self._last or b"")

    def add(self, picture: np.ndarray) -> None:
        """Take the next picture, uint8 RGB [H, W, 3]; all of one shape."""
        packed = _pack(picture)
        is_kept = self._added % self._stride == 0
        if is_kept:
            self._kept.append(packed)
        self._last = None if is_kept else packed
        self._added += 1
        if len(self._kept) == MAX_PICTURES:
            self._last = self._kept[-1]
            del self._kept[1::2]
            self._stride *= 2

    def __len__(self) -> int:
        return len(self._kept) + (self._last is not None)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | list[np.ndarray]:
        packed = self._kept if self._last is None else [*self._kept, self._last]
        found = packed[index]
        return [_unpack(one) for one in found] if isinstance(found, list) else _unpack(found)


class Changed(Sequence[np.ndarray]):
    """Pictures, each changed at the moment when it is asked for."""

    def __init__(
        self, pictures: Sequence[np.ndarray], change: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        self._pictures, self._change = pictures, change

    def __len__(self) -> int:
        return len(self._pictures)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | list[np.ndarray]:
        found = self._pictures[index]
        return (
            self._change(found) if isinstance(found, np.ndarray) else list(map(self._change, found))
        )


def _pack(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def _unpack(packed: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(packed)))


def save(pictures: Sequence[np.ndarray], path: str | os.PathLike[str]) -> None:
    """Write a film in the format of the path's ending; the file is there whole or not at all.

    Args:
        pictures: one or more, uint8 RGB [H, W, 3], of one shape; `FRAMES_PER_SECOND` of them a
            second. The last one stays for `HOLD_SECONDS`.
        path: its ending is one of `FORMATS`.

    Raises:
        FilmError: another ending, no pictures, or pictures of different shapes.
        OSError: the folder cannot be written.
    """
    path = Path(path)
    write = writer(path)
    shapes = {picture.shape for picture in pictures}
    if len(shapes) != 1:
        raise FilmError(
            "A film needs pictures of one size, but {count} sizes arrived.", count=len(shapes)
        )
    with replacing(path) as part:
        write(part, pictures)


def writer(path: Path) -> Callable[[Path, Sequence[np.ndarray]], None]:
    """What writes films with this ending, or a `FilmError` with the known ones."""
    return by_ending(FORMATS, path, Sentence("Films"), FilmError)


def _write_mp4(file: Path, pictures: Sequence[np.ndarray]) -> None:
    import av  # here, because it takes a quarter of a second, and few runs are filmed

    hold = [pictures[-1]] * round(HOLD_SECONDS * FRAMES_PER_SECOND)
    faststart = {"movflags": "faststart"}  # a browser can play it before it is all there
    with av.open(file, "w", format="mp4", options=faststart) as container:
        shown = itertools.chain(pictures, hold)
        for packet in encoded(container, shown, FRAMES_PER_SECOND, {"crf": "18"}):
            container.mux(packet)


def encoded(
    container: Any, pictures: Iterable[np.ndarray], rate: Fraction | int, options: dict[str, str]
) -> Iterator[Any]:
    """Pictures as packets of H.264, in a new stream of a container that is being written.

    Args:
        pictures: one or more, uint8 RGB [H, W, 3], of one shape.
        rate: so many of them a second.
        options: of FFmpeg's `libx264`.
    """
    import av
    from av.video.reformatter import ColorRange, Colorspace

    stream = container.add_stream("libx264", rate=rate, options=options)
    context = stream.codec_context
    for picture in map(_to_even, pictures):
        if not context.is_open:
            stream.height, stream.width = picture.shape[:2]
            stream.pix_fmt = "yuv420p"
            context.color_primaries = context.color_trc = context.colorspace = REC_709
            context.color_range = ColorRange.MPEG
        rgb = av.VideoFrame.from_ndarray(picture, format="rgb24")
        yield from stream.encode(
            rgb.reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            )
        )
    yield from stream.encode(None)


def _to_even(picture: np.ndarray) -> np.ndarray:
    """H.264 stores colours for 2 x 2 pixels: repeat the last row or column of an odd side."""
    height, width, _ = picture.shape
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _write_webp(file: Path, pictures: Sequence[np.ndarray]) -> None:
    _write_animation(file, "WEBP", [_small(p, WEBP_SIDE) for p in pictures], {"quality": 85})


def _write_gif(file: Path, pictures: Sequence[np.ndarray]) -> None:
    small = [_small(p, GIF_SIDE).quantize(dither=Image.Dither.NONE) for p in pictures]
    _write_animation(file, "GIF", small, {})


def _small(picture: np.ndarray, side: int) -> Image.Image:
    image = Image.fromarray(picture)
    image.thumbnail((side, side))
    return image


def _write_animation(
    file: Path, name: str, pictures: list[Image.Image], options: dict[str, int]
) -> None:
    milliseconds = [round(1000 / FRAMES_PER_SECOND)] * len(pictures)
    milliseconds[-1] += round(1000 * HOLD_SECONDS)
    first, *rest = pictures
    first.save(
        file, name, save_all=True, append_images=rest, duration=milliseconds, loop=0, **options
    )


# File ending -> what writes it.
FORMATS: dict[str, Callable[[Path, Sequence[np.ndarray]], None]] = {
    ".mp4": _write_mp4,
    ".webp": _write_webp,
    ".gif": _write_gif,
}
