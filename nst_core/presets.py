"""Settings that belong together, under names that say what one gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nst_core.settings import Settings


@dataclass(frozen=True)
class Preset:
    """One named choice."""

    label: str
    help: str
    changes: Mapping[str, Any]  # field of `Settings` -> value, where it is not the default

    @property
    def settings(self) -> Settings:
        return Settings(**self.changes)


# Gatys et al. (2015) as the course paper has it: a blank canvas, plain gradient descent, the same
# weight for every style layer, no total variation, and one scale, which 384 px is. Its figures
# have alpha / beta between 1e-4 and 1e-3. Borders are mirrored as always, see `networks/`.
# On four pairs steps of 2e-7 went well, too; with a tenth of it the canvas stays grey for long.
_PAPER = {
    "style_loss": "gram",
    "size": 384,
    "steps": 300,
    "init": "grey",
    "optimizer": "gradient_descent",
    "learning_rate": 1.5e-7,
    "content_weight": 1e-3,
    "tv_weight": 0.0,
    "style_layers": {f"block{block}_conv1": 0.2 for block in range(1, 6)},
    "strength": 0.5,
    "precision": "float32",
    "subject": False,
}

PRESETS: dict[str, Preset] = {
    "sketch": Preset(
        "Sketch · 10 s", "A small picture at once", {"size": 384, "time_budget": 10.0}
    ),
    "gallery": Preset("Gallery · 30 s", "For the screen", {"size": 512, "time_budget": 30.0}),
    "masterpiece": Preset(
        "Masterpiece · 2 min",
        "Large, with all its strokes",
        {"size": 1024, "time_budget": 120.0},
    ),
    "classic": Preset(
        "Classic · 30 s",
        "Gram matrices: more of the photo, in the painting's colours",
        {"style_loss": "gram", "size": 512, "time_budget": 30.0, "subject": False},
    ),
    "paper": Preset(
        "As published in 2015",
        "Gatys et al.: from a blank canvas, by gradient descent; slow",
        _PAPER,
    ),
}
