"""How long a film is going to take, before its first frame.

By two paces of this machine, each found out by a trial: that of steps, as for pictures, and that of
what is done to frames beside steps, which is on one core. While a film is painted, its frames say
by themselves how long the others are going to take: `painter.Pace`.
"""

from __future__ import annotations

import functools
import math
import time

import numpy as np

from nst_core.engine import device
from nst_core.engine.device import PRECISION_CHOICES
from nst_core.engine.objective import Objective
from nst_core.engine.plan import expected_pace, make_scales
from nst_core.engine.warm_up import is_warm
from nst_core.films.clip import Clip
from nst_core.films.motion import motions, warped_sharply
from nst_core.films.painter import FILM_SIZE, Quality
from nst_core.settings import Settings

# Measured at 192 to 384 px, at the pace of pictures: a step of a frame that is held to another
# takes the time of so much of its pixels and of so many pixels more, and its targets, first losses
# and palette come to so many steps.
HELD_PIXELS, HELD_STEP, BEGINNING = 0.77, 18_000, 2

# A frame is moved, filled, calmed, shown and written in so many times what the trial takes for its
# pixels.
FRAME_TRIALS = 2.2

# A step is compiled in the time of so many trials; of a process that has painted nothing yet there
# are three: of the smaller scales, of the result's, and of frames that are held to others.
COMPILING_TRIALS, COMPILED_COLD, COMPILED_WARM = 180, 3, 1

TRIAL_HEIGHT, TRIAL_WIDTH, TRIAL_RUNS = 128, 192, 5


def expected_seconds(clip: Clip, settings: Settings, quality: Quality) -> float | None:
    """Seconds that a clip of one shot takes, at a guess; None where it does not tell its length."""
    if not clip.seconds:
        return None
    width, height = clip.size_at(settings.size or FILM_SIZE)
    objective = Objective.of(settings)
    precision = PRECISION_CHOICES[settings.precision]()
    first = make_scales(height, width, settings, objective, precision)
    frames = max(1, round(clip.seconds * clip.rate))
    keys = math.ceil((frames - 1) / quality.stride(clip))
    alone = sum(scale.pixels * scale.steps for scale in first)
    held = keys * (quality.steps + BEGINNING) * (HELD_PIXELS * width * height + HELD_STEP)
    seconds = expected_pace(objective, precision) * (alone + held)
    trials = FRAME_TRIALS * frames * width * height / (TRIAL_WIDTH * TRIAL_HEIGHT)
    trials += COMPILING_TRIALS * (COMPILED_WARM if is_warm() else COMPILED_COLD)
    return seconds + trials * trial_seconds()


@functools.cache
def trial_seconds() -> float:
    """Seconds to find the motion between two small frames and to move one, the best of a few."""
    noise = np.random.default_rng(0).integers(0, 256, [TRIAL_HEIGHT, TRIAL_WIDTH + 1, 3], np.uint8)
    one, other = noise[:, :-1], noise[:, 1:]

    def seconds() -> float:
        began = time.perf_counter()
        motion, _ = motions(one, other)
        warped_sharply(one.astype(np.float32), motion.flow)
        return time.perf_counter() - began

    with device.LOCK:  # or a run would be measured with it
        return min(seconds() for _ in range(TRIAL_RUNS))
