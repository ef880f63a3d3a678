"""Whole runs: what is checked at the call, the frames, the outcome, and how a run is stopped.

With the real weights. Where only the order of things matters, the losses look at the first layer
alone, so that a step takes no time.
"""

from __future__ import annotations

import re
import threading
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from conftest import example

from nst_core import (
    DivergenceError,
    Easel,
    Engine,
    ImageError,
    OutOfMemoryError,
    PreviewError,
    Settings,
    SettingsError,
    StopToken,
    Style,
    WeightsError,
    stream,
    stylize,
)
from nst_core.engine import memory
from nst_core.engine import plan as plan_module
from nst_core.engine import run as run_module
from nst_core.engine.choices import CHOICES
from nst_core.engine.engine import TRIAL_SIZE, compiled_step
from nst_core.engine.job import Follows
from nst_core.engine.objective import Objective
from nst_core.engine.plan import Choice, needed
from nst_core.losses.term import Before
from nst_core.networks.vgg import VGG16
from nst_core.pictures import images
from nst_core.starts import INITS

QUICK = Settings(style_loss="gram", size=64, steps=3, frame_interval=0, precision="float32")

# The first layer alone.
SHALLOW = Settings(
    style_loss="gram",
    size=64,
    steps=4,
    init="content",
    frame_interval=0,
    precision="float32",
    content_layer="block1_conv1",
    style_layers={"block1_conv1": 1.0},
)
RARE = replace(SHALLOW, frame_interval=3600)
TWO_SCALES = replace(SHALLOW, size=512)  # of the strip


@pytest.fixture(scope="session")
def strip(castle_512) -> np.ndarray:
    """A photo that is painted at 256 and at 512 px, and has few pixels, uint8 [32, 512, 3]."""
    return castle_512[160:192].copy()


# --- Checked at the call ------------------------------------------------------------------------


@pytest.mark.parametrize("field", CHOICES)
def test_an_unknown_choice_is_refused_with_the_known_ones(field, castle, great_wave):
    value = {"sfumato": 1.0} if field == "style_layers" else "sfumato"
    with pytest.raises(
        SettingsError, match=rf"{field} is 'sfumato'.*one of: {min(CHOICES[field])}"
    ):
        stream(castle, great_wave, Settings(**{field: value}))


def test_bad_pictures_are_refused_at_the_call(castle, great_wave, tmp_path):
    with pytest.raises(ImageError, match="no picture file"):
        stream(tmp_path / "absent.jpg", great_wave)
    with pytest.raises(ImageError, match="every side needs"):
        stream(castle, great_wave[:1])
    with pytest.raises(ImageError, match="no picture file"):
        stream(castle, great_wave, canvas=tmp_path / "absent.jpg")


def test_a_broken_stylizer_is_refused_at_the_call_and_the_embedded_one_still_works(
    castle, great_wave, tmp_path
):
    broken = replace(QUICK, stylizer=str(tmp_path / "absent"))
    with pytest.raises(PreviewError, match="leave the setting empty"):
        stream(castle, great_wave, broken)
    assert stylize(castle, great_wave, QUICK).done


