"""The mirror's server: whose camera is painted, what it takes, and what it says to the others."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from conftest import example
from fake_engine import LIMIT
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from visits import CASTLE, OTHER, WAVE, told

import app
from nst_core import ImageError
from page import looks, mirror, mirror_tab, serving, texts
from page.mirror import Cameras
from page.turns import BusyError

WEIGHTS = "?weights=1,1,1,1"
ONE = (WAVE, None, None, None)


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time that it is, to be changed."""
    now = [1000.0]
    monkeypatch.setattr(mirror.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def cameras(monkeypatch) -> Cameras:
    """Room for two."""
    cameras = Cameras(2)
    monkeypatch.setattr(mirror, "CAMERAS", cameras)
    return cameras


@pytest.fixture
def client(cameras, turns) -> Iterator[TestClient]:
    """The routes as the app has them, and nobody who paints."""
    handlers = serving.OPTIONS["app_kwargs"]["exception_handlers"]
    with TestClient(Starlette(routes=mirror.routes(), exception_handlers=handlers)) as client:
        yield client


def frame(width: int = 64, height: int = 48, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    with Image.open(example("content/castle")) as image:
        image.resize((width, height)).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)), float)


def began(*styles: str | None) -> str:
    name, _ = mirror.begin("", *(styles or ONE))
    assert name
    return name


# --- Whose camera -------------------------------------------------------------------------------


def test_there_is_room_for_so_many_and_the_others_are_told(cameras, clock):
    for session in ("one", "two"):
        cameras.admit(session, [None])
    with pytest.raises(BusyError, match=r"2 cameras are being painted already; try again in 301 s"):
        cameras.admit("three", [None])


def test_one_that_was_long_there_makes_room_for_one_that_waits(cameras, clock):
    names = [cameras.admit(session, [None]) for session in ("one", "two")]
    for _ in range(40):
        clock[0] += mirror.FAIR_SECONDS / 40
        assert all(map(cameras.find, names))  # for as long as nobody waits
    clock[0] += 0.1
    third = cameras.admit("three", [None])
    assert [bool(cameras.find(name)) for name in (*names, third)] == [False, True, True]


def test_one_that_is_silent_is_gone(cameras, clock):
    names = [cameras.admit(session, [None]) for session in ("one", "two")]
    clock[0] += mirror.SILENT_SECONDS
    assert cameras.find(names[0])
    clock[0] += 0.1
    assert cameras.find(names[0])
    assert not cameras.find(names[1])
    assert cameras.count() == 1


def test_a_visitor_has_one_camera(cameras):
    first, second = (cameras.admit("one", [None]) for _ in range(2))
    assert (cameras.find(first), cameras.count()) == (None, 1)
    cameras.leave(second)
    cameras.leave(second)
    assert cameras.count() == 0


def test_the_log_has_a_line_for_each_camera(client, caplog):
    caplog.set_level("INFO", "studio")
    name = began()
    assert client.post(f"/mirror/{name}{WEIGHTS}", content=frame()).status_code == 200
    assert caplog.records == []
    assert client.delete(f"/mirror/{name}").status_code == 204
    (line,) = [record.getMessage() for record in caplog.records]
    assert '"kind": "mirror", "outcome": "done", "pictures": 1' in line


# --- Frames -------------------------------------------------------------------------------------


def test_a_frame_comes_back_painted_in_its_size(client):
    answer = client.post(f"/mirror/{began()}{WEIGHTS}&strength=1", content=frame(96, 64))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    found = pixels(answer.content)
    assert found.shape == (64, 96, 3)
    assert np.abs(found - pixels(frame(96, 64))).mean() > 10


