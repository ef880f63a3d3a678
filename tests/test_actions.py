"""What happens on the page, called as the page calls it; with the fake engine."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import gradio as gr
import numpy as np
import pytest
from conftest import example
from fake_engine import LIMIT
from gradio.context import LocalContext
from PIL import Image

from nst_core import Easel, Settings, StopToken, Style, recipe, stylize
from nst_core.colors.luminance import keep_chroma
from nst_core.pictures import images
from nst_core.presets import PRESETS
from nst_core.recipe import Stretch
from page import actions, controls, examples, mixing, studio, words
from page.actions import STUDIO, Shown

CASTLE, WAVE = str(example("content/castle")), str(example("style/great-wave"))

pytestmark = pytest.mark.usefixtures("steps", "turns")


def values_of(**changed) -> list:
    return controls.show(Settings(**changed))


def told(monkeypatch, kind: str = "Warning") -> list[str]:
    """What visitors are told from now on."""
    messages: list[str] = []
    monkeypatch.setattr(gr, kind, messages.append)
    return messages


def paint(*more, before: str | None = None, **changed) -> Iterator[Shown]:
    """Paint the castle with these settings, and these values of `mixing.MORE`."""
    return actions.paint(before, CASTLE, WAVE, *values_of(**{"size": 96} | changed), *more)


def paint_until(step: int, **changed) -> str:
    """Paint and leave there; returns the token."""
    run = paint(**{"frame_interval": 0} | changed)
    token = next(shown.token for shown in run if step_of(shown) == step)
    run.close()
    return token


def step_of(shown: Shown) -> int:
    painting = STUDIO.find(shown.token) if isinstance(shown.token, str) else None
    return painting.frame.step if painting else -1


def pixels(path: str) -> np.ndarray:
    """A picture that is shown."""
    with Image.open(path) as image:
        return np.asarray(image, int)


# --- Painting -----------------------------------------------------------------------------------


def test_the_first_thing_shown_is_the_photo():
    run = paint()
    shown = next(run)
    photo = images.to_uint8(images.load(CASTLE, 96).rgb)
    assert np.abs(pixels(shown.picture) - photo).mean() < 6  # a small JPEG
    assert shown[1:] == (words.ready_text(), None, gr.skip())
    run.close()


def test_the_last_thing_shown_is_a_png_of_the_last_frame_with_its_recipe():
    *_, shown = paint(steps=2)
    painting = STUDIO.find(shown.token)
    assert shown.status.startswith("Done: 2 steps in ")
    assert Path(shown.picture).name == "castle-great-wave.png"
    np.testing.assert_array_equal(pixels(shown.picture), painting.frame.image)
    assert set(shown.losses["term"]) >= {"total", "content", "style", "edges", "tv"}
    assert actions.at_rest(shown.token).save["value"] == shown.picture
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
        shown.extend(actions.paint(None, content, style, *values))
    assert message in error.value.message
    assert not error.value.print_exception
    # The status says it, too; picture, losses and the painting of the run before stay.
    assert shown == [Shown(status=error.value.message)]


def test_very_long_names_of_files_are_cut(tmp_path):
    name = tmp_path / ("x" * 200 + ".png")
    Image.new("RGB", (32, 32)).save(name)
    *_, shown = actions.paint(None, str(name), str(name), *values_of(size=64, steps=1))
    assert Path(shown.picture).name == "x" * 60 + "-" + "x" * 60 + ".png"


def test_a_first_look_is_the_runs_first_picture(steps):
    run = paint(steps=1)
    next(run)
    expected = next(run).picture
    run.close()
    first_look = pixels(actions.preview(CASTLE, WAVE, 96)).astype(np.uint8)
    assert np.abs(pixels(studio.save_frame(first_look)) - pixels(expected)).mean() < 0.1
    assert steps.done == []
    with pytest.raises(gr.Error, match="Choose a photo first"):
        actions.preview(None, WAVE, 96)


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
    actions.stop()


def choose_another_pair(_ticket) -> None:
    assert actions.pick(SimpleNamespace(index=2)) == 2


def come_to_the_end_of_the_turn(ticket) -> None:
    ticket.ends = 0.0


def end_the_server(_ticket) -> None:
    actions.TURNS.stop(reason="server ends")


KEPT = "Stopped at step {} of {}; the picture is kept."
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
    assert actions.TURNS.count() == 0


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
    run = read(actions.go_on(token, *values_of(steps=5000, frame_interval=1)))
    steps.wait_until_held()
    stop(turns.tickets[-1])
    steps.release()
    check_stopped(run, WAYS[stop].format(4, 5000))
    assert len(steps.done) == 4


def test_a_stop_between_two_scales_ends_the_run_there(read, steps, turns):
    steps.hold_at(1)  # the only one of the coarse scale
    run = read(paint(size=512, steps=2, frame_interval=1))
    steps.wait_until_held()
    actions.stop()
    steps.release()
    check_stopped(run, KEPT.format(1, 2))
    assert [done.picture for done in steps.done] == [(256, 171)]


def test_a_stop_leaves_the_other_visitors_alone(read, steps, turns):
    steps.hold_at(2)
    run = read(paint(steps=3), "another visitor")
    steps.wait_until_held()
    actions.stop()
    steps.release()
    assert run.result(LIMIT)[-1].status.startswith("Done: 3 steps")


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
    actions.stop()
    first, *_, last = run.result(LIMIT)
    assert first.picture != before.picture
    assert last == Shown(before.picture, "Stopped before the first step; the last picture is kept.")
    assert turns.count() == 1
    end_the_other(steps, turns)
    assert len(steps.done) == 2 + 1
    assert actions.at_rest(before.token).go_on["interactive"]


def test_a_stop_while_waiting_without_a_picture_before(read, steps, turns):
    run = wait_behind_another(read, steps, turns, paint())
    actions.stop()
    assert run.result(LIMIT)[-1] == Shown(status="Stopped before the first step.")
    end_the_other(steps, turns)


def test_a_stop_while_waiting_to_go_on_keeps_the_picture(read, steps, turns):
    token = paint_until(1, steps=3)
    run = wait_behind_another(read, steps, turns, actions.go_on(token, *values_of(steps=3)))
    actions.stop()
    assert run.result(LIMIT)[-1] == Shown(status=KEPT.format(1, 3))
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
    assert last == Shown(before.picture, "Stopped before the first step; the last picture is kept.")
    assert (len(steps.done), steps.previews) == (2, 1)


def test_a_stop_at_the_first_look_keeps_that(steps, turns):
    run = paint(steps=3)
    next(run)
    next(run)
    turns.tickets[-1].stop.stop()
    *_, last = run
    assert last.status == KEPT.format(0, 3)
    assert steps.done == []


def test_a_stop_while_waiting_for_a_first_look_spares_its_work(read, steps, turns):
    run = wait_behind_another(read, steps, turns, preview())
    actions.stop()
    with pytest.raises(gr.Error, match="Stopped before the first look"):
        run.result(LIMIT)
    end_the_other(steps, turns)
    assert steps.previews == 1


def preview() -> Iterator[str]:
    """A first look, as a run of one picture."""
    yield actions.preview(CASTLE, WAVE, 96)


def test_a_stop_after_the_last_step_changes_nothing(read, steps):
    steps.hold_at(2)
    run = read(paint(steps=2, frame_interval=1))
    steps.wait_until_held()
    actions.stop()
    steps.release()
    assert run.result(LIMIT)[-1].status.startswith("Done: 2 steps")


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


# --- Going on -----------------------------------------------------------------------------------

BEGUN = {"size": 96, "steps": 6, "init": "noise", "seed": 1, "frame_interval": 0}
BEGUN["style_loss"] = "gram"  # one scale


def go_on(token: str, **changed) -> tuple[recipe.Recipe, np.ndarray]:
    """Go on to the end; returns the recipe and the picture."""
    *_, shown = actions.go_on(token, *values_of(**BEGUN | changed))
    assert shown.token == token
    assert shown.status.startswith("Done: 6 steps")
    return recipe.read(shown.picture), pixels(shown.picture)


def test_going_on_paints_what_was_never_stopped():
    *_, whole = paint(**BEGUN)
    token = paint_until(2, **BEGUN)
    frames_before = len(STUDIO.find(token).pictures_so_far)
    made, picture = go_on(token)
    np.testing.assert_array_equal(picture, pixels(whole.picture))
    painting = STUDIO.find(token)
    assert len(painting.pictures_so_far) > frames_before
    assert sorted({step for step, *_ in painting.history}) == [1, 2, 3, 4, 5, 6]
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
        list(actions.go_on("gone", *values_of()))


# --- After the run ------------------------------------------------------------------------------


def test_nothing_painted_changes_nothing():
    assert actions.blend(None, 50) == gr.skip()
    assert actions.compare(None) == gr.skip()
    assert actions.scrub(None, 3) == gr.skip()
    for view in (actions.open_run(None), actions.show_film(None, ".gif")):
        assert [part["visible"] for part in view[:2]] == [True, False]
        assert view[2:] == (gr.skip(), gr.skip())
    assert actions.film_button(None, ".gif") == gr.skip()
    *tools, chart = actions.at_rest(None)
    assert [tool["interactive"] for tool in tools] == [True, False, False, False, False]
    assert not chart["visible"]


def test_the_scrubber_goes_from_the_first_look_to_the_end():
    token = paint_until(3, steps=5, style_loss="gram")  # one scale
    painting = STUDIO.find(token)
    note, view, slider, picture = actions.open_run(token)
    assert (note["visible"], view["visible"]) == (False, True)
    assert slider["maximum"] == slider["value"] == len(painting.pictures_so_far) == 4
    np.testing.assert_array_equal(picture, painting.frame.image)
    for number in (1, 4):
        np.testing.assert_array_equal(
            actions.scrub(token, number), painting.pictures_so_far[number - 1]
        )
    np.testing.assert_array_equal(actions.scrub(token, 99), painting.pictures_so_far[3])
    before, after = actions.compare(token)
    np.testing.assert_array_equal(before, painting.photo)
    np.testing.assert_array_equal(after, painting.frame.image)


def test_the_blend_is_saved_when_the_slider_is_let_go():
    token = paint_until(1, steps=5)
    np.testing.assert_array_equal(actions.blend(token, 30), STUDIO.find(token).blended(0.3))
    saved = actions.save_blend(token, 30)["value"]
    assert recipe.read(saved).blend == 0.3


# --- Choosing and coming back -------------------------------------------------------------------


def test_a_pair_fills_both_pictures_and_shows_its_finished_one():
    pair = examples.PAIRS[2]
    photo, painting, *rest, comparison, _ = actions.choose_pair(
        actions.pick(SimpleNamespace(index=2))
    )
    more, stage = rest[: len(mixing.MORE)], rest[len(mixing.MORE) :]
    assert more == mixing.NOTHING
    assert [Path(photo).stem, Path(painting).stem] == list(pair)
    assert Path(stage[0]) == examples.painted_path(*pair)
    assert stage[3] is None
    with Image.open(comparison[1]) as painted:
        assert comparison[0].shape[:2] == painted.size[::-1]


def test_the_title_names_examples_and_not_files(tmp_path):
    mine = tmp_path / "my secret.png"
    Image.new("RGB", (32, 32)).save(mine)
    expected = "## Neuschwanstein Castle × The Great Wave off Kanagawa"
    assert actions.title(CASTLE, WAVE) == expected
    assert actions.title(str(mine), None) == "## Your photo × your painting"


TASTE = [getattr(Settings(), name) for name in controls.TASTE]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_all_controls(name):
    settings = controls.read(actions.choose_preset(name, *TASTE))
    assert settings == PRESETS[name].settings


def test_a_preset_beside_an_impossible_strength_is_told(monkeypatch):
    messages = told(monkeypatch)
    shown = actions.choose_preset("sketch", 7, *TASTE[1:])
    assert shown == [gr.skip()] * len(controls.NAMES)
    assert "strength is 7" in messages[0]


def test_a_picture_that_the_cache_has_lost_has_no_name():
    assert actions.title("/gone/castle.jpg", WAVE).startswith("## Your photo ×")


def test_a_preset_by_time_keeps_what_is_taste_and_the_papers_has_its_own_strength():
    taste = (0.8, "linear", 0.5, 2.0)
    for name, strength in (("sketch", 0.8), ("paper", 0.5)):
        settings = controls.read(actions.choose_preset(name, *taste))
        assert settings.strength == strength
        assert (settings.color, settings.style_scale, settings.feather) == taste[1:]


class Arrival(NamedTuple):
    """What the page opens with, by name."""

    pictures: list
    preset: str | None
    settings: Settings
    more: list
    stage: Shown

    @classmethod
    def at(cls, remembered: str | None = None, **query: str) -> Arrival:
        request = SimpleNamespace(query_params=query)
        content, style, preset, *values = actions.arrive(remembered, request)
        shown = Shown(*values[-len(Shown._fields) :])
        more = values[len(controls.NAMES) : -len(Shown._fields)]
        return cls([content, style], preset, controls.read(values), more, shown)


OPENING = (
    [str(examples.path_of(*one)) for one in zip(examples.KINDS, examples.PAIRS[0], strict=True)],
    "gallery",
    PRESETS["gallery"].settings,
)


@pytest.mark.parametrize("query", [{}, {"__theme": "dark", "logs": "container"}])
def test_the_page_opens_with_a_painted_pair_and_a_preset(query):
    arrival = Arrival.at(**query)
    assert arrival[:3] == OPENING
    assert Path(arrival.stage.picture) == examples.painted_path(*examples.PAIRS[0])
    assert arrival.stage.token == gr.skip()


def test_a_link_opens_the_same_pair_and_settings():
    settings = Settings(size=384, strength=0.7, time_budget=10)
    link = actions.make_link("http://x/", CASTLE, WAVE, *controls.show(settings))["value"]
    assert link.startswith("http://x/?")
    arrival = Arrival.at(**dict(parse_qsl(urlsplit(link).query)))
    assert arrival[:3] == ([CASTLE, WAVE], None, settings)
    assert Path(arrival.stage.picture).stem == "castle-great-wave"


def test_a_link_to_a_pair_that_is_not_painted_empties_the_stage():
    arrival = Arrival.at(content="owl", style="great-wave")
    assert arrival.stage[:2] == (None, "Ready.")


def test_a_link_with_nonsense_is_told(monkeypatch):
    messages = told(monkeypatch)
    for query in ({"size": "7", "content": "owl"}, {"optimizer": "magic"}):
        assert Arrival.at(**query)[:3] == OPENING
    assert "size is 7" in messages[0]
    assert "optimizer is 'magic'" in messages[1]
    assert Arrival.at(content="../../etc/passwd").pictures == [None, None]


def test_a_link_without_examples_says_what_it_leaves_out(monkeypatch, tmp_path):
    messages = told(monkeypatch, "Info")
    Image.new("RGB", (32, 32)).save(tmp_path / "mine.png")
    link = actions.make_link("http://x/", str(tmp_path / "mine.png"), WAVE, *values_of())["value"]
    assert "mine" not in link
    assert "style=great-wave" in link
    assert "own pictures" in messages[0]


def test_a_painted_png_gives_back_its_settings_and_examples(monkeypatch):
    messages = told(monkeypatch, "Info")
    *_, shown = paint(size=64, steps=1, seed=9)
    content, style, preset, *values = actions.take_recipe(shown.picture)
    assert (content, style, preset) == (CASTLE, WAVE, None)
    assert controls.read(values) == Settings(size=64, steps=1, seed=9)
    assert messages == ["Settings taken from the picture's recipe."]


def test_other_files_give_no_settings(monkeypatch, tmp_path):
    messages = told(monkeypatch)
    (tmp_path / "no.png").write_text("<html>")
    for path in (str(tmp_path / "no.png"), CASTLE):
        assert actions.take_recipe(path) == [gr.skip()] * (
            3 + len(controls.NAMES) + len(mixing.MORE)
        )
    assert "not a picture" in messages[0]
    assert "holds no recipe" in messages[1]


def test_the_browser_remembers_paintings_only():
    assert actions.remember("a token") == "a token"
    assert actions.remember(None) == gr.skip()


def test_who_comes_back_finds_the_last_picture_and_its_settings():
    token = paint_until(2, steps=5)
    arrival = Arrival.at(token)
    assert arrival[:2] == ([CASTLE, WAVE], None)
    assert arrival.settings == Settings(size=96, steps=5, frame_interval=0)
    assert arrival.stage.token == token
    expected = "Your last picture. Stopped at step 2 of 5; the picture is kept."
    assert arrival.stage.status == expected
    np.testing.assert_array_equal(pixels(arrival.stage.picture), STUDIO.find(token).frame.image)
    assert actions.at_rest(token).go_on["interactive"]


def test_who_opens_a_link_or_comes_too_late_finds_something_else():
    token = paint_until(1, steps=5)
    assert Arrival.at(token, content="owl").stage[:2] == (None, "Ready.")
    assert Arrival.at("gone")[:3] == OPENING


# --- Uploads ------------------------------------------------------------------------------------


def test_an_upload_that_is_no_picture_is_taken_away(tmp_path, monkeypatch):
    messages = told(monkeypatch)
    (tmp_path / "page.jpg").write_text("<html>")
    assert actions.check_upload(str(tmp_path / "page.jpg")) is None
    assert "not a picture" in messages[0]


def test_an_upload_that_browsers_cannot_show_is_shown_as_png(tmp_path):
    Image.new("RGB", (40, 30), (10, 200, 30)).save(tmp_path / "phone.heic", quality=95)
    with Image.open(actions.check_upload(str(tmp_path / "phone.heic"))) as image:
        assert (image.format, image.size) == ("PNG", (40, 30))


def test_other_uploads_stay_as_they_are():
    assert actions.check_upload(CASTLE) == gr.skip()
    assert actions.check_upload(None) == gr.skip()


# --- Several paintings and regions --------------------------------------------------------------

OTHER = str(example("style/composition-viii"))


def mixed(**changed) -> list:
    """The values of `mixing.MORE`."""
    return [changed.get(name, default) for name, (default, _) in mixing.MORE.items()]


@pytest.fixture
def half(tmp_path) -> str:
    """A mask of the left half."""
    mask = np.zeros([20, 30], np.uint8)
    mask[:, :15] = 255
    Image.fromarray(mask).save(tmp_path / "half.png")
    return str(tmp_path / "half.png")


def test_a_mix_is_painted_kept_and_found_again(half, monkeypatch):
    told(monkeypatch, "Info")
    more = mixed(style_2=OTHER, weight_1=0.5, mask_2=half, keep=half)
    settings = Settings(size=64, steps=2)
    *_, shown = paint(*more[:-1], None, size=64, steps=2)
    styles = [Style(WAVE, 0.5), Style(OTHER, 1.0, half)]
    expected = stylize(CASTLE, styles, settings)
    np.testing.assert_array_equal(pixels(shown.picture), expected.image)
    assert Arrival.at(shown.token).more == [*more[:-1], None]
    taken = actions.take_recipe(shown.picture)
    taken = dict(zip(mixing.MORE, taken[3 + len(controls.NAMES) :], strict=True))
    assert (taken["style_2"], taken["weight_1"], taken["mask_1"]) == (OTHER, 0.5, None)
    masks = [images.load_mask(path) for path in (half, taken["mask_2"])]
    np.testing.assert_array_equal(*masks)
    *_, again = paint(*(taken[name] for name in mixing.MORE), size=64, steps=2)
    np.testing.assert_array_equal(pixels(again.picture), expected.image)


def test_weights_of_a_recipe_fit_their_sliders(monkeypatch, tmp_path):
    told(monkeypatch, "Info")
    made = recipe.make(CASTLE, [(WAVE, 3), (OTHER, 1.5)], Settings())
    images.save(Image.new("RGB", (4, 4)), tmp_path / "made.png", {recipe.KEY: made.to_json()})
    taken = actions.take_recipe(str(tmp_path / "made.png"))[3 + len(controls.NAMES) :]
    assert taken == mixed(style_2=OTHER, weight_1=1.0, weight_2=0.5)


def test_a_region_without_its_painting_is_told(half):
    with pytest.raises(gr.Error, match="region for painting 3, but no painting 3"):
        list(paint(*mixed(mask_3=half)))


def test_the_preview_follows_the_mix():
    pictures = [
        pixels(actions.preview(CASTLE, WAVE, 64, *more))
        for more in ((), mixed(style_2=OTHER), mixed(style_2=OTHER, weight_2=0.0))
    ]
    assert np.abs(pictures[0] - pictures[1]).mean() > 5
    np.testing.assert_array_equal(pictures[0], pictures[2])


def test_a_link_holds_the_mix_without_regions(monkeypatch, half):
    messages = told(monkeypatch, "Info")
    more = mixed(style_3=OTHER, weight_3=0.25, mask_3=half)
    link = actions.make_link("http://x/", CASTLE, WAVE, *values_of(), *more)["value"]
    assert "regions" in messages[0]
    arrival = Arrival.at(**dict(parse_qsl(urlsplit(link).query)))
    assert arrival.pictures == [CASTLE, WAVE]
    assert arrival.more == mixed(style_3=OTHER, weight_3=0.25)


def test_a_link_with_a_nonsensical_weight_is_told(monkeypatch):
    messages = told(monkeypatch)
    assert Arrival.at(weight_2="much")[:3] == OPENING
    assert "Weight 2 must be a number from 0 to 1" in messages[0]


def test_what_is_drawn_becomes_masks_and_what_was_never_drawn_changes_nothing(tmp_path):
    layer = np.zeros([60, 90, 4], np.uint8)
    for number, colour in enumerate(mixing.BRUSHES):
        if number == 2:
            continue
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        layer[10:50, 15 * number : 15 * number + 12] = (*rgb, round(255 * mixing.OPACITY))
    layer[5, 5] = (255, 255, 255, 20)  # the faint rim of a stroke
    Image.fromarray(layer).save(tmp_path / "layer.png")
    masks = actions.take_regions(str(tmp_path / "layer.png"))
    assert masks[2] is None
    for number in (0, 1, 3, 4):
        mask = images.load_mask(masks[number])
        expected = np.zeros([60, 90])
        expected[10:50, 15 * number : 15 * number + 12] = 1
        np.testing.assert_array_equal(mask, expected)
    assert actions.take_regions(None) == [gr.skip()] * 5
    Image.new("RGBA", (60, 40)).save(tmp_path / "wiped.png")
    assert actions.take_regions(str(tmp_path / "wiped.png")) == [None] * 5


def test_a_layer_that_is_no_picture_is_told(monkeypatch, tmp_path):
    messages = told(monkeypatch)
    (tmp_path / "layer.png").write_text("<html>")
    assert actions.take_regions(str(tmp_path / "layer.png")) == [gr.skip()] * 5
    assert "not a picture" in messages[0]


def test_the_board_shows_the_photo_once():
    shown, on_board = actions.show_board(CASTLE, None)
    assert max(shown["background"].shape) == mixing.BOARD
    assert on_board == CASTLE
    assert actions.show_board(CASTLE, CASTLE) == (gr.skip(), gr.skip())
    assert actions.renew_board(CASTLE, None) == (gr.skip(), gr.skip())
    assert actions.renew_board(None, CASTLE) == (None, None)


def test_colours_change_at_once_and_the_run_and_the_recipe_with_them():
    token = paint_until(3, steps=3)
    before = STUDIO.find(token)
    picture, _save = actions.recolor(token, "luminance", 100)
    after = STUDIO.find(token)
    expected = keep_chroma(before.frame.image, before.photo)
    np.testing.assert_array_equal(after.frame.image, expected)
    assert np.abs(picture.astype(int) - expected).max() <= 1
    assert after.recipe.settings.color == "luminance"
    moment = actions.scrub(token, 2)
    np.testing.assert_array_equal(moment, keep_chroma(before.pictures_so_far[1], before.photo))
    actions.recolor(token, "painting", 100)
    np.testing.assert_array_equal(STUDIO.find(token).frame.image, before.frame.image)


def test_colours_that_need_a_run_say_so(monkeypatch):
    messages = told(monkeypatch, "Info")
    actions.recolor(paint_until(1, steps=2), "linear", 100)
    assert "press Continue or Paint" in messages[0]
    for token, color in ((None, "luminance"), ("gone", "luminance")):
        assert actions.recolor(token, color, 100) == (gr.skip(), gr.skip())


def test_colours_change_also_during_the_run():
    run = paint(steps=4, frame_interval=0)
    token = next(shown.token for shown in run if step_of(shown) == 1)
    actions.recolor(token, "luminance", 100)
    *_, last = run
    painting = STUDIO.find(token)
    assert painting.color == "luminance"
    expected = keep_chroma(painting.frame.painted, painting.photo)
    np.testing.assert_array_equal(pixels(last.picture), expected)


def test_people_are_kept_by_one_click(monkeypatch):
    """Of a photo without any, or that cannot be read, nothing is kept, and why is told."""
    infos, warnings = told(monkeypatch, "Info"), told(monkeypatch)
    mask = actions.keep_people(str(example("content/astronaut")))
    with Image.open(mask) as image:
        kept = np.asarray(image.convert("L")) / 255
    height, width = kept.shape
    assert kept[round(0.22 * height), round(0.44 * width)] > 0.9  # her face
    assert kept[round(0.08 * height), round(0.64 * width)] < 0.1  # the wall
    assert actions.keep_people(CASTLE) == gr.skip()
    assert actions.keep_people(None) == gr.skip()
    assert actions.keep_people(__file__) == gr.skip()
    assert [len(infos), len(warnings)] == [2, 2]
    assert "Nobody was found" in infos[1]


def test_colours_that_are_changed_while_a_step_is_computed_stay(steps, monkeypatch):
    run = paint(steps=4, frame_interval=0)
    token = next(shown.token for shown in run if step_of(shown) == 1)
    do = steps.do

    def recolor_and_do(done):
        actions.recolor(token, "luminance", 100)
        do(done)

    monkeypatch.setattr(steps, "do", recolor_and_do)
    deque(run, maxlen=0)
    assert STUDIO.find(token).color == "luminance"