def test_broken_weights_are_refused_at_the_call(castle, great_wave, tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        stream(castle, great_wave, Settings(style_loss="gram", weights=str(tmp_path / "absent.h5")))
    with pytest.raises(WeightsError, match="are not embedded; set weights to a file"):
        stream(castle, great_wave, Settings(style_loss="gram", network="vgg19"))


def room_for(pixels: int) -> float:
    """Bytes that a whole shallow run with the shortest memory needs."""
    return needed(pixels, 0, "float32", Choice(None, "short"), Objective.of(SHALLOW)).total


def test_a_size_that_does_not_fit_into_memory_is_refused_with_one_that_does(
    castle, great_wave, monkeypatch
):
    wanted = replace(SHALLOW, size=768, enlarge=True)
    monkeypatch.setattr(memory, "available", lambda: room_for(256 * 384))
    with pytest.raises(
        SettingsError, match=r"size is 768, .* GB are free; try size=(\d+)"
    ) as error:
        stream(castle, great_wave, wanted)
    size = int(re.search(r"size=(\d+)", str(error.value))[1])
    assert 352 <= size <= 384
    stream(castle, great_wave, replace(wanted, size=size))  # fits
    monkeypatch.setattr(memory, "available", lambda: 0.0)
    with pytest.raises(SettingsError, match="close other programs"):
        stream(castle, great_wave, Settings(style_loss="gram"))


def test_a_size_that_was_left_open_gives_way_where_memory_is_short(
    castle_512, great_wave, monkeypatch
):
    monkeypatch.setattr(memory, "available", lambda: room_for(70 * 104))
    frame = stylize(castle_512, great_wave, replace(SHALLOW, size=None))
    assert frame.image.shape[:2] == (64, 96)
    assert (frame.plan.width, frame.plan.height) == (96, 64)
    assert frame.notice == "There is not enough free memory for 512 px: painted at 96 px."
    with pytest.raises(SettingsError, match=r"size is 512, .*try size=96"):  # it was asked for
        stream(castle_512, great_wave, replace(SHALLOW, size=512))
    monkeypatch.undo()
    assert stylize(castle_512, great_wave, SHALLOW).notice == ""


# --- Frames -------------------------------------------------------------------------------------


def test_frames_count_and_carry_everything(castle, great_wave):
    asked = replace(QUICK, size=96)
    frames = list(stream(castle, great_wave, asked))
    assert [frame.step for frame in frames] == [0, 1, 2, 3]
    assert [frame.done for frame in frames] == [False, False, False, True]
    assert all(frame.image.dtype == np.uint8 for frame in frames)
    assert all(frame.image.shape == castle.shape for frame in frames)
    assert all(frame.total_steps == 3 and frame.scale == 96 for frame in frames)
    assert [frame.stage for frame in frames] == ["preview", "fine", "fine", "fine"]
    assert frames[0].losses == {}
    assert frames[0].eta is None
    assert set(frames[1].losses) == {"total", "content", "style", "tv"}
    assert frames[-1].eta == 0
    assert [f.elapsed for f in frames] == sorted(f.elapsed for f in frames)
    assert len({frame.image.tobytes() for frame in frames}) == 4
    assert {frame.plan for frame in frames} == {Easel(castle, great_wave, asked).plan}


def test_frames_are_throttled_by_time_but_never_the_first_and_last(castle, great_wave):
    """And throttling does not change the picture."""
    first, last = stream(castle, great_wave, RARE)
    assert (first.step, last.step) == (0, 4)
    np.testing.assert_array_equal(last.image, stylize(castle, great_wave, SHALLOW).image)


def test_the_style_loss_falls_by_nine_tenths():
    settings = replace(QUICK, size=128, steps=20, init="content")
    frames = list(stream(example("content/castle"), example("style/great-wave"), settings))
    assert frames[-1].losses["style"] < 0.1 * frames[1].losses["style"]
    assert frames[-1].losses["total"] < 0.2 * frames[1].losses["total"]


def test_the_preview_start_is_nearer_to_the_goal_than_the_photo(castle, great_wave):
    preview, photo = (
        stylize(castle, great_wave, replace(QUICK, steps=8, init=init)).losses["total"]
        for init in ("preview", "content")
    )
    assert preview < photo


def test_bfloat16_ends_where_float32_ends():
    """The paths differ by rounding; at 64 px they ended within 0.1 % of each other."""
    files = example("content/castle"), example("style/great-wave")
    float32, bfloat16 = (
        stylize(*files, replace(QUICK, init="content", precision=precision)).losses["total"]
        for precision in ("float32", "bfloat16")
    )
    assert bfloat16 == pytest.approx(float32, rel=0.04)
    assert bfloat16 != float32, "the precision made no difference, so it was not used"


def test_coarse_to_fine(strip, great_wave):
    """Two scales: full-size pictures all along, and the fine one goes on from the coarse one.

    There are two frames more than steps while the fine scale is set up, so that nobody waits long.
    """
    settings = replace(QUICK, size=512, steps=5)
    frames = list(stream(strip, great_wave, settings))
    assert [frame.step for frame in frames] == [0, 1, 2, 2, 2, 3, 4, 5]
    assert [frame.stage for frame in frames] == ["preview", *["coarse"] * 2, *["fine"] * 5]
    assert [frame.scale for frame in frames] == [512, 256, 256, 512, 512, 512, 512, 512]
    assert {frame.image.shape for frame in frames} == {strip.shape}
    before, after = (frames[k].image.astype(float) for k in (2, 5))
    assert np.abs(after - before).mean() < 8, "the fine scale did not start from the coarse one"
    assert frames[-1].eta == 0
    assert all(frame.eta > 0 for frame in frames[1:-1])


class Clock:
    """A clock that stands still but for what is added to it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize("compiling", [0.0, 40.0])
def test_a_time_budget_is_kept_on_a_machine_half_as_fast_as_expected(
    castle, great_wave, monkeypatch, before_each_step, compiling
):
    """And what the first run of a process waits for its steps to be compiled is no part of it."""
    clock = Clock()
    monkeypatch.setattr(run_module, "time", clock)
    expected = 0.25 / (64 * 43)  # s for each pixel of a step
    monkeypatch.setattr(plan_module, "expected_seconds", lambda flop, precision: expected)

    def take_half_a_second(state):
        clock.now += 0.5
        return state

    def compile_slowly(*_):
        clock.now += compiling

    before_each_step(take_half_a_second)
    monkeypatch.setattr(Engine, "prepare_for", compile_slowly)
    frames = list(stream(castle, great_wave, replace(SHALLOW, time_budget=10)))
    assert frames[0].total_steps == 38  # 40, but for what setting up takes
    assert {frame.total_steps for frame in frames[1:]} == {20}
    last = frames[-1]
    assert (last.step, last.done, last.plan.steps) == (20, True, 20)
    assert last.elapsed == compiling + 10
    assert [frame.eta for frame in frames[1:]] == pytest.approx(
        [last.elapsed - frame.elapsed for frame in frames[1:]]
    )


def test_targets_are_found_once_per_scale(strip, great_wave, monkeypatch):
    found = []
    problem = Engine.problem

    def counted(engine, photo, *rest):
        found.append(photo.shape[1:3])
        return problem(engine, photo, *rest)

    monkeypatch.setattr(Engine, "problem", counted)
    stylize(strip, great_wave, TWO_SCALES)
    assert [size for size in found if size != TRIAL_SIZE] == [(16, 256), (32, 512)]


@pytest.mark.parametrize("init", INITS)
def test_every_start_goes_from_coarse_to_fine(init, strip, great_wave):
    settings = replace(TWO_SCALES, steps=2, init=init)
    first, *rest = stream(strip, great_wave, settings)
    assert first.stage == ("preview" if init == "preview" else "coarse")
    assert [frame.stage for frame in rest] == ["coarse", "fine", "fine", "fine"]


def test_starts(castle, great_wave):
    first = {
        init: next(stream(castle, great_wave, replace(SHALLOW, size=96, init=init))).image
        for init in INITS
    }
    np.testing.assert_array_equal(first["content"], castle)
    assert set(np.unique(first["grey"])) == {128}
    noise = first["noise"].astype(float)
    assert 120 < noise.mean() < 135
    assert 70 < noise.std() < 78  # uniform: 255 / sqrt(12)


def test_same_settings_and_seed_same_bytes(castle, great_wave):
    settings = replace(QUICK, init="noise", seed=3)
    runs = [stylize(castle, great_wave, settings).image for _ in range(2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    other = stylize(castle, great_wave, replace(settings, seed=4))
    assert not np.array_equal(runs[0], other.image)


@pytest.mark.parametrize(("height", "width"), [(16, 200), (97, 33), (40, 40)])
def test_any_size_and_aspect_ratio(height, width, great_wave, rng):
    photo = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    frame = stylize(photo, great_wave, replace(QUICK, size=256, steps=1))
    assert frame.image.shape == (height, width, 3)


@pytest.mark.parametrize("pooling", CHOICES["pooling"])
@pytest.mark.parametrize("optimizer", CHOICES["optimizer"])
def test_every_optimizer_and_pooling_paints(optimizer, pooling, castle, great_wave):
    settings = replace(
        QUICK,
        init="content",
        optimizer=optimizer,
        pooling=pooling,
        style_layers={"block1_conv1": 0.5, "block2_conv1": 0.5},
        content_layer="block2_conv1",
    )
    frames = list(stream(castle, great_wave, settings))
    assert frames[-1].losses["total"] < frames[1].losses["total"]


def test_strength_moves_the_picture_from_the_photo_to_the_painting(castle, great_wave):
    losses = [
        stylize(castle, great_wave, replace(QUICK, steps=6, strength=strength)).losses
        for strength in (0, 0.5, 1)
    ]
    style = [found["style"] for found in losses]
    content = [
        found["content"] / alpha for found, alpha in zip(losses, (30, 1, 1 / 30), strict=True)
    ]
    assert style == sorted(style, reverse=True)
    assert content == sorted(content)


def test_few_steps_leave_no_rim():
    """Near a border, where VGG's image has each pixel twice, a picture moves no further."""
    pair = example("content/castle"), example("style/great-wave")
    few = replace(QUICK, size=192, init="content")
    moved = np.abs(stylize(*pair, few).image / 255 - images.load(pair[0], 192).rgb[0]).mean(-1)
    margin = VGG16.padding
    inside = moved[margin:-margin, margin:-margin]
    rim = (moved.sum() - inside.sum()) / (moved.size - inside.size)
    assert rim < 1.3 * inside.mean()  # 1.6 times without `times_seen`


# --- Paintings, transparency, an own canvas -----------------------------------------------------


def test_one_painting_in_a_list_is_the_painting(castle, great_wave):
    listed = stylize(castle, [(great_wave, 5.0)], SHALLOW)
    np.testing.assert_array_equal(listed.image, stylize(castle, great_wave, SHALLOW).image)


def test_two_paintings_are_mixed(castle, great_wave):
    other = example("style/composition-viii")
    mixed = stylize(castle, [(great_wave, 1.0), (other, 1.0)], SHALLOW)
    for alone in (great_wave, other):
        assert not np.array_equal(mixed.image, stylize(castle, alone, SHALLOW).image)


def test_senseless_weights_of_paintings_are_refused_at_the_call(castle, great_wave):
    with pytest.raises(SettingsError, match="style must be"):
        stream(castle, [(great_wave, 0), (castle, 0)])


def test_transparency_comes_back(castle, great_wave):
    alpha = np.zeros(castle.shape[:2], np.uint8)
    alpha[10:40, 20:60] = 255
    alpha[40:50] = 100
    frame = stylize(np.dstack([castle, alpha]), great_wave, replace(SHALLOW, size=96))
    picture = frame.to_pil()
    assert picture.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(picture)[:, :, 3], alpha)
    np.testing.assert_array_equal(np.asarray(picture)[:, :, :3], frame.image)


