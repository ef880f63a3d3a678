"""What this machine does best and how fast, found out by trying.

What concerns GPUs was written with care and never run, because the project has only seen CPUs:
`xla_helps` below, the growing memory in `lazy.py`, and that TensorFlow computes float32
convolutions in TF32 by itself where a GPU has it, so that the trial of float32 is one of TF32.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable

from nst_core.lazy import tf
from nst_core.networks.network import PRECISIONS

# Runs of one process take turns on the device, step by step, and so do the trials, which would
# otherwise measure each other. Never held while a frame is out, so an abandoned run blocks nobody,
# nor while matches are searched, which may take as long as many steps.
LOCK = threading.RLock()

# A convolution as in the middle of VGG-16 and its gradient, the two halves of a step: 2 GFLOP, long
# enough to time, over in a moment. Without bfloat16 units the convolution alone is as fast as in
# float32, but its gradient takes more than 10 times as long.
TRIAL_SIDE, TRIAL_CHANNELS, TRIAL_RUNS = 32, 256, 5
TRIAL_FLOP = 2 * 2 * 9 * TRIAL_CHANNELS**2 * TRIAL_SIDE**2

# The share of the trial's speed that a whole step reaches, its small operations included.
STEP_EFFICIENCY = 0.7

# bfloat16 keeps 8 bits of a number, and XLA compiles every size again: they have to be worth it.
WORTHWHILE = 1.2


@functools.cache
def fastest_precision() -> str:
    """The precision that convolutions run fastest in, measured once per process.

    Processors with bfloat16 units gain a factor of up to two; those without emulate it and lose.
    Only a trial can tell, because libraries and virtual machines hide the units.
    """
    with LOCK:
        seconds = {precision: trial_seconds(precision) for precision in PRECISIONS}
    return "bfloat16" if seconds["bfloat16"] * WORTHWHILE < seconds["float32"] else "float32"


def expected_seconds(flop: float, precision: str) -> float:
    """Seconds that a step with so much arithmetic takes, by the trial; the run corrects it."""
    speed = TRIAL_FLOP / trial_seconds(precision) * STEP_EFFICIENCY
    return flop / speed


@functools.cache
def xla_helps() -> bool:
    """Whether XLA makes the step faster: tried on a GPU; on a CPU it took 1.25 times as long."""
    if not tf.config.list_physical_devices("GPU"):
        return False
    precision = fastest_precision()
    plain, compiled = (trial_seconds(precision, use_xla=use_xla) for use_xla in (False, True))
    return compiled * WORTHWHILE < plain


def trial_seconds(precision: str, *, use_xla: bool = False) -> float:
    """Seconds for a convolution and its gradient, the best of a few runs after one to warm up."""
    with LOCK:
        return _trial_seconds(precision, use_xla)


@functools.cache
def _trial_seconds(precision: str, use_xla: bool) -> float:
    image = tf.ones([1, TRIAL_SIDE, TRIAL_SIDE, TRIAL_CHANNELS], precision)
    kernel = tf.ones([3, 3, TRIAL_CHANNELS, TRIAL_CHANNELS], precision)

    # Compiled, as in the real step; the result is read, so that a GPU has really finished.
    compiled = tf.function(convolve_and_back, jit_compile=use_xla)
    compiled(image, kernel).numpy()
    return min(_seconds(lambda: compiled(image, kernel).numpy()) for _ in range(TRIAL_RUNS))


def convolve_and_back(image: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A convolution and its gradient, of which a scalar is returned."""
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss = tf.reduce_sum(tf.nn.relu(tf.nn.conv2d(image, kernel, 1, "SAME")))
    return tape.gradient(loss, image)[0, 0, 0, 0]


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# What may be asked for, and what it comes to on this machine.
PRECISION_CHOICES: dict[str, Callable[[], str]] = {
    "auto": fastest_precision,
    **{precision: functools.partial(str, precision) for precision in PRECISIONS},
}
