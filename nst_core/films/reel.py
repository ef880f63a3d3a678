"""What is painted of a film, kept so that it plays at any moment and is gone on with after a kill.

Frames wait as PNGs until there are `PIECE` of them; these become a piece, H.264 of its own, that
depends on no other. A film is the pieces one after another and the clip's sound, packet by packet:
nothing is encoded twice, and a film that was cut off ends up the same, byte for byte. On the disk
are the film so far, once in pieces and once joined, and a piece's PNGs at the most.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_core.errors import FilmError
from nst_core.files import by_ending, replacing
from nst_core.films.clip import Clip, opened, sound_of
from nst_core.pictures import images
from nst_core.pictures.film import encoded
from nst_core.sentence import Sentence

PIECE = 24  # frames

# Nearly without loss: what H.264 leaves out differs from frame to frame, which is flicker. With
# macroblock trees, x264 gave other bytes for the same frames in some processes of a hundred, beside
# busy ones; without them never.
OPTIONS = {"crf": "4", "bf": "0", "threads": "1", "mbtree": "0"}

RATE = 25  # frames a second of a piece, any: the whole has the clip's own times

# Sound that MP4 holds and browsers play; any other is made into AAC.
COPIED_SOUND = frozenset(("aac", "mp3", "opus", "flac", "ac3", "alac"))

LEAD_IN = Fraction(
    1, 10
)  # s; by so much sound may begin before the picture and not count as before

ENDINGS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}  # file ending -> FFmpeg's container


class Reel:
    """The frames of one film that are painted, in a folder of their own.

    Args:
        folder: where they are kept; what is there already is gone on with.
        clip: whose frames they are, and whose sound is taken.
        times: when each frame of the clip is shown, in the clip's time base.
        note: what the film holds as its comment.
    """

    def __init__(self, folder: Path, clip: Clip, times: np.ndarray, note: str = "") -> None:
        self._folder, self._clip, self._times, self._note = folder, clip, times, note

    def __len__(self) -> int:
        """How many frames are there, from the first on."""
        return len(self._pieces) * PIECE + len(self._waiting)

    def add(self, pixels: np.ndarray) -> None:
        """Take the next frame, uint8 [H, W, 3]; it is there whole or not at all."""
        self._make_piece()  # which a kill may have left undone
        images.save(Image.fromarray(pixels), self._folder / f"frame-{len(self):06}.png")
        self._make_piece()

    def save(self, path: Path) -> None:
        """Write the film as far as it is there, with as much of the sound; whole or not at all.

        Raises `OSError` when the folder cannot be written.
        """
        with self.pieces() as pieces:
            self.join(pieces, len(self), path)

    @contextlib.contextmanager
    def pieces(self) -> Iterator[Sequence[Path]]:
        """All that is there in pieces; the last one, which frames still wait for, goes again."""
        pieces, waiting = list(self._pieces), self._waiting
        rest = self._folder / "rest.nut"
        if waiting:
            self._write_piece(waiting, rest)
            pieces.append(rest)
        yield pieces
        rest.unlink(missing_ok=True)

    def join(self, pieces: Sequence[Path], count: int, path: Path) -> None:
        """Write a film of pieces, of the clip's first `count` frames in all; raises as `save`."""
        with replacing(path) as part:
            self._join(pieces, count, part, ENDINGS[path.suffix.lower()])

    # --- Pieces ---

    @property
    def _pieces(self) -> Sequence[Path]:
        return sorted(self._folder.glob("piece-*.nut"))

    @property
    def _waiting(self) -> Sequence[Path]:
        """Frames that are in no piece; those of one that a kill left behind do not count."""
        first = len(self._pieces) * PIECE
        files = sorted(self._folder.glob("frame-*.png"))
        return [file for file in files if int(file.stem.partition("-")[2]) >= first]

    def _make_piece(self) -> None:
        """Make the frames that wait a piece, if they are enough for one."""
        waiting = self._waiting
        if len(waiting) == PIECE:
            self._write_piece(waiting, self._folder / f"piece-{len(self._pieces):06}.nut")
            for file in waiting:
                file.unlink()

    def _write_piece(self, frames: Sequence[Path], file: Path) -> None:
        import av

        with replacing(file) as part, av.open(part, "w", format="nut") as container:
            pictures = (np.asarray(Image.open(frame)) for frame in frames)
            for packet in encoded(container, pictures, RATE, OPTIONS):
                container.mux(packet)

    # --- The whole ---

    def _join(self, pieces: Sequence[Path], count: int, file: Path, container_format: str) -> None:
        import av

        if not pieces:
            raise FilmError("There is no frame yet, so there is no film.")
        options = {"movflags": "faststart"}  # a browser can play it before it is all there
        with (
            av.open(file, "w", format=container_format, options=options) as container,
            opened(self._clip.path) as source,
            av.open(pieces[0]) as first,
        ):
            container.metadata["comment"] = self._note
            picture = container.add_stream_from_template(first.streams.video[0])
            picture.time_base = self._clip.time_base
            begins, origin = _starts(source)
            packets = [self._picture_packets(pieces, picture, begins - origin)]
            if self._clip.has_sound:
                is_whole = count == len(self._times)
                end = None if is_whole else begins + self._seconds(count)
                packets.append(_sound_packets(source, container, origin, end))
            for _, packet in heapq.merge(*packets, key=lambda pair: pair[0]):
                container.mux(packet)

    def _picture_packets(
        self, pieces: Sequence[Path], stream: Any, wait: Fraction
    ) -> Iterator[tuple[Fraction, Any]]:
        import av

        number, base = 0, self._clip.time_base
        for piece in pieces:
            with av.open(piece) as container:
                for packet in container.demux(video=0):
                    if packet.size == 0:
                        continue
                    packet.time_base = base
                    packet.pts = packet.dts = int(self._times[number]) + round(wait / base)
                    packet.duration = self._duration(number)
                    packet.stream = stream
                    yield packet.pts * base, packet
                    number += 1

    def _duration(self, number: int) -> int:
        """How long a frame is shown, in the clip's time base; of the last, as the one before."""
        if number + 1 < len(self._times):
            return int(self._times[number + 1] - self._times[number])
        return max(1, round(1 / self._clip.rate / self._clip.time_base))

    def _seconds(self, number: int) -> Fraction:
        """When the frame of this number begins."""
        return int(self._times[number]) * self._clip.time_base