def test_an_own_canvas_is_the_first_frame_and_the_run_goes_on_from_it(castle, great_wave, tmp_path):
    """At the photo's size, whatever its own is; the stylizer is not even looked for."""
    settings = replace(SHALLOW, size=96, init="preview", stylizer=str(tmp_path / "absent"))
    first, second, *_ = stream(castle, great_wave, settings, canvas=castle[::-1].copy())
    np.testing.assert_array_equal(first.image, castle[::-1])
    assert (first.step, first.losses) == (0, {})
    assert np.abs(second.image.astype(int) - castle[::-1]).mean() < 10
    large = example("content/castle")
    first = next(stream(castle, great_wave, replace(settings, init="noise"), canvas=large))
    assert first.image.shape == castle.shape
    assert np.abs(first.image.astype(int) - castle).mean() < 3


def test_an_own_canvas_is_no_preview(castle, great_wave):
    first = next(stream(castle, great_wave, QUICK, canvas=castle))
    assert first.stage == "fine"


def test_a_run_from_an_own_canvas_goes_from_coarse_to_fine(strip, great_wave):
    """And the photo as canvas is the same as the photo as start."""
    own = list(stream(strip, great_wave, replace(TWO_SCALES, init="noise"), canvas=strip))
    photo = list(stream(strip, great_wave, TWO_SCALES))
    assert [frame.scale for frame in own] == [frame.scale for frame in photo]
    np.testing.assert_array_equal(own[-1].image, photo[-1].image)


