"""Painting as the page calls it: begin, stop, go on; with the fake engine."""

from __future__ import annotations

import contextvars
import errno
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from conftest import example
from fake_engine import LIMIT
from gradio.context import LocalContext
from PIL import Image
from visits import CASTLE, OTHER, WAVE, mixed, paint, paint_until, pixels, values_of

from nst_core import Easel, Settings, StopToken, recipe
from nst_core.pictures import images
from nst_core.recipe import Stretch
from page import choose, controls, studio, words
from page import paint as room
from page import turns as turns_room
from page.stage import Shown
from page.studio import STUDIO
from page.texts import speaking

pytestmark = pytest.mark.usefixtures("steps", "turns")


def test_the_first_thing_shown_is_the_photo():
    run = paint()
    shown = next(run)
    photo = images.to_uint8(images.load(CASTLE, 96).rgb)
    assert np.abs(pixels(shown.picture) - photo).mean() < 6  # a small JPEG
    assert shown[1:4] == (words.ready_text(), None, gr.skip())
    run.close()


def test_the_last_thing_shown_is_a_png_of_the_last_frame_with_its_recipe():
    *_, shown = paint(steps=2)
    painting = STUDIO.find(shown.token)
    assert shown.status.endswith("(2 steps).")
    assert Path(shown.picture).name == "castle-great-wave.png"
    np.testing.assert_array_equal(pixels(shown.picture), painting.frame.image)
    assert set(shown.losses["term"]) >= {"total", "photo", "painting", "edges", "smoothness"}
    assert room.at_rest(shown.token).save["value"] == shown.picture
    made = recipe.read(shown.picture)
    assert made.settings == Settings(size=96, steps=2)
    assert made.plan == painting.frame.plan
    assert (made.plan.size, made.plan.steps, made.plan.precision) == (96, 2, "float32")


@pytest.mark.parametrize(
    ("content", "style", "position", "value", "message"),
    [
        (None, WAVE, 0, 96, "Choose a photo first."),
        (CASTLE, None, 0, 96, "Choose a painting first."),
        (CASTLE, WAVE, "size", 7, "size is 7, but it must be between 64 and 4096 px."),
        (CASTLE, WAVE, "frame_interval", 3600, "frame_interval is 3600.0, but it must be at most"),
        (CASTLE, WAVE, "frame_interval", 1.1, "frame_interval is 1.1, but it must be at most 1 s"),
        (CASTLE, WAVE, "optimizer", "magic", "optimizer is 'magic'"),
        (CASTLE, WAVE, "style_layers", "nonsense", "style_layers is 'nonsense'"),
        (CASTLE, __file__, 0, 96, "is not a picture"),
    ],
)
def test_errors_are_one_plain_sentence(content, style, position, value, message):
    values = values_of()
    values[controls.NAMES.index(position) if isinstance(position, str) else position] = value
    shown = []
    with pytest.raises(gr.Error) as error:
        shown.extend(room.paint(None, content, style, *values))
    assert message in error.value.message
    assert not error.value.print_exception
    # The status says it, too; the picture and the painting of the run before stay.
    assert shown == [Shown(status=error.value.message, losses=None)]


def test_very_long_names_of_files_are_cut(tmp_path):
    name = tmp_path / ("x" * 200 + ".png")
    Image.new("RGB", (32, 32)).save(name)
    *_, shown = room.paint(None, str(name), str(name), *values_of(size=64, steps=1))
    assert Path(shown.picture).name == "x" * 60 + "-" + "x" * 60 + ".png"


def test_a_first_look_is_the_runs_first_picture(steps):
    run = paint(steps=1)
    next(run)
    expected = next(run).picture
    run.close()
    first_look = pixels(room.preview(CASTLE, WAVE, 96)).astype(np.uint8)
    assert np.abs(pixels(studio.save_frame(first_look)) - pixels(expected)).mean() < 0.1
    assert steps.done == []
    with pytest.raises(gr.Error, match="Choose a photo first"):
        room.preview(None, WAVE, 96)
    with pytest.raises(gr.Error, match="size is 4096, but it must be at most 2048 px here"):
        room.preview(CASTLE, WAVE, 4096)


def test_the_button_tells_how_many_others_are_ahead(read, steps, turns):
    assert room.label("30", 80)["value"] == "Paint · 30 s"
    assert room.label("2.5", 80)["value"] == "Paint · 2.5 s"
    with speaking("de"):
        assert room.label("2.5", 80)["value"] == "Malen · 2,5 s"
    assert room.label("", 80)["value"] == "Paint · 80 steps"
    steps.hold_at(1)
    own = read(paint(steps=2))
    steps.wait_until_held()
    assert room.label("", 80)["value"] == "Paint · 80 steps"  # one's own run is none
    with turns.join("another"):
        assert room.label("", 80)["value"] == "Paint · 80 steps · 1 ahead"
    steps.release()
    own.result(LIMIT)