def check_ending(path: Path) -> None:
    """Raise `FilmError` for a name that no film of a clip can have."""
    by_ending(ENDINGS, path, Sentence("Films of clips"), FilmError)


def _starts(source: Any) -> tuple[Fraction, Fraction]:
    """When a file's picture begins, in its own time, and what is to be the film's 0, in seconds.

    That is the picture's beginning, unless there is sound before it. What AAC needs to get going
    lies before 0, as it does in the file.
    """
    begins = _start_of(source.streams.video[0])
    own = sound_of(source)
    if own is None:
        return begins, begins
    sound = _start_of(own)
    return begins, sound if sound < begins - LEAD_IN else begins


def _start_of(stream: Any) -> Fraction:
    return Fraction((stream.start_time or 0) * stream.time_base)


def _sound_packets(
    source: Any, container: Any, origin: Fraction, end: Fraction | None
) -> Iterator[tuple[Fraction, Any]]:
    """The sound, as it is where it can be, with its times; after what cannot be read there is none.

    Args:
        source: the file that it is in; `container` is the one that it goes to.
        origin: what is to be 0, in the file's time, s.
        end: when it ends there, s; None for all of it.
    """
    import av

    own = sound_of(source)
    assert own is not None
    is_copied = own.codec_context.name in COPIED_SOUND
    if is_copied:
        stream = container.add_stream_from_template(own)
    else:
        stream = container.add_stream("aac", rate=own.rate)
    # The stream is there by now: it must be before the first packet is written.
    packets = _copied(source, own) if is_copied else _as_aac(source, own, stream)

    def timed() -> Iterator[tuple[Fraction, Any]]:
        with contextlib.suppress(av.FFmpegError):
            for packet in packets:
                begins = packet.pts * packet.time_base
                if end is not None and begins >= end:
                    return
                shift = round(origin / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                yield packet.pts * packet.time_base, packet

    return timed()


def _copied(source: Any, own: Any) -> Iterator[Any]:
    return (one for one in source.demux(own) if one.size and one.pts is not None)


def _as_aac(source: Any, own: Any, stream: Any) -> Iterator[Any]:
    for frame in source.decode(own):
        yield from stream.encode(frame)
    yield from stream.encode(None)
