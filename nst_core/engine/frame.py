"""The picture at one moment of a run, as everybody outside of the engine gets it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from nst_core.engine.plan import Plan
from nst_core.pictures import images


@dataclass(frozen=True)
class Frame:
    """The picture at one moment of a run."""

    image: np.ndarray  # uint8 [H, W, 3]
    painted: np.ndarray  # the same before colours were taken from the photo, and parts of it kept
    step: int  # steps done, 0 for the start
    total_steps: int  # with a time budget an estimate, until `done`
    scale: int  # long side in pixels now being worked on; `image` has the full size always
    stage: str  # "preview", "coarse" or "fine"
    # Weighted: total, content, style, tv, and others that the run has; empty until known.
    losses: dict[str, float]
    elapsed: float  # seconds since the run began
    eta: float | None  # seconds left; None before the first step was measured
    done: bool  # all steps were done; False on the last frame of a run that was stopped
    plan: Plan  # of the run; with a time budget its steps are those that are expected by now
    alpha: np.ndarray | None = None  # uint8 [H, W]: the photo's transparency, if it has any

    @property
    def notice(self) -> str:
        """What was done otherwise than asked for, in words; mostly empty."""
        return self.plan.notice

    def to_pil(self) -> Image.Image:
        """The picture as a PIL image, RGB, or RGBA where the photo was transparent."""
        return images.to_pil(self.image, self.alpha)
