"""Films as the page paints them: turns, Stop, going on, the film so far; with the fake engine."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import clips
import gradio as gr
import numpy as np
import pytest
from fake_engine import LIMIT
from visits import CASTLE, WAVE, told, values_of

from nst_core import FilmError, Settings
from nst_core.films import painter
from page import choice, films, gradio_inside, paint, share, studio, turns
from page.limits import Limits
from page.stage import is_skipped

pytestmark = pytest.mark.usefixtures("steps", "turns")

COUNT = 12  # frames


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """What others painted is not found again."""
    monkeypatch.setattr(gradio_inside, "upload_folder", lambda: tmp_path / "files")
    (tmp_path / "files").mkdir()


@pytest.fixture(autouse=True)
def one_visitor(monkeypatch):
    monkeypatch.setattr(turns, "session", lambda work="": "visitor")


@pytest.fixture
def clip(tmp_path, castle_512) -> str:
    """A second of a phone's film, with sound, filmed upright."""
    lying = [np.rot90(frame) for frame in clips.moving(castle_512[100:], COUNT, (64, 96))]
    return str(clips.turn(clips.write(tmp_path / "phone.mp4", lying, sound="aac")))


def row(content=CASTLE, style=WAVE, **changed) -> list:
    more = [default for default, _ in choice.MORE.values()]
    settings = {"size": 96, "steps": 4, "subject": False} | changed
    return [content, style, *values_of(**settings), *more]


def film(clip, quality="full", values=None):
    return films.paint_film(clip, quality, *(values or row()))


def begun(clip):
    """A film that is being painted, and its token."""
    run = film(clip)
    token = next(run)[2]
    next(run), next(run)
    return run, token


def last(shown) -> tuple[str, str]:
    """The status and the token at the end."""
    status = token = None
    for _, one, found in shown:
        status = status if is_skipped(one) else one
        token = token if is_skipped(found) else found
    return status, token


def test_a_phones_film_comes_out_upright_with_its_sound(clip):
    status, token = last(film(clip))
    assert status.startswith(f"Done: {COUNT} frames in ")
    path = films.so_far(token)
    frames = clips.read(path)
    assert (len(frames), frames[0].shape) == (COUNT, (96, 64, 3))
    assert clips.sound(path)[1] == pytest.approx(1, abs=0.05)
    assert Path(path).name == "phone-great-wave.mp4"


def test_progress_is_told_by_frame(clip, monkeypatch):
    monkeypatch.setattr(films, "SHOW_EVERY", 0)
    shown = list(film(clip))
    texts = [status for _, status, _ in shown if not is_skipped(status)]
    assert "which takes longest" in texts[1]
    assert [text for text in texts if text.startswith(f"Frame 3 of {COUNT}, ")]
    pictures = [picture for picture, _, _ in shown if not is_skipped(picture)]
    assert len(pictures) == 1 + COUNT  # the clip's own first frame, and those painted


def test_what_is_there_plays_while_it_is_painted(clip, monkeypatch):
    monkeypatch.setattr(films, "SHOW_EVERY", 0)
    monkeypatch.setattr(painter, "SAVE_INTERVAL", 0)
    run = film(clip)
    token, seen = next(run)[2], []
    note, _, save = films.show_so_far(token)
    assert (note["visible"], save["interactive"]) == (True, False)
    for picture, status, _ in run:
        if not is_skipped(picture) and status.startswith("Frame"):
            _, video, _ = films.show_so_far(token)
            seen.append(video["value"])
    assert [len(clips.read(path)) for path in seen] == [
        *range(1, COUNT + 1)
    ]  # each a file of its own


def test_stop_keeps_a_film_that_is_gone_on_with(clip, steps):
    status, token = last(film(clip))
    whole, done = clips.read(films.so_far(token)), len(steps.done)
    for file in studio.folder_of(token).iterdir():
        file.unlink()
    run = film(clip)
    for _, status, _ in run:
        if not is_skipped(status) and status.startswith("Frame"):
            films.stop()
            break
    status, _ = last(run)
    assert status == (
        f"Stopped at frame 1 of {COUNT}; the video so far is kept. **Paint video** goes on from "
        "there."
    )
    assert len(clips.read(films.so_far(token))) == 1
    status, again = last(film(clip))
    assert status.startswith("Done:")
    assert again == token
    np.testing.assert_array_equal(clips.read(films.so_far(token)), whole)
    assert len(steps.done) == 2 * done  # nothing was painted twice


