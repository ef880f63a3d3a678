"""Going on with a picture: the run that never stopped, and what each setting means on the way.

With the real weights, but the losses look at two layers alone, so that a step takes no time.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import example

from nst_core import Easel, ImageError, Settings, SettingsError, Style, WeightsError, stylize
from nst_core.engine import run as run_module
from nst_core.networks.vgg import EMBEDDED_WEIGHTS
from nst_core.optimizers import OPTIMIZERS
from nst_core.settings import BRUSHWORK, FIXED, FREE, OBJECTIVE, SPECS

BEGUN = Settings(
    style_loss="gram",
    size=64,
    steps=3,
    init="content",
    optimizer="adam",  # has a memory, and is quickly compiled
    frame_interval=0,
    precision="float32",
    content_layer="block1_conv2",
    style_layers={"block1_conv1": 0.5, "block2_conv1": 0.5},
)
TWO_SCALES = replace(BEGUN, size=512, steps=4)  # of the strip
NEAREST = replace(BEGUN, size=512, steps=8, style_loss="nearest")  # four scales of the strip

# Every field and another value for it than in `BEGUN`.
OTHER = {
    "size": 96,
    "steps": 9,
    "time_budget": 60.0,
    "seed": 1,
    "init": "noise",
    "optimizer": "lbfgs",
    "lbfgs_memory": "short",
    "learning_rate": 0.3,
    "strength": 0.9,
    "style_scale": 0.5,
    "color": "linear",
    "feather": 5.0,
    "subject": False,
    "content_weight": 1.0,
    "style_weight": 2.0,
    "edge_weight": 0.5,
    "gram_weight": 0.5,
    "tv_weight": 0.0,
    "content_layer": "block1_conv1",
    "style_layers": {"block1_conv1": 1.0},
    "style_loss": "wasserstein",
    "pooling": "average",
    "precision": "bfloat16",
    "enlarge": True,
    "tile": 128,
    "frame_interval": 3600.0,
    "stylizer": "another net",
    "network": "vgg19",
    "weights": str(EMBEDDED_WEIGHTS),  # the same weights under their own name
}


@pytest.fixture
def strip(castle_512) -> np.ndarray:
    """A photo that is painted at 256 and at 512 px, and has few pixels, uint8 [32, 512, 3]."""
    return castle_512[160:192].copy()


@pytest.fixture(scope="module")
def begun(castle, great_wave):
    """Makes an easel with two of three steps done."""
    left = np.zeros([16, 16], np.uint8)
    left[:, :8] = 255

    def make(*, masked: bool = False) -> Easel:
        styles = [Style(great_wave, mask=left if masked else None), Style(castle)]
        easel = Easel(castle, styles, BEGUN)
        stop_after(easel.paint(), 2)
        return easel

    return make


@pytest.fixture(scope="module")
def whole(begun) -> np.ndarray:
    """The picture of the run that went on as it was."""
    return third(begun().resume()).image


@pytest.fixture(scope="module")
def vgg19(tmp_path_factory) -> str:
    """Weights of VGG-19: random numbers, as the project has no others."""
    path = tmp_path_factory.mktemp("weights") / "vgg19.weights.h5"
    keras.applications.VGG19(include_top=False, weights=None).save_weights(path)
    return str(path)


def stop_after(frames, step: int):
    """Close a run after a step; returns the frames until then."""
    seen = []
    for frame in frames:
        seen.append(frame)
        if frame.step == step:
            frames.close()
    return seen


def third(frames):
    """The frame of the third step."""
    return next(frame for frame in frames if frame.step == 3)


def all_pixels(frames) -> list[np.ndarray]:
    return [frame.image for frame in frames]


# --- As if it had never stopped -----------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_that_goes_on_is_the_run_that_never_stopped(optimizer, castle, great_wave):
    """To the pixel, because the optimizer's memory goes on, too."""
    settings = replace(BEGUN, steps=6, optimizer=optimizer)
    easel = Easel(castle, great_wave, settings)
    unbroken = all_pixels(easel.paint())
    first = stop_after(easel.paint(), 3)
    again, *rest = easel.resume()
    np.testing.assert_array_equal(again.image, first[-1].image)
    assert (again.step, again.total_steps, again.done) == (3, 6, False)
    np.testing.assert_array_equal(all_pixels([*first, *rest]), unbroken)
    assert rest[-1].done