def test_unknown_colours_are_refused_with_the_known_ones(castle, great_wave):
    easel = Easel(castle, great_wave, SHALLOW)
    frame = next(easel.paint())
    with pytest.raises(SettingsError, match=r"'sepia'.*one of: histogram, linear, luminance"):
        easel.recolored(frame, "sepia")


# --- Compiled once ------------------------------------------------------------------------------


def compiled_for(settings: Settings, regions: int):
    return compiled_step(Objective.of(settings), settings.precision, "full", regions, None)


def test_runs_of_other_shapes_and_weights_trace_nothing(castle, great_wave):
    stylize(castle, great_wave, SHALLOW)
    compiled = compiled_for(SHALLOW, 0)
    mix = [(great_wave, 2), (castle, 1)]
    for size, weight, style in [(64, 1e-3, great_wave), (80, 1e-4, mix), (96, 7e-4, mix[::-1])]:
        stylize(castle, style, replace(SHALLOW, size=size, content_weight=weight))
    assert compiled is compiled_for(SHALLOW, 0)
    assert compiled.start.experimental_get_tracing_count() == 1
    assert compiled.step.experimental_get_tracing_count() == 1


def test_runs_with_other_masks_trace_nothing(castle, great_wave):
    compiled = compiled_for(SHALLOW, 2)
    for size, column in [(96, 6), (64, 14), (80, 10)]:
        mask = np.zeros([20, 20], np.uint8)
        mask[:, :column] = 255
        styles = [Style(great_wave, mask=mask), Style(castle)]
        stylize(castle, styles, replace(SHALLOW, size=size))
    assert compiled is compiled_for(SHALLOW, 2)
    assert compiled.start.experimental_get_tracing_count() == 1
    assert compiled.step.experimental_get_tracing_count() == 1