def test_weights_and_paintings_act_at_once_and_styles_are_found_once(client, monkeypatch):
    looks.vector.cache_clear()
    asked: list[int] = []
    find = looks.style_vector
    monkeypatch.setattr(looks, "style_vector", lambda rgb: asked.append(1) or find(rgb))
    name = began(WAVE, OTHER, None, None)

    def paint(weights: str) -> np.ndarray:
        return pixels(client.post(f"/mirror/{name}?weights={weights}", content=frame()).content)

    first, second, third = paint("1,0,1,1"), paint("0,1,1,1"), paint("1,0,0,0")
    assert np.abs(first - second).mean() > 10
    np.testing.assert_array_equal(first, third)
    mirror.take_paintings(name, OTHER, WAVE, None, None)
    np.testing.assert_array_equal(paint("1,0,0,0"), second)
    assert len(asked) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no picture",
        frame()[:400],
        frame(kind="PNG"),
        frame(31, 40),
        frame(385, 100),
    ],
    ids=["empty", "text", "cut off", "PNG", "too small", "too large"],
)
def test_a_broken_frame_is_refused_in_words(client, body):
    name = began()
    answer = client.post(f"/mirror/{name}{WEIGHTS}", content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("A frame must be a JPEG of 32 to 384 px")
    assert client.post(f"/mirror/{name}{WEIGHTS}", content=frame()).status_code == 200


@pytest.mark.parametrize(("width", "height"), [(32, 32), (384, 384), (32, 384), (33, 77)])
def test_frames_at_the_ends_of_their_sizes(client, width, height):
    answer = client.post(f"/mirror/{began()}{WEIGHTS}", content=frame(width, height))
    assert pixels(answer.content).shape == (height, width, 3)


@pytest.mark.parametrize(
    "query",
    ["", "?weights=1,1", "?weights=1,1,1,2", "?weights=1,1,1,nan", f"{WEIGHTS}&strength=-0.1"],
)
def test_weights_and_strength_out_of_range_are_refused(client, query):
    answer = client.post(f"/mirror/{began()}{query}", content=frame())
    assert answer.status_code == 422


def test_all_weights_at_nothing_leave_the_frame_its_own_style(client):
    answer = client.post(f"/mirror/{began()}?weights=0,0,0,0", content=frame())
    assert answer.status_code == 200


def test_a_frame_beside_the_one_that_is_painted_is_dropped(client, monkeypatch):
    is_painting, may_end = threading.Event(), threading.Event()
    paint = mirror.Mirror.paint

    def slowly(*what: Any) -> np.ndarray:
        is_painting.set()
        assert may_end.wait(LIMIT)
        return paint(*what)

    monkeypatch.setattr(mirror.Mirror, "paint", slowly)
    name = began()
    with ThreadPoolExecutor() as threads:
        first = threads.submit(client.post, f"/mirror/{name}{WEIGHTS}", content=frame())
        assert is_painting.wait(LIMIT)
        second = client.post(f"/mirror/{name}{WEIGHTS}", content=frame())
        may_end.set()
        assert first.result(LIMIT).status_code == 200
    assert second.status_code == 429
    assert "one at a time" in second.json()["detail"]


# --- Words --------------------------------------------------------------------------------------


def test_a_picture_that_is_painted_comes_first(client, turns):
    name = began()
    with turns.join("somebody"):
        answer = client.post(f"/mirror/{name}{WEIGHTS}", content=frame())
        assert (answer.status_code, "comes first" in answer.json()["detail"]) == (503, True)
    assert client.post(f"/mirror/{name}{WEIGHTS}", content=frame()).status_code == 200


def test_a_camera_that_has_ended_is_told(client):
    name = began()
    assert client.delete(f"/mirror/{name}").status_code == 204
    answer = client.post(f"/mirror/{name}{WEIGHTS}", content=frame())
    assert (answer.status_code, answer.json()["detail"]) == (410, texts.say("mirror.over"))


@pytest.mark.parametrize("problem", [*mirror.PROBLEMS, "<b>unheard of</b>"])
def test_why_there_is_no_camera_is_told(cameras, problem):
    name, text = mirror.begin(problem, *ONE)
    assert (name, cameras.count()) == ("", 0)
    assert text in {texts.say(f"camera.{one}") for one in mirror.PROBLEMS}


def test_all_that_is_said_of_a_camera_is_known_to_the_browser_or_the_server():
    keys = {key.removeprefix("camera.") for key in texts.OWN_ENGLISH if key.startswith("camera.")}
    assert keys == {*mirror_tab.SAID, *mirror.PROBLEMS}


def test_no_painting_or_a_broken_one_is_told(cameras, tmp_path, monkeypatch):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    assert mirror.begin("", None, None, None, None) == ("", "Choose a painting first.")
    name, text = mirror.begin("", str(broken), None, None, None)
    assert (name, "not a picture that can be read" in text) == ("", True)
    name, warnings = began(), told(monkeypatch)
    mirror.take_paintings(name, str(broken), None, None, None)
    assert "not a picture that can be read" in warnings[0]


def test_no_room_is_told(cameras):
    for _ in range(2):
        began()
    name, text = mirror.begin("", *ONE)
    assert (name, "2 cameras are being painted already" in text) == ("", True)


def test_weights_are_seen_of_several_paintings_only():
    def seen(*styles: str | None) -> list[bool]:
        return [one["visible"] for one in mirror.take_paintings("", *styles)]

    assert seen(WAVE, None, None, None) == [False] * 4
    assert seen(WAVE, None, OTHER, None) == [True, False, True, False]


def test_a_weight_is_called_as_its_painting(tmp_path):
    own = tmp_path / "own.jpg"
    own.write_bytes(frame())
    first, second, *_ = mirror.take_paintings("", WAVE, str(own), None, None)
    assert first["label"] == "1: The Great Wave off Kanagawa"
    assert second["label"] == "2: Your painting"


def test_a_moment_becomes_the_photo(turns):
    with turns.join("somebody else") as other:
        path = mirror.take_moment(CASTLE)
        assert (path, other.stop.is_set()) == (CASTLE, False)


def test_a_host_switches_it_off(monkeypatch):
    monkeypatch.setattr(mirror, "MAX_CAMERAS", 0)
    assert mirror.routes() == []
    page = app.make_page()
    ids = {getattr(block, "elem_id", None) for block in page.blocks.values()}
    assert "mirror-start" not in ids
    assert {"paint", "result"} <= ids
    assert not any(event.fn is mirror.begin for event in page.fns.values())


def test_reading_refuses_what_is_no_jpeg():
    with pytest.raises(ImageError):
        mirror.read_frame(frame(kind="PNG"))
    assert mirror.read_frame(frame(40, 32)).shape == (32, 40, 3)