def test_the_title_names_the_pair_that_is_painted(tmp_path):
    """Whatever is chosen meanwhile; a file of somebody's own has no name on the page."""
    mine = tmp_path / "my secret.png"
    Image.new("RGB", (32, 32)).save(mine)
    for photo, name in ((CASTLE, "Neuschwanstein Castle"), (str(mine), "Your photo")):
        first, *_ = room.paint(None, photo, WAVE, *values_of(size=64, steps=1))
        assert first.title == f"## {name} × The Great Wave off Kanagawa"


# --- Stopping -----------------------------------------------------------------------------------


@pytest.fixture
def read(monkeypatch, steps) -> Iterator[Callable[..., Future]]:
    """Reads a run to its end, in a thread and in the session of a visitor; so is this one."""
    visitor = LocalContext.request.set(SimpleNamespace(session_hash="a visitor"))
    with ThreadPoolExecutor() as threads:

        def read(run: Iterable[Shown], session: str = "a visitor") -> Future[list[Shown]]:
            context = contextvars.copy_context()
            context.run(LocalContext.request.set, SimpleNamespace(session_hash=session))
            return threads.submit(context.run, list, run)

        yield read
        steps.release()
    LocalContext.request.reset(visitor)


def press_stop(_ticket) -> None:
    room.stop()


def choose_another_pair(_ticket) -> None:
    choose.choose_pair("2")


def come_to_the_end_of_the_turn(ticket) -> None:
    ticket.ends = 0.0


def end_the_server(_ticket) -> None:
    turns_room.TURNS.stop(reason="server ends")


KEPT = "Stopped at step {}; the picture is kept."
WAYS = {
    press_stop: KEPT,
    choose_another_pair: KEPT,
    come_to_the_end_of_the_turn: (
        f"{KEPT} 10-minute limit reached. Press **Continue** to keep painting."
    ),
    end_the_server: KEPT,
}


def check_stopped(run: Future[list[Shown]], text: str) -> None:
    """The run has ended with this text; picture, PNG and recipe are those of its last step."""
    last = run.result(LIMIT)[-1]
    token = [one.token for one in run.result() if isinstance(one.token, str)][-1]
    painting = STUDIO.find(token)
    assert last.status == text
    np.testing.assert_array_equal(pixels(last.picture), painting.frame.image)
    made = recipe.read(last.picture)
    assert made == painting.recipe
    assert made.plan == painting.frame.plan.up_to(painting.frame.step)
    assert made.plan.steps == painting.frame.step
    assert turns_room.TURNS.count() == 0


@pytest.mark.parametrize("stop", WAYS)
def test_every_way_to_stop_ends_the_work_within_the_step(stop, read, steps, turns):
    """While no picture is due: the run sends its last one all the same."""
    steps.hold_at(3)
    run = read(paint(steps=5000, frame_interval=1))
    steps.wait_until_held()
    (ticket,) = turns.tickets
    stop(ticket)
    steps.release()
    check_stopped(run, WAYS[stop].format(3, 5000))
    assert len(steps.done) == 3


@pytest.mark.parametrize("stop", WAYS)
def test_what_goes_on_stops_in_the_same_ways(stop, read, steps, turns):
    token = paint_until(2, steps=5000)
    steps.hold_at(4)
    run = read(room.go_on(token, *values_of(steps=5000, frame_interval=1)))
    steps.wait_until_held()
    stop(turns.tickets[-1])
    steps.release()
    check_stopped(run, WAYS[stop].format(4, 5000))
    assert len(steps.done) == 4


def test_a_stop_between_two_scales_ends_the_run_there(read, steps, turns):
    steps.hold_at(1)  # the only one of the coarse scale
    run = read(paint(size=512, steps=2, frame_interval=1))
    steps.wait_until_held()
    room.stop()
    steps.release()
    check_stopped(run, KEPT.format(1))
    assert [done.picture for done in steps.done] == [(256, 171)]


def test_a_stop_leaves_the_other_visitors_alone(read, steps, turns):
    steps.hold_at(2)
    run = read(paint(steps=3), "another visitor")
    steps.wait_until_held()
    room.stop()
    steps.release()
    assert run.result(LIMIT)[-1].status.endswith("(3 steps).")


BEFORE = "Stopped before the first step; the last picture is kept."


