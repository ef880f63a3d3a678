"""How long a film is going to take, before its first frame."""

from __future__ import annotations

import math

from nst_core.engine.device import PRECISION_CHOICES
from nst_core.engine.objective import Objective
from nst_core.engine.plan import expected_pace, make_scales
from nst_core.films.clip import Clip
from nst_core.films.painter import FILM_SIZE, Quality
from nst_core.settings import Settings

# Seconds for each pixel of a frame, beside its steps: decoding, cuts, motion both ways, warping,
# filling, and H.264.
FRAME_PACE = 5e-6


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
    work = sum(scale.pixels * scale.steps for scale in first)
    work += keys * quality.steps * width * height
    return expected_pace(objective, precision) * work + FRAME_PACE * frames * width * height