def test_stop_acts_within_a_step(clip, steps):
    steps.hold_at(2)
    ended = threading.Event()
    statuses = []

    def follow() -> None:
        statuses.append(last(film(clip))[0])
        ended.set()

    thread = threading.Thread(target=follow)
    thread.start()
    steps.wait_until_held()
    films.stop()
    steps.release()
    assert ended.wait(LIMIT)
    thread.join()
    assert len(steps.done) == 2
    assert statuses == ["Stopped before the first frame."]


def test_stop_before_the_run_has_joined_is_not_lost(clip, steps):
    films.at_work()
    films.stop()
    assert last(film(clip))[0] == "Stopped before the first frame."
    assert steps.done == []


def test_pictures_of_others_come_in_between(clip, turns, monkeypatch):
    monkeypatch.setattr(films, "SHIFT", 0)
    run, order = film(clip), []
    for _ in range(3):  # it has the turn
        next(run)
    with turns.join("another") as ticket:
        for _, status, _ in run:
            if turns.count() == 2 and not list(turns.wait(ticket)):
                order.append("another's turn")
                break
            order.append(status)
    assert order[-1] == "another's turn"
    assert len(order) < COUNT
    assert last(run)[0].startswith("Done:")


def test_a_film_that_is_there_is_shown_at_once(clip, steps):
    _, token = last(film(clip))
    done = len(steps.done)
    status, again = last(film(clip))
    assert status == "This video is painted already; here it is."
    assert (again, len(steps.done)) == (token, done)


def test_the_same_film_is_not_painted_twice_at_once(clip, turns):
    """Another tab has its turn while the first one waits for its next."""
    order = films.Order.from_row(clip, "full", row())
    work, other = films.Work(order), films.Work(order)
    with turns.join("visitor") as ticket:
        next(work.turn(ticket))
        with pytest.raises(FilmError, match="already being painted"):
            list(other.turn(ticket))
        other.close()
        with pytest.raises(FilmError, match="already being painted"):
            list(films.Work(order).turn(ticket))
        work.close()
    assert last(film(clip))[0].startswith("Done:")


def test_who_leaves_ends_it(clip, steps, monkeypatch):
    gone = []
    monkeypatch.setattr(turns, "client_conditions", lambda: [lambda: gone[0] if gone else ""])
    run = film(clip)
    for _ in range(3):
        next(run)
    gone.append("hung up")
    done = len(steps.done)
    list(run)
    assert len(steps.done) <= done + 1
    assert turns.TURNS.count() == 0


def painted_until(clip, frames, monkeypatch):
    """A film after some frames, which goes on, and its token."""
    monkeypatch.setattr(films, "SHOW_EVERY", 0)
    run = film(clip)
    token = next(run)[2]
    for _, status, _ in run:
        if not is_skipped(status) and status.startswith(f"Frame {frames} "):
            break
    return run, token


def left_after(clip, frames, monkeypatch) -> str:
    """The token of a film whose visitor hangs up after some frames."""
    run, token = painted_until(clip, frames, monkeypatch)
    run.close()
    return token


def stopped_after(clip, frames, monkeypatch) -> str:
    """The token of a film that its visitor stops after some frames."""
    run, token = painted_until(clip, frames, monkeypatch)
    films.stop()
    list(run)
    return token


def arrived(token) -> films.Arrival:
    return films.Arrival(*films.arrive(token)[-len(films.Arrival._fields) :])


def test_who_left_a_film_and_comes_back_joins_it(clip, steps, monkeypatch):
    token = left_after(clip, 3, monkeypatch)
    shown = arrived(token)
    assert (shown.clip, shown.quality, shown.token) == (clip, "full", token)
    assert (shown.paint["interactive"], shown.stop["interactive"]) == (False, True)
    statuses = [one for _, one, _ in films.join(token) if not is_skipped(one)]
    assert statuses[-1].startswith(f"Done: {COUNT} ")
    assert len(clips.read(films.so_far(token))) == COUNT
    done = len(steps.done)
    assert last(films.join(token)) == (None, None)  # it is done
    assert len(steps.done) == done


def test_what_a_film_was_begun_with_comes_back_with_it(clip, monkeypatch):
    token = left_after(clip, 1, monkeypatch)
    back = films.arrive(token)[: len(films.OWN_FIELDS)]
    fields = dict(zip(films.OWN_FIELDS, back, strict=True))
    assert fields["style"] == WAVE
    assert fields["steps"] == 4