# --- Stopping -----------------------------------------------------------------------------------


@pytest.fixture
def stop_in_step(before_each_step):
    """Makes the token be set in the middle of a step; returns the list of the steps begun."""

    def install(token: StopToken, number: int) -> list[int]:
        begun: list[int] = []

        def hook(state):
            begun.append(len(begun) + 1)
            if len(begun) == number:
                token.stop()
            return state

        before_each_step(hook)
        return begun

    return install


def test_a_stop_sends_the_newest_picture_and_the_easel_goes_on(castle, great_wave, stop_in_step):
    """And ends where the run that never stopped ends, to the pixel."""
    whole = stylize(castle, great_wave, replace(RARE, steps=30)).image
    token = StopToken()
    begun = stop_in_step(token, 20)
    easel = Easel(castle, great_wave, replace(RARE, steps=30))
    first, last = easel.paint(token)
    assert (first.step, last.step, last.done) == (0, 20, False)
    assert set(last.losses) == {"total", "content", "style", "tv"}
    assert len(begun) == 20
    again, end = easel.resume()
    np.testing.assert_array_equal(again.image, last.image)
    assert (again.step, end.step, end.done) == (20, 30, True)
    np.testing.assert_array_equal(end.image, whole)


def test_a_stop_sends_nothing_that_was_sent_already(castle, great_wave):
    token = StopToken()
    seen = []
    for frame in stream(castle, great_wave, replace(SHALLOW, steps=30), stop=token):
        seen.append(frame.step)
        if frame.step == 2:
            token.stop()
    assert seen == [0, 1, 2]


