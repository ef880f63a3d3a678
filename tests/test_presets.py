"""Presets: that each can be painted, and that the paper's is the paper's."""

from __future__ import annotations

import pytest

from nst_core import Settings
from nst_core.engine.choices import check_choices
from nst_core.engine.schedule import Coarse, schedule
from nst_core.losses.strictness import strictness
from nst_core.presets import PRESETS

COARSE = Coarse(256, 16)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_possible(name):
    settings = PRESETS[name].settings
    check_choices(settings)
    assert PRESETS[name].help
    assert settings != Settings()


@pytest.mark.parametrize(
    ("name", "seconds"), [("sketch", 10), ("gallery", 30), ("masterpiece", 120)]
)
def test_presets_by_time_take_the_time_on_their_label(name, seconds):
    assert PRESETS[name].settings.time_budget == seconds
    words = f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
    assert PRESETS[name].label.endswith(words)


def test_the_papers_preset_is_the_papers_recipe():
    settings = PRESETS["paper"].settings
    assert (settings.init, settings.optimizer) == ("grey", "gradient_descent")
    assert settings.content_layer == "block4_conv2"
    assert dict(settings.style_layers) == {f"block{i}_conv1": 0.2 for i in range(1, 6)}
    assert (settings.tv_weight, settings.precision, settings.pooling) == (0, "float32", "max")
    alpha = settings.content_weight * strictness(settings).rest
    assert alpha / settings.style_weight == pytest.approx(1e-3)
    assert len(schedule(settings.size, settings.size, settings.steps, COARSE)) == 1