def wait_behind_another(read, steps, turns, run: Iterable[Shown]) -> Future[list[Shown]]:
    """Begin a run while that of another visitor is held at its first step."""
    steps.hold_at(len(steps.done) + 1)
    read(paint(steps=5000, frame_interval=1), "another visitor")
    steps.wait_until_held()
    waiting = read(run)
    while turns.count() < 2:
        assert not waiting.done(), waiting.result()
    return waiting


def end_the_other(steps, turns) -> None:
    turns.stop("another visitor")
    steps.release()
    turns.wait_until_left(None, LIMIT)


def test_a_stop_while_waiting_shows_the_picture_before_again(read, steps, turns):
    *_, before = paint(steps=2)
    run = wait_behind_another(read, steps, turns, paint(before=before.token))
    room.stop()
    first, *_, last = run.result(LIMIT)
    assert first.picture != before.picture
    assert last[:2] == (before.picture, BEFORE)
    assert turns.count() == 1
    end_the_other(steps, turns)
    assert len(steps.done) == 2 + 1
    assert room.at_rest(before.token).go_on["interactive"]


def test_a_stop_before_the_start_shows_the_pair_and_the_losses_before_again(read, steps, turns):
    *_, before = paint(steps=2, frame_interval=0)
    other = room.paint(before.token, str(example("content/owl")), WAVE, *values_of(size=64))
    run = wait_behind_another(read, steps, turns, other)
    room.stop()
    first, *_, last = run.result(LIMIT)
    assert first.title.startswith("## Owl ×")
    assert last.title == "## Neuschwanstein Castle × The Great Wave off Kanagawa"
    assert first.losses is None
    assert sorted(set(last.losses["step"])) == [1, 2]
    end_the_other(steps, turns)


def test_a_stop_while_waiting_without_a_picture_before(read, steps, turns):
    run = wait_behind_another(read, steps, turns, paint())
    room.stop()
    assert run.result(LIMIT)[-1] == Shown(status="Stopped before the first step.", losses=None)
    end_the_other(steps, turns)


def test_a_stop_while_waiting_to_go_on_keeps_the_picture(read, steps, turns):
    token = paint_until(1, steps=3)
    run = wait_behind_another(read, steps, turns, room.go_on(token, *values_of(steps=3)))
    room.stop()
    assert run.result(LIMIT)[-1].status == BEFORE  # and not how the run before ended
    end_the_other(steps, turns)
    assert STUDIO.find(token).frame.step == 1


def test_a_stop_while_the_pictures_are_loaded_shows_the_picture_before_again(
    monkeypatch, steps, turns
):
    *_, before = paint(steps=2)
    make = recipe.make

    def stop_and_make(*sources):
        turns.tickets[-1].stop.stop()
        return make(*sources)

    monkeypatch.setattr(recipe, "make", stop_and_make)
    *_, last = paint(before=before.token)
    assert last[:2] == (before.picture, BEFORE)
    assert (len(steps.done), steps.previews) == (2, 1)


def test_a_stop_at_the_first_look_keeps_that(steps, turns):
    run = paint(steps=3)
    next(run)
    next(run)
    turns.tickets[-1].stop.stop()
    *_, last = run
    assert last.status == KEPT.format(0)
    assert steps.done == []


def test_a_stop_while_waiting_for_a_first_look_spares_its_work(read, steps, turns):
    run = wait_behind_another(read, steps, turns, preview())
    room.stop()
    with pytest.raises(gr.Error, match="Stopped before the first look"):
        run.result(LIMIT)
    end_the_other(steps, turns)
    assert steps.previews == 1


def preview() -> Iterator[str]:
    """A first look, as a run of one picture."""
    yield room.preview(CASTLE, WAVE, 96)


def test_a_stop_after_the_last_step_changes_nothing(read, steps):
    steps.hold_at(2)
    run = read(paint(steps=2, frame_interval=1))
    steps.wait_until_held()
    room.stop()
    steps.release()
    assert run.result(LIMIT)[-1].status.endswith("(2 steps).")


def test_the_longest_interval_of_all_keeps_no_stop_waiting(read, steps):
    """Which the page does not allow, but the engine."""
    easel = Easel(CASTLE, WAVE, Settings(size=96, steps=5000, frame_interval=1000))
    for done, begin in ((3, easel.paint), (5, easel.resume)):
        token = StopToken()
        steps.hold_at(done)
        run = read(begin(stop=token))
        steps.wait_until_held()
        token.stop()
        steps.release()
        assert run.result(LIMIT)[-1].step == done
        assert len(steps.done) == done


# --- A disk that is full ------------------------------------------------------------------------