def test_a_stop_in_the_last_step_is_no_stop(castle, great_wave, stop_in_step):
    token = StopToken()
    stop_in_step(token, 4)
    frames = list(stream(castle, great_wave, RARE, stop=token))
    assert [(frame.step, frame.done) for frame in frames] == [(0, False), (4, True)]


def test_a_stop_before_the_run_gives_no_frames(castle, great_wave, monkeypatch, steps_done):
    def fail(request):
        pytest.fail("a start was made")

    monkeypatch.setitem(INITS, "content", fail)
    token = StopToken()
    easel = Easel(castle, great_wave, SHALLOW)
    frames = easel.paint(token)
    token.stop()
    assert list(frames) == []
    assert steps_done == []
    assert not easel.can_resume


def test_a_stop_while_the_start_is_made_gives_no_frames(castle, great_wave, monkeypatch):
    token = StopToken()
    start = INITS["content"]

    def stopped(request):
        token.stop()
        return start(request)

    monkeypatch.setitem(INITS, "content", stopped)
    assert list(stream(castle, great_wave, SHALLOW, stop=token)) == []


@pytest.mark.parametrize("moment", ["first look", "targets", "state"])
def test_a_stop_before_the_first_step(moment, castle, great_wave, monkeypatch, steps_done):
    token = StopToken()
    easel = Easel(castle, great_wave, RARE)
    if moment != "first look":
        stop_in(monkeypatch, token, {"targets": "problem", "state": "start"}[moment], 1)
    frames = easel.paint(token)
    assert next(frames).step == 0
    if moment == "first look":
        token.stop()
    assert list(frames) == []
    assert steps_done == []
    assert not easel.can_resume
    assert list(easel.paint())[-1].done


def stop_in(monkeypatch, token: StopToken, method: str, call: int) -> None:
    """Set the token in the engine's method, in the so-manieth call of it."""
    original, calls = getattr(Engine, method), []

    def stopping(*given):
        calls.append(1)
        if len(calls) == call:
            token.stop()
        return original(*given)

    monkeypatch.setattr(Engine, method, stopping)


@pytest.mark.parametrize("moment", ["last coarse step", "targets", "state", "frame"])
def test_a_stop_between_two_scales(moment, strip, great_wave, monkeypatch):
    """Whatever is being done there: the coarse picture is sent, and the easel goes on from it."""
    settings = replace(TWO_SCALES, frame_interval=0 if moment == "frame" else 3600)
    whole = stylize(strip, great_wave, settings).image
    token = StopToken()
    easel = Easel(strip, great_wave, settings)
    with monkeypatch.context() as patch:
        if moment != "frame":
            method = {"last coarse step": "step", "targets": "problem", "state": "start"}[moment]
            stop_in(patch, token, method, 2)
        seen = []
        for frame in easel.paint(token):
            seen.append((frame.step, frame.scale))
            if moment == "frame" and frame.step == 2 and frame.scale == 512:
                token.stop()
    assert seen[-1][0] == 2
    assert max(step for step, _ in seen) == 2
    *_, last = easel.resume()
    assert (last.step, last.scale, last.done) == (4, 512, True)
    np.testing.assert_array_equal(last.image, whole)