@pytest.mark.parametrize("reason", ["hung up", "unread"])
def test_a_film_that_lost_its_visitor_is_joined(clip, monkeypatch, reason):
    gone = []
    with monkeypatch.context() as patch:
        patch.setattr(turns, "client_conditions", lambda: [lambda: gone[0] if gone else ""])
        run, token = begun(clip)
        gone.append(reason)
        list(run)
    assert last(films.join(token))[0].startswith("Done:")


def test_a_film_that_was_stopped_is_shown_and_not_joined(clip, monkeypatch):
    token = stopped_after(clip, 2, monkeypatch)
    assert last(films.join(token)) == (None, None)
    shown = arrived(token)
    assert shown.clip == clip
    assert shown.status == "Your last video. **Paint video** goes on with it."
    assert shown.view["selected"] == "film"
    assert (is_skipped(shown.paint), shown.save["interactive"]) == (True, True)
    assert len(clips.read(shown.video["value"])) == 2
    assert last(film(clip))[0].startswith("Done:")
    assert arrived(token).status == "Your last video."


def test_a_film_that_another_tab_paints_is_told_and_left_to_it(clip, turns, monkeypatch):
    monkeypatch.setattr(paint, "MAX_STEP_SECONDS", 0)
    run, token = begun(clip)
    with monkeypatch.context() as patch:
        patch.setattr("page.turns.session", lambda work="": "the other tab")
        films.arrive(token)
        assert last(films.join(token))[0] == "This video is being painted in another tab."
        assert films.at_rest(token)[-2]["interactive"] is False  # Stop
    assert last(run)[0].startswith("Done:")


def test_who_paints_the_same_in_vain_takes_it_from_nobody(clip, monkeypatch):
    monkeypatch.setattr(films, "SHOW_EVERY", 0)
    run, token = begun(clip)
    with monkeypatch.context() as patch:
        patch.setattr("page.turns.session", lambda work="": "another")
        patch.setattr(films.turns.TURNS, "wait", lambda _: iter(()))  # its turn came in between
        with pytest.raises(gr.Error, match="already being painted"):
            list(film(clip))
    run.close()
    assert last(films.join(token))[0].startswith("Done:")


@pytest.mark.parametrize("kept", [None, "", "strange", 7, {"token": 1}])
def test_without_a_film_nothing_arrives(kept):
    assert all(map(is_skipped, films.arrive(kept)))


@pytest.mark.parametrize("token", [None, "", "strange"])
def test_without_a_film_nothing_is_joined(token):
    assert last(films.join(token)) == (None, None)


def test_a_clip_that_was_swept_is_not_joined(clip, monkeypatch):
    token = left_after(clip, 2, monkeypatch)
    Path(clip).unlink()
    assert last(films.join(token)) == (None, None)
    shown = arrived(token)
    assert is_skipped(shown.clip)
    assert len(clips.read(shown.video["value"])) == 2


def test_the_limit_is_told_with_its_minutes(clip, monkeypatch):
    monkeypatch.setattr(films, "LIMITS", Limits(film_seconds=1e-9))
    monkeypatch.setitem(films.REACHED, films.LIMIT_REACHED, 1800.0)
    status, token = last(film(clip))
    assert status.startswith(f"Stopped at frame 1 of {COUNT}")
    assert status.endswith("30-minute limit reached.")
    assert len(clips.read(films.so_far(token))) == 1


def test_the_photos_regions_and_its_time_do_not_count(clip, half):
    values = [CASTLE, WAVE, *values_of(size=96, time_budget=30.0, steps=4, subject=False)]
    more = {name: default for name, (default, _) in choice.MORE.items()}
    more |= {"mask_1": half, "mask_2": half, "keep": half}
    order = films.Order.from_row(clip, "quick", [*values, *more.values()])
    assert [style.mask for style in order.styles] == [None]
    assert (order.settings.time_budget, order.settings.size) == (None, 96)


def test_a_film_is_no_larger_than_its_limit():
    assert films.settings_for(Settings(size=2048)).size == films.MAX_SIDE
    assert films.settings_for(Settings()).size == painter.FILM_SIZE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": None}, "Choose a video first."),
        ({"style": None}, "Choose a painting first."),
        ({"clip": WAVE}, "is not a clip that can be read; MP4, MOV"),
        ({"clip": "/nowhere/clip.mp4"}, "'clip.mp4' is no longer on the server"),
        ({"quality": "best"}, "quality is 'best', but it must be one of: full, quick"),
    ],
)
def test_errors_are_one_plain_sentence(clip, change, message):
    given = {"clip": clip, "quality": "full", "style": WAVE} | change
    shown = []
    with pytest.raises(gr.Error) as error:
        shown.extend(film(given["clip"], given["quality"], row(style=given["style"])))
    assert message in error.value.message
    assert shown[-1][1] == error.value.message