def test_a_stopped_run_goes_on_through_its_other_scales(strip, great_wave):
    easel = Easel(strip, great_wave, TWO_SCALES)
    *_, unbroken = easel.paint()
    stop_after(easel.paint(), 1)
    *_, last = easel.resume()
    np.testing.assert_array_equal(last.image, unbroken.image)
    assert (last.step, last.scale, last.stage) == (4, 512, "fine")


def test_a_run_stopped_between_two_scales_goes_on_at_the_next(strip, great_wave):
    easel = Easel(strip, great_wave, TWO_SCALES)
    *_, unbroken = easel.paint()
    stop_after(easel.paint(), 2)
    _, new_scale, *_, last = easel.resume()
    assert (new_scale.scale, new_scale.step, new_scale.eta) == (512, 2, None)
    np.testing.assert_array_equal(last.image, unbroken.image)


def test_a_scale_that_is_gone_on_with_compares_with_what_it_compared_with(strip, great_wave):
    """Nearest features take the coarser picture into the photo's place, at each scale anew."""
    easel = Easel(strip, great_wave, NEAREST)
    *_, unbroken = easel.paint()
    stop_after(easel.paint(), unbroken.total_steps - 2)
    *_, last = easel.resume()
    np.testing.assert_array_equal(last.image, unbroken.image)


def test_the_recipe_of_a_stopped_run_paints_what_it_stopped_at(strip, great_wave):
    """Also where it was stopped at a coarse scale, which nearest features treat otherwise."""
    easel = Easel(strip, great_wave, NEAREST)
    *_, stopped = stop_after(easel.paint(), 1)
    again = stylize(strip, great_wave, NEAREST, plan=stopped.plan.up_to(1))
    np.testing.assert_array_equal(again.image, stopped.image)


def test_a_finished_run_goes_on_for_as_many_steps_again(castle, great_wave):
    easel = Easel(castle, great_wave, BEGUN)
    assert [frame.step for frame in easel.paint()] == [0, 1, 2, 3]
    longer = list(easel.resume())
    assert [frame.step for frame in longer] == [3, 4, 5, 6]
    assert [frame.done for frame in longer] == [False, False, False, True]
    unbroken = stylize(castle, great_wave, replace(BEGUN, steps=6))
    np.testing.assert_array_equal(longer[-1].image, unbroken.image)
    assert longer[-1].plan.steps == 6


def test_a_finished_run_of_two_scales_goes_on_at_the_finest(strip, great_wave):
    easel = Easel(strip, great_wave, TWO_SCALES)
    list(easel.paint())
    longer = list(easel.resume(replace(TWO_SCALES, steps=6)))  # three of them fine
    assert [(frame.step, frame.scale) for frame in longer] == [(k, 512) for k in (4, 5, 6, 7)]


def test_going_on_without_memory_goes_on_from_the_picture(castle, great_wave):
    easel = Easel(castle, great_wave, BEGUN)
    *_, before = easel.paint()
    easel.forget()
    again, *_, after = easel.resume()
    np.testing.assert_array_equal(again.image, before.image)
    assert after.losses["total"] < before.losses["total"]


# --- With other settings ------------------------------------------------------------------------


def test_the_table_has_every_setting():
    assert set(OTHER) == set(SPECS)
    for name, value in OTHER.items():
        assert getattr(replace(BEGUN, **{name: value}), name) != getattr(BEGUN, name), name


def of_kind(kind) -> list[str]:
    return [name for name, spec in SPECS.items() if spec.on_resume is kind]


@pytest.mark.parametrize("name", of_kind(FIXED))
def test_what_cannot_change_is_refused_by_name_and_nothing_is_lost(name, begun, whole):
    easel = begun()
    changed = replace(BEGUN, **{name: OTHER[name]})
    told = rf"{name} is {OTHER[name]}, but the picture was begun with {getattr(BEGUN, name)};"
    with pytest.raises(SettingsError, match=told):
        easel.resume(changed)
    assert easel.settings == BEGUN
    np.testing.assert_array_equal(third(easel.resume()).image, whole)
    list(easel.resume(BEGUN.resumed_with(changed)))  # it goes on with what can change