def test_a_condition_ends_the_run(castle, great_wave, steps_done):
    token = StopToken(lambda: "two are enough" if len(steps_done) == 2 else "")
    frames = list(stream(castle, great_wave, replace(RARE, steps=30), stop=token))
    assert [frame.step for frame in frames] == [0, 2]
    assert len(steps_done) == 2
    assert token.reason == "two are enough"


# --- Ending -------------------------------------------------------------------------------------


def test_closing_ends_the_work_at_once(castle, great_wave, steps_done):
    frames = stream(castle, great_wave, replace(SHALLOW, steps=1000))
    for _ in range(3):
        next(frames)
    assert len(steps_done) == 2
    frames.close()
    assert len(steps_done) == 2
    assert list(frames) == []


def test_an_abandoned_run_does_not_block_the_next(castle, great_wave):
    """In another thread, which could not take a lock that the first one holds."""
    abandoned = stream(castle, great_wave, replace(SHALLOW, steps=1000))
    next(abandoned)
    next(abandoned)
    ended = []
    thread = threading.Thread(
        target=lambda: ended.append(stylize(castle, great_wave, SHALLOW).done), daemon=True
    )
    thread.start()
    thread.join(timeout=60)
    assert ended == [True]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        tf.errors.AbortedError(None, None, "could not create a primitive"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_allocation_that_fails_ends_that_run_only(error, castle, great_wave, before_each_step):
    calls = []

    def fail_at_the_third(state):
        calls.append(1)
        if len(calls) == 3:
            raise error
        return state

    before_each_step(fail_at_the_third)
    easel = Easel(castle, great_wave, SHALLOW)
    seen = []
    with pytest.raises(OutOfMemoryError, match="not enough memory to go on; the picture so far"):
        seen.extend(easel.paint())
    assert [frame.step for frame in seen] == [0, 1, 2]
    assert [frame.step for frame in easel.resume()] == [2, 3, 4]
    assert stylize(castle, great_wave, SHALLOW).done


def test_nan_in_a_step_ends_with_the_last_good_picture(castle, great_wave, before_each_step):
    """The third step is made to go wrong, as a defective device would."""
    expected = stylize(castle, great_wave, replace(SHALLOW, steps=2))
    calls = []

    def break_the_third(state):
        calls.append(1)
        return state._replace(gradient=state.gradient * np.nan) if len(calls) == 3 else state

    before_each_step(break_the_third)
    frames = stream(castle, great_wave, replace(RARE, steps=9))
    seen = []
    with pytest.raises(DivergenceError, match=r"Step 3 gave NaN.*smaller learning rate") as caught:
        seen.extend(frames)  # keeps those that came before the error
    assert [frame.step for frame in seen] == [0, 2]
    assert caught.value.frame is seen[-1]
    np.testing.assert_array_equal(seen[-1].image, expected.image)


# --- Frames of a film ---------------------------------------------------------------------------


def test_the_canvas_is_what_the_last_step_left(castle, great_wave):
    easel = Easel(castle, great_wave, replace(SHALLOW, size=96, steps=2))
    with pytest.raises(SettingsError, match="no step"):
        _ = easel.canvas
    *_, last = easel.paint()
    assert easel.canvas.shape == (1, *castle.shape)
    np.testing.assert_array_equal(easel.shown(easel.canvas[0] * 255), last.image)


def test_a_frame_that_follows_is_held_to_the_one_before(castle, great_wave):
    settings = replace(SHALLOW, size=96, steps=4)
    known = np.zeros([1, *castle.shape[:2], 1], np.float32)
    known[:, :, :48] = 1
    picture = castle[::-1][np.newaxis].astype(np.float32) / 255
    follows = Follows(castle, castle[::-1].copy(), Before(picture, known))
    easel = Easel(castle, great_wave, settings, canvas=castle[::-1].copy(), follows=follows)
    *_, last = easel.paint()
    assert last.losses["temporal"] > 0
    moved = np.square(easel.canvas - picture)
    assert moved[:, :, :44].mean() < moved[:, :, 52:].mean() / 4