def test_a_clip_that_is_too_long_is_taken_away_and_told(clip, tmp_path, castle, monkeypatch):
    messages = told(monkeypatch)
    assert is_skipped(films.check_clip(clip))
    assert is_skipped(films.check_clip(None))
    long = clips.write(tmp_path / "long.mp4", [castle] * 21, rate=1)
    assert films.check_clip(str(long)) is None
    monkeypatch.setattr(gradio_inside, "accepted_languages", lambda: "de")
    assert films.check_clip(str(long)) is None
    assert "is 21.0 s long, but 20 s are the most" in messages[0]
    assert "möglich sind höchstens 20 s" in messages[1]


def test_the_forecast_is_on_the_button(clip, monkeypatch):
    monkeypatch.setattr(films, "expected_seconds", lambda *_: 301.0)
    values = values_of(size=96)
    assert films.label(clip, "quick", *values)["value"] == "Paint video · about 6 min"
    monkeypatch.setattr(films, "expected_seconds", lambda *_: 34.0)
    assert films.label(clip, "quick", *values)["value"] == "Paint video · about 40 s"
    for nothing in (films.label(None, "quick", *values), films.label(clip, "best", *values)):
        assert nothing["value"] == "Paint video"


def test_at_rest_the_film_is_shown_and_ready_to_be_saved(clip):
    tools = films.Tools(*films.at_rest(None)[-3:])
    assert [one["interactive"] for one in tools] == [True, False, False]
    _, token = last(film(clip))
    view, note, video, *tools = films.at_rest(token)
    assert view["selected"] == "film"
    assert (note["visible"], video["visible"]) == (False, True)
    assert films.Tools(*tools).save["value"] == video["value"]
    assert len(clips.read(video["value"])) == COUNT


def test_a_strange_token_finds_nothing():
    for token in (None, "", "../../etc", "no film"):
        assert films.so_far(token) is None


def test_a_film_that_may_be_gone_on_with_is_swept_as_one(clip, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(studio.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(studio, "_SEEN", {})
    run = film(clip)
    token = next(run)[2]
    next(run), next(run)
    run.close()
    folder = studio.folder_of(token)
    films.so_far(token)
    studio.sweep(set())
    assert len(list(folder.rglob("*.*"))) > 3
    studio.sweep({*folder.glob("*.png")}, Limits(file_bytes=1))
    assert not folder.exists()


def test_what_is_refused_before_its_turn_leaves_the_button_as_it_was(turns):
    films.at_work()
    with pytest.raises(gr.Error):
        list(film(None))
    assert not turns.is_busy("visitor")
    assert films.at_rest(None)[3]["interactive"] is True  # Paint


def test_a_film_that_is_whole_already_leaves_the_button_as_it_was(clip, turns):
    token = last(film(clip))[1]
    films.at_work()
    assert last(film(clip))[1] == token
    assert films.at_rest(token)[3]["interactive"] is True
    films.at_work()
    films.wait_until_left(token)
    assert last(films.join(token)) == (None, None)
    assert not turns.is_busy("visitor")


def test_what_an_address_asks_for_comes_before_the_fields_of_a_film(clip, monkeypatch):
    token = left_after(clip, 1, monkeypatch)
    count = len(films.OWN_FIELDS)
    plain, asking = (
        share.arrive_film(token, None, SimpleNamespace(query_params=asked))
        for asked in ({}, {"content": "castle"})
    )
    assert not all(map(is_skipped, plain[:count]))
    assert all(map(is_skipped, asking[:count]))
    assert films.Arrival(*asking[count:]).clip == clip


def test_the_fields_of_a_later_picture_come_before_those_of_a_film(clip, monkeypatch):
    token, count = stopped_after(clip, 1, monkeypatch), len(films.OWN_FIELDS)
    here = SimpleNamespace(query_params={})
    before, after = (
        share.arrive_film(token, last, here) for last in (share.film_begun(), share.picture_begun())
    )
    assert not all(map(is_skipped, before[:count]))
    assert all(map(is_skipped, after[:count]))
    first, second = (films.Arrival(*opened[count:]) for opened in (before, after))
    assert first.status == "Your last video. **Paint video** goes on with it."
    assert (second.clip, second.status) == (clip, "Your last video.")
