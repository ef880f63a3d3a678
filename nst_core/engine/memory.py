"""How much memory a run will want, and how much there is."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from nst_core.lazy import tf

# Bytes for each activation that the gradient needs again, at the peak of a step on the whole
# picture: the activation itself, and gradients and buffers of the layers that are worked on. With
# the default layers, 296 activations for each pixel. Measured by `benchmarks/scaling.py`.
BYTES_PER_ACTIVATION = {"float32": 9.0, "bfloat16": 5.6}

# The same in tiles, for the tiles that are in memory at once. Measured by `benchmarks/tiling.py`.
BYTES_PER_TILE_ACTIVATION = {"float32": 5.75, "bfloat16": 3.05}

# The same for a painting, which is only measured once, before the first step. It matters where a
# painting is larger than the photo. Measured with 4 times its pixels.
BYTES_PER_PAINTING_ACTIVATION = {"float32": 5.3, "bfloat16": 2.45}

# Bytes for each pixel of the picture, without activations and the optimizer's memory: photo,
# canvas, gradient and what is computed of them, on the whole and in tiles.
BYTES_PER_PIXEL, BYTES_PER_TILED_PIXEL = 100, 200

# The same in tiles besides, where the photo is given the painting's palette first. Measured with
# nearest features at 1024 x 768 to 2048 x 1536 px.
BYTES_PER_RECOLOURED_PIXEL = 130

# TensorFlow's own kernels, which it uses on processors for which it does not take oneDNN's, unfold
# the picture for the gradient of a convolution: so many bytes for each pixel, up to a limit.
# Measured at 256 to 1024 px on a processor with AVX2 alone. The limit leaves some room there, as
# what is unfolded was seen to grow up to the largest size, if more slowly.
UNFOLDING_BYTES_PER_PIXEL, MAX_UNFOLDING_BYTES = 2300, 1500e6

# What processors have for which TensorFlow takes oneDNN by itself, as Linux names it.
ONEDNN_FLAGS = {"avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile"}

# What a run takes whatever its size: kernels, buffers of the libraries, the stylizer's pass.
BYTES_PER_RUN = 120e6

# `ulimit -v` limits addresses, and TensorFlow's pool takes more of them than it ever fills: 1.4 and
# 1.3 times as many at 512 and 1024 px.
ADDRESSES_PER_BYTE = 1.5

# What is left to the system and to everything else that the process does meanwhile.
SHARE = 0.9

# A container's limit, its use, and the line in its statistics that counts what the system would
# give back; of cgroups version 2 and 1.
CGROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def nbytes(found: Any) -> int:
    """Bytes of all arrays and tensors in a structure of them."""
    parts = [part for part in tf.nest.flatten(found) if hasattr(part, "shape")]
    return sum(math.prod(part.shape) * tf.as_dtype(part.dtype).size for part in parts)


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a run will add to the process, at its peak."""

    fixed: float  # whatever the picture's size
    growing: float  # by a step, in proportion to the number of its pixels
    unfolding: float = 0.0  # by a step besides, but no more than `MAX_UNFOLDING_BYTES`
    measuring: float = 0.0  # by the largest painting before the first step, in the same proportion

    @property
    def total(self) -> float:
        step = self.growing + min(self.unfolding, MAX_UNFOLDING_BYTES)
        return self.fixed + max(step, self.measuring)

    def fitting_factor(self, room: float) -> float:
        """By what all sides have to be multiplied for the run to fit into `room` bytes.

        0 if none does; 1 or more means that it fits as it is.
        """
        room = max(0.0, room - self.fixed)
        below_limit = room / (self.growing + self.unfolding)
        at_limit = max(0.0, room - MAX_UNFOLDING_BYTES) / self.growing
        measuring = room / self.measuring if self.measuring else math.inf
        return min(max(below_limit, at_limit), measuring) ** 0.5


@dataclass(frozen=True)
class MemoryModel:
    """What the need of a run depends on, besides sizes."""

    activations: float  # for each pixel, as `Network.activations` counts them
    precision: str  # of the activations
    optimizer: float  # bytes of its memory for each pixel

    def of_whole(self, photo: int, painting: int) -> MemoryNeed:
        """The need of a run that looks at the whole picture at once.

        Args:
            photo, painting: how many pixels they have; of several paintings, the largest.
        """
        each = BYTES_PER_PIXEL + self.optimizer
        step = (each + BYTES_PER_ACTIVATION[self.precision] * self.activations) * photo
        measuring = BYTES_PER_PAINTING_ACTIVATION[self.precision] * self.activations * painting
        return MemoryNeed(BYTES_PER_RUN, step, unfolding_bytes(photo), measuring)

    def of_tiles(self, photo: int, held: int) -> MemoryNeed:
        """The need of a run in tiles.

        Args:
            photo: how many pixels it has.
            held: how many pixels have their activations in memory at once.
        """
        tiles = BYTES_PER_TILE_ACTIVATION[self.precision] * self.activations * held
        fixed = BYTES_PER_RUN + min(unfolding_bytes(held), MAX_UNFOLDING_BYTES) + tiles
        return MemoryNeed(fixed, (BYTES_PER_TILED_PIXEL + self.optimizer) * photo)


def unfolding_bytes(pixels: int) -> float:
    """Bytes that TensorFlow's own convolutions take besides, up to the limit; 0 with oneDNN."""
    return 0.0 if _uses_onednn() else UNFOLDING_BYTES_PER_PIXEL * pixels


@functools.cache
def _uses_onednn() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    except OSError:  # not Linux: rather too much than too little
        return False
    return bool(ONEDNN_FLAGS & set(flags))


def available(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that a run may take: the least that machine, container and limits leave this process.

    Args:
        root: where the system shows the container's limits.
    """
    room = [float(psutil.virtual_memory().available), *_container_room(root), *_process_room()]
    return SHARE * min(room) + _pooled()


def _pooled() -> float:
    """What earlier runs left in TensorFlow's pool, which keeps all memory for the next ones."""
    if "tensorflow" not in sys.modules:
        return 0.0
    try:
        pool = tf.config.experimental.get_memory_info("CPU:0")
    except ValueError:  # no pool here: it gives memory back
        return 0.0
    return float(pool["peak"] - pool["current"])


def _container_room(root: Path) -> Iterator[float]:
    for limit, used, statistics, key in CGROUPS:
        try:
            allowed = int((root / limit).read_text())  # "max" is no number: no limit
            taken = int((root / used).read_text())
            counts = dict(line.split() for line in (root / statistics).read_text().splitlines())
        except (OSError, ValueError):
            continue
        yield allowed - taken + int(counts.get(key, 0))


def _process_room() -> Iterator[float]:
    """What `ulimit -v` leaves, where the system knows such a limit."""
    if not hasattr(psutil, "RLIMIT_AS"):
        return
    process = psutil.Process()
    limit, _ = process.rlimit(psutil.RLIMIT_AS)
    if limit != psutil.RLIM_INFINITY:
        yield (limit - process.memory_info().vms) / ADDRESSES_PER_BYTE
