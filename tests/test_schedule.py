"""Scales, steps and the share of work that is left."""

from __future__ import annotations

import pytest

from nst_core.engine.schedule import SETUP_STEPS, Coarse, Progress, Scale, schedule, schedule_for

COARSE = Coarse(256, 16)


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
    assert schedule(*sides, steps, COARSE) == tuple(Scale(*values) for values in expected)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ((342, 512), [(43, 64), (86, 128), (171, 256), (342, 512)]),
        ((2048, 2048), [(256, 256), (512, 512), (1024, 1024), (2048, 2048)]),
        ((64, 96), [(32, 48), (64, 96)]),
    ],
)
def test_never_more_scales_than_the_most(sides, expected):
    scales = schedule(*sides, 8, Coarse(32, 4))
    assert [(scale.height, scale.width) for scale in scales] == expected


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 60, 5000])
@pytest.mark.parametrize("sides", [(16, 64), (171, 256), (512, 512), (2048, 1365), (1025, 33)])
def test_the_steps_add_up_and_the_last_scale_is_the_picture(sides, steps):
    scales = schedule(*sides, steps, COARSE)
    assert sum(scale.steps for scale in scales) == steps
    assert (scales[-1].height, scales[-1].width) == sides
    assert all(scale.steps >= 1 and min(scale.height, scale.width) >= 16 for scale in scales)


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (20 * (256**2 + 512**2), [(256, 18), (512, 18)]),
        (9 * (256**2 + 512**2), [(256, 43)]),  # too little for 8 steps at 512
        (4 * 256**2, [(256, 2)]),  # nothing coarser to fall back on
        (0, [(256, 1)]),
    ],
)
def test_schedule_for_an_amount_of_work(work, expected):
    scales = schedule_for(512, 512, work, COARSE)
    assert [(scale.height, scale.steps) for scale in scales] == expected


def test_progress_counts_steps_and_work():
    progress = Progress((Scale(10, 10, 4), Scale(20, 20, 5)))
    coming = 400 * (5 + SETUP_STEPS)
    assert (progress.steps_done, progress.total_steps) == (0, 9)
    progress = progress.after_a_step()
    assert (progress.work_done, progress.work_left) == (100, 300 + coming)
    progress = progress.at_the_next_scale().after_a_step().after_a_step()
    assert (progress.steps_done, progress.work_done) == (6, 400 + 800)
    assert progress.work_left == 3 * 400
    assert progress.is_finest
    assert not progress.is_done


def test_a_run_fitted_to_the_work_that_is_left_spends_just_that():
    progress = Progress((Scale(10, 10, 40), Scale(20, 20, 40)), step=5)
    for work in (3_000, 10_000, 123_456):
        fitted = progress.fitted(work)
        assert fitted.step == 5
        assert fitted.work_left == pytest.approx(work, abs=500)  # half a step of each scale
        assert abs(fitted.scales[0].steps - fitted.scales[1].steps) <= 1
    late = progress.fitted(-1_000)
    assert late.scale.steps == 5, "what is done stays done"
    assert late.scales[1].steps == 1
    last = progress.at_the_next_scale().after_a_step()
    assert last.fitted(0).is_done


def test_an_extended_run_has_more_steps_at_its_finest_scale():
    done = Progress((Scale(10, 10, 4), Scale(20, 20, 5)), index=1, step=5)
    assert done.is_done
    extended = done.extended(3)
    assert not extended.is_done
    assert (extended.steps_done, extended.total_steps) == (9, 12)
    assert extended.work_left == 3 * 400