@pytest.mark.parametrize("name", of_kind(FREE))
def test_the_optimizers_memory_stays_where_it_is_still_true(name, begun, whole):
    """Without it, the next step would be another one."""
    changed = replace(BEGUN, **{name: OTHER[name]})
    with_memory, without = begun(), begun()
    without.forget()
    kept, dropped = (third(easel.resume(changed)).image for easel in (with_memory, without))
    assert with_memory.settings == changed
    assert not np.array_equal(kept, dropped)
    if name == "learning_rate":
        assert not np.array_equal(kept, whole), "it took no effect"
    else:
        np.testing.assert_array_equal(kept, whole)


# Of another objective, all but these show at the next step beside one without memory: L-BFGS'
# memory is empty there, the weights are the same, a castle has no face, and at the finest scale no
# averages count beside the style loss.
NOT_SHOWING = {"lbfgs_memory", "weights", "subject", "gram_weight"}


@pytest.mark.parametrize("name", of_kind(OBJECTIVE))
def test_another_objective_drops_the_optimizers_memory_and_takes_effect(name, begun, request):
    """The picture is that of an easel that forgot, gone on with by the same settings."""
    changed = replace(BEGUN, **{name: OTHER[name]})
    if name == "network":
        changed = replace(changed, weights=request.getfixturevalue("vgg19"))
    easel, forgetful, unchanged = (begun(masked=name == "feather") for _ in range(3))
    forgetful.forget()
    unchanged.forget()
    resumed, forgotten = (third(one.resume(changed)) for one in (easel, forgetful))
    assert easel.settings == changed
    np.testing.assert_array_equal(resumed.image, forgotten.image)
    assert resumed.losses == forgotten.losses
    as_it_was = third(unchanged.resume())
    assert (resumed.losses != as_it_was.losses) is (name not in NOT_SHOWING)


def test_a_run_goes_on_with_another_strength_and_another_optimizer(castle, great_wave):
    easel = Easel(castle, great_wave, replace(BEGUN, steps=8))
    *_, before = easel.paint()
    *_, after = easel.resume(replace(BEGUN, strength=1.0, optimizer="lbfgs", steps=4))
    assert after.done
    assert after.step == 12
    assert after.losses["style"] < before.losses["style"]


class Clock:
    """A clock that stands still but for what is added to it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_a_run_that_goes_on_has_its_whole_time_budget_again(
    castle, great_wave, monkeypatch, before_each_step
):
    clock = Clock()
    monkeypatch.setattr(run_module, "time", clock)

    def take_half_a_second(state):
        clock.now += 0.5
        return state

    before_each_step(take_half_a_second)
    easel = Easel(castle, great_wave, replace(BEGUN, steps=2))
    list(easel.paint())
    *_, last = easel.resume(replace(BEGUN, time_budget=3))
    assert (last.step, last.elapsed, last.done, last.plan.steps) == (8, 3.0, True, 8)


def test_there_must_be_something_to_go_on_with(castle, great_wave):
    easel = Easel(castle, great_wave, BEGUN)
    assert not easel.can_resume
    with pytest.raises(SettingsError, match="nothing to go on with"):
        easel.resume()
    next(easel.paint())  # the first look is no step
    assert not easel.can_resume
    stop_after(easel.paint(), 1)
    assert easel.can_resume


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"weights": "absent.h5"}, WeightsError, "absent.h5: there is no such file"),
        ({"network": "vgg19"}, WeightsError, "are not embedded; set weights to a file"),
        ({"optimizer": "sfumato"}, SettingsError, "optimizer is 'sfumato'.*one of: adam"),
        ({"style_layers": BRUSHWORK["balanced"], "color": "sepia"}, SettingsError, "color is"),
    ],
)
def test_what_does_not_exist_is_refused_at_the_call_and_nothing_is_lost(
    changes, error, told, begun, whole
):
    easel = begun()
    with pytest.raises(error, match=told):
        easel.resume(replace(BEGUN, **changes))
    assert easel.settings == BEGUN
    np.testing.assert_array_equal(third(easel.resume()).image, whole)


def test_a_painting_that_is_gone_is_told_when_it_is_needed_again(castle, tmp_path):
    painting = shutil.copy(example("style/great-wave"), tmp_path)
    easel = Easel(castle, painting, BEGUN)
    stop_after(easel.paint(), 2)
    (tmp_path / "great-wave.jpg").unlink()
    with pytest.raises(ImageError, match="no picture file"):
        easel.resume(replace(BEGUN, style_scale=0.5))
    assert easel.settings == BEGUN
    assert list(easel.resume())[-1].done
