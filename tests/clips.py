"""Small clips, made for tests as phones, cameras and editors make them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SOUND_RATE = 48000


def moving(
    photo: np.ndarray, count: int, size: tuple[int, int], right: int = 2
) -> list[np.ndarray]:
    """A window of some width and height that moves over a photo, so many pixels a frame."""
    width, height = size
    return [photo[:height, right * number : right * number + width] for number in range(count)]


def write(
    file: Path,
    frames: Sequence[np.ndarray],
    rate: int | Fraction = 12,
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    times: Iterable[float] | None = None,
    sound: str = "",
    seconds: float | None = None,
    ratio: Fraction | None = None,
) -> Path:
    """Write a clip.

    Args:
        frames: uint8 [H, W, 3 or 4].
        times: when each is shown, s; evenly at `rate` when left out.
        sound: a codec; empty for none.
        seconds: of the sound; as long as the picture when left out.
        ratio: of a pixel's width to its height.
    """
    with av.open(file, "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {"crf": "10"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if ratio:
            stream.codec_context.sample_aspect_ratio = ratio
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        tone = container.add_stream(sound, rate=SOUND_RATE) if sound else None
        for number, picture in enumerate(frames):
            given = "rgba" if picture.shape[2] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=given)
            if times is not None:
                frame.pts, frame.time_base = round(1000 * list(times)[number]), Fraction(1, 1000)
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode(None))
        if tone is not None:
            _write_tone(container, tone, len(frames) / float(rate) if seconds is None else seconds)
    return file


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    total, block = round(seconds * SOUND_RATE), 1024
    for start in range(0, total, block):
        moments = np.arange(start, min(start + block, total)) / SOUND_RATE
        wave = (8000 * np.sin(2 * np.pi * 440 * moments)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SOUND_RATE, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def turn(file: Path) -> Path:
    """Mark an MP4 as filmed upright with a phone: to be turned clockwise when it is shown."""
    data = bytearray(file.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # version 0
    one = 1 << 16
    data[start : start + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    file.write_bytes(data)
    return file


def read(file: Path) -> list[np.ndarray]:
    """The frames as they are stored."""
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def times(file: Path) -> list[float]:
    """When each frame is shown, s."""
    with av.open(file) as container:
        return [frame.time for frame in container.decode(video=0)]


def sound(file: Path) -> tuple[str, float] | None:
    """The codec of a file's sound, and how long it is, s."""
    with av.open(file) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(stream))
        return stream.codec_context.name, samples / stream.rate
