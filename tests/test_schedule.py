"""Scales, steps and the share of work that is left."""

from __future__ import annotations

import pytest

from nst_core.schedule import SETUP_STEPS, Scale, schedule, work_left


@pytest.mark.parametrize(
    ("sides", "steps", "expected"),
    [
        ((256, 384), 60, [(256, 384, 60)]),  # half of it would be too small
        ((511, 300), 60, [(511, 300, 60)]),
        ((342, 512), 60, [(171, 256, 30), (342, 512, 30)]),
        ((683, 1024), 61, [(171, 256, 20), (342, 512, 20), (683, 1024, 21)]),
        ((683, 1024), 2, [(342, 512, 1), (683, 1024, 1)]),
        ((1024, 683), 1, [(1024, 683, 1)]),
        ((24, 1024), 9, [(24, 1024, 9)]),  # half of it would be too narrow
        ((2048, 2048), 8, [(256, 256, 2), (512, 512, 2), (1024, 1024, 2), (2048, 2048, 2)]),
    ],
)
def test_schedule(sides, steps, expected):
    assert schedule(*sides, steps) == tuple(Scale(*values) for values in expected)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 60, 5000])
@pytest.mark.parametrize("sides", [(16, 64), (171, 256), (512, 512), (2048, 1365), (1025, 33)])
def test_the_steps_add_up_and_the_last_scale_is_the_picture(sides, steps):
    scales = schedule(*sides, steps)
    assert sum(scale.steps for scale in scales) == steps
    assert (scales[-1].height, scales[-1].width) == sides
    assert all(scale.steps >= 1 and min(scale.height, scale.width) >= 16 for scale in scales)


def test_work_left():
    scales = (Scale(10, 10, 4), Scale(20, 20, 5))
    coming = 400 * (5 + SETUP_STEPS)
    assert work_left(scales, 0, 1) == pytest.approx((300 + coming) / 100)
    assert work_left(scales, 0, 4) == pytest.approx(coming / 400)
    assert work_left(scales, 1, 2) == pytest.approx(3 * 400 / (400 + 2 * 400))
    assert work_left(scales, 1, 5) == 0
