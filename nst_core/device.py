"""What this machine does best and how fast, found out by trying.

GPU code paths here were written with care and never run: the project has only seen CPUs.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from nst_core.features import PRECISIONS
from nst_core.lazy import tf

# A convolution as in the middle of VGG-16: 19 GFLOP, long enough to time, over in a moment.
TRIAL_SIDE, TRIAL_CHANNELS, TRIAL_RUNS = 64, 512, 3
TRIAL_FLOP = 2 * 9 * TRIAL_CHANNELS**2 * TRIAL_SIDE**2

# Of a step with the default layers: VGG-16 forward and back, 2 x 575,000, and the Gram matrices.
FLOP_PER_PIXEL = 1.2e6

# The share of the trial's speed that a whole step reaches, its small operations included.
STEP_EFFICIENCY = 0.7

# bfloat16 keeps 8 bits of a number, so it has to be worth it.
WORTHWHILE = 1.2


@functools.cache
def fastest_precision() -> str:
    """The precision that convolutions run fastest in, measured once per process.

    Processors with bfloat16 units gain a factor of up to two; those without emulate it and lose.
    Only a trial can tell, because libraries and virtual machines hide the units.
    """
    seconds = {precision: trial_seconds(precision) for precision in PRECISIONS}
    return "bfloat16" if seconds["bfloat16"] * WORTHWHILE < seconds["float32"] else "float32"


def expected_pace(precision: str) -> float:
    """Seconds per pixel of a step, from the trial: enough for a plan that is corrected later."""
    speed = TRIAL_FLOP / trial_seconds(precision) * STEP_EFFICIENCY
    return FLOP_PER_PIXEL / speed


@functools.cache
def trial_seconds(precision: str) -> float:
    """Seconds for a convolution, the best of a few runs after one that warms up."""
    image = tf.ones([1, TRIAL_SIDE, TRIAL_SIDE, TRIAL_CHANNELS], precision)
    kernel = tf.ones([3, 3, TRIAL_CHANNELS, TRIAL_CHANNELS], precision)
    # Compiled, as in the real step; the result is read, so that a GPU has really finished.
    convolve = tf.function(lambda: tf.nn.conv2d(image, kernel, 1, "SAME")[0, 0, 0, 0])
    convolve().numpy()
    return min(_seconds(lambda: convolve().numpy()) for _ in range(TRIAL_RUNS))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# What may be asked for, and what it comes to on this machine.
PRECISION_CHOICES: dict[str, Callable[[], str]] = {
    "auto": fastest_precision,
    **{precision: functools.partial(str, precision) for precision in PRECISIONS},
}
