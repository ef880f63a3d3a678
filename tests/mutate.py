"""Damaged copies of good pictures, as many as wanted, the same for the same seed."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator

import corpus

MAX_CHANGES = 8
TELLING = (
    b"\x00",
    b"\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x00\x00",
)


def seeds() -> list[tuple[str, bytes]]:
    """Small good pictures of every format and mode."""
    plain = [(ending, corpus.encoded(corpus.scene(48, 32), ending)) for ending in corpus.FORMATS]
    progressive = corpus.encoded(corpus.scene(48, 32), "jpg", progressive=True)
    frames = [corpus.scene(48, 32).convert("P").rotate(90 * turn) for turn in range(3)]
    animated = corpus.encoded(frames[0], "gif", save_all=True, append_images=frames[1:])
    kinds = [(name.rpartition(".")[2], data) for name, data in corpus.modes()]
    return [*plain, ("jpg", progressive), ("gif", animated), *kinds]


def flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def overwrite(data: bytearray, chance: random.Random) -> None:
    """With a number that often breaks arithmetic; more often near the front, where headers are."""
    telling = chance.choice(TELLING)
    reach = len(data) if chance.random() < 0.5 else min(len(data), 200)
    at = chance.randrange(reach)
    data[at : at + len(telling)] = telling


def remove(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.randrange(1, 40)]


def repeat(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at:at] = data[at : at + chance.randrange(1, 200)] * chance.randrange(1, 4)


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data) + 1) :]


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip,
    flip,
    overwrite,
    overwrite,
    remove,
    repeat,
    cut,
)


def mutated(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many damaged files: their ending and their bytes."""
    chance, good = random.Random(seed), seeds()
    for _ in range(count):
        ending, whole = chance.choice(good)
        data = bytearray(whole)
        for _ in range(chance.randrange(1, MAX_CHANGES + 1)):
            if data:
                chance.choice(CHANGES)(data, chance)
        # A PNG with wrong checksums is refused before anything is decoded.
        yield ending, with_checksums(data) if ending == "png" else bytes(data)


def with_checksums(png: bytearray) -> bytes:
    """A PNG whose chunks, as far as they can be told apart, have the right checksums."""
    at = 8
    while at + 12 <= len(png):
        end = at + 8 + int.from_bytes(png[at : at + 4], "big")
        if end + 4 > len(png):
            break
        png[end : end + 4] = zlib.crc32(bytes(png[at + 4 : end])).to_bytes(4, "big")
        at = end + 4
    return bytes(png)