def test_a_disk_that_fills_during_a_run_leaves_the_tools_as_after_any_other(monkeypatch):
    """Paint can be pressed again; there is no file to save."""
    token = paint_until(1, steps=3)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(images, "save", full)
    monkeypatch.setattr(studio, "write_whole", full)
    recolored = STUDIO.find(token).recolored("luminance")  # of which there is no file yet
    STUDIO.keep(token, recolored)
    tools = room.at_rest(token)
    assert tools.paint["interactive"]
    assert tools.go_on["interactive"]
    assert not tools.stop["interactive"]
    assert (tools.save["value"], tools.save["interactive"]) == (None, False)


# --- Going on -----------------------------------------------------------------------------------


BEGUN = {"size": 96, "steps": 6, "init": "noise", "seed": 1, "frame_interval": 0}
BEGUN["style_loss"] = "gram"  # one scale


def go_on(token: str, **changed) -> tuple[recipe.Recipe, np.ndarray]:
    """Go on to the end; returns the recipe and the picture."""
    *_, shown = room.go_on(token, *values_of(**BEGUN | changed))
    assert shown.token == token
    assert shown.status.endswith("(6 steps).")
    return recipe.read(shown.picture), pixels(shown.picture)


def test_going_on_paints_what_was_never_stopped():
    *_, whole = paint(**BEGUN)
    token = paint_until(2, **BEGUN)
    frames_before = len(STUDIO.find(token).pictures_so_far)
    made, picture = go_on(token)
    np.testing.assert_array_equal(picture, pixels(whole.picture))
    painting = STUDIO.find(token)
    assert len(painting.pictures_so_far) > frames_before
    assert sorted(set(painting.history.table()["step"])) == [1, 2, 3, 4, 5, 6]
    assert made.before == (Stretch(Settings(**BEGUN), 2),)
    assert made.plan == painting.frame.plan


@pytest.mark.parametrize(
    ("name", "value"), [("seed", 2), ("init", "content"), ("size", 128), ("enlarge", True)]
)
def test_what_cannot_change_stays_as_begun_in_recipe_and_picture(name, value, steps):
    *_, whole = paint(**BEGUN)
    token = paint_until(2, **BEGUN)
    made, picture = go_on(token, **{name: value})
    assert made.settings == Settings(**BEGUN)
    assert {done.settings for done in steps.done} == {Settings(**BEGUN)}
    np.testing.assert_array_equal(picture, pixels(whole.picture))


@pytest.mark.parametrize(("name", "value"), [("strength", 0.9), ("style_scale", 0.5)])
def test_what_may_change_is_in_recipe_and_picture(name, value, steps):
    *_, whole = paint(**BEGUN)
    token = paint_until(2, **BEGUN)
    made, picture = go_on(token, **{name: value, "seed": 2})
    after = Settings(**BEGUN | {name: value})
    assert made.settings == after
    assert made.before == (Stretch(Settings(**BEGUN), 2),)
    easel = Easel(CASTLE, WAVE, Settings(**BEGUN))
    for frame in easel.paint():
        if frame.step == 2:
            break
    *_, expected = easel.resume(after)
    np.testing.assert_array_equal(picture, expected.image)
    assert np.abs(picture - pixels(whole.picture)).mean() > 1


def test_another_size_of_strokes_is_another_size_of_the_painting(steps):
    token = paint_until(2, **BEGUN)
    go_on(token, style_scale=0.5)
    sides = [max(done.paintings[0]) for done in steps.done]
    assert sides == [96] * 2 + [48] * 4


def test_going_on_with_nothing_is_told():
    with pytest.raises(gr.Error, match="no longer here"):
        list(room.go_on("gone", *values_of()))


def test_a_region_without_its_painting_is_told(half):
    with pytest.raises(gr.Error, match="region for painting 3, but no painting 3"):
        list(paint(*mixed(mask_3=half)))


def test_the_preview_follows_the_mix():
    pictures = [
        pixels(room.preview(CASTLE, WAVE, 64, *more))
        for more in ((), mixed(style_2=OTHER), mixed(style_2=OTHER, weight_2=0.0))
    ]
    assert np.abs(pictures[0] - pictures[1]).mean() > 5
    np.testing.assert_array_equal(pictures[0], pictures[2])


def test_what_was_begun_meanwhile_keeps_its_tools(turns, monkeypatch):
    """The page's opening may be answered after Paint was pressed; Stop has to stay enabled."""
    monkeypatch.setattr(room, "MAX_STEP_SECONDS", 0.01)
    monkeypatch.setattr(room.turns, "session", lambda: "one")
    with turns.join("one") as ticket:
        assert set(map(str, room.at_rest(None))) == {str(gr.skip())}
        ticket.stop.stop("stopped")
        assert room.at_rest(None).paint["interactive"]
    assert room.at_rest(None).paint["interactive"]
