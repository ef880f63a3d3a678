"""What is wired to what, on the served page: who waits for whom, and what a session costs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio as gr
import pytest
from fake_engine import LIMIT
from stranger import Server, Tab
from visits import paint_until

import app
from nst_core import Settings
from page import controls, paint, serving, studio, views, wiring
from page.stage import Shown

pytestmark = pytest.mark.usefixtures("steps", "turns")


@pytest.fixture(scope="module")
def blocks() -> gr.Blocks:
    return app.make_page()


@pytest.fixture(scope="module")
def address(blocks) -> Iterator[str]:
    """The page, served on the loopback address."""
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **app.launch_options())
    yield url
    blocks.close()


@pytest.fixture
def tab(address, blocks) -> Any:
    """Opens the page in the browser of a visitor."""
    return lambda session, query="": Tab(address, blocks, session, query)


def test_every_event_has_its_group(blocks):
    """Gradio would let one visitor at a time call a function that has none."""
    events = [one for one in blocks.fns.values() if one.fn is not None]
    assert len(events) > 30
    for one in events:
        assert wiring.GROUPS.get(one.concurrency_id) == one.concurrency_limit, one.fn
    assert app.launch_options()["max_threads"] >= sum(wiring.GROUPS.values())


def test_a_png_of_a_blend_is_written_when_the_slider_is_let_go(blocks):
    """And not for every position on the way."""
    events = {one.fn: [event for _, event in one.targets] for one in blocks.fns.values()}
    assert events[views.blend] == ["input"]
    assert events[views.save_blend] == ["release"]


def test_the_server_keeps_nothing_for_a_session(blocks):
    """It would keep it for so many sessions only, and every call of another program is one."""
    assert [one for one in blocks.blocks.values() if getattr(one, "stateful", False)] == []


def test_a_hundred_calls_of_other_programs_log_nobody_out(tab, address, tmp_path):
    values = controls.show(Settings(size=64, steps=3))
    token = paint_until(1, size=64, steps=3)
    visitor = tab("a visitor")
    assert visitor.call(paint.at_rest, token)[2]["interactive"]
    server = Server(address, tmp_path)
    pair = server.upload_pair()
    for _ in range(serving.OPTIONS["state_session_capacity"] + 10):
        assert server.call("preview", **pair)[0] == "complete"
    shown = Shown(*visitor.call(paint.go_on, token, *values))
    assert (shown.status[:7], shown.token) == ("Done in", token)


def test_a_session_that_the_server_has_forgotten_still_scrubs_through_the_run(tab):
    """Gradio checks the slider's number against the maximum that it was told for the session."""
    token = paint_until(5, size=64, steps=6)
    (picture,) = tab("forgotten").call(views.scrub, token, 5)
    assert picture["path"].endswith(".jpeg")


def test_who_waits_for_the_end_of_a_run_keeps_no_other_visitor_waiting(tab, turns, monkeypatch):
    is_waiting, wait = threading.Event(), turns.wait_until_left

    def wait_and_tell(session, seconds):
        is_waiting.set()
        wait(session, seconds)

    monkeypatch.setattr(turns, "wait_until_left", wait_and_tell)
    with ThreadPoolExecutor() as threads:
        with turns.join("one"):
            first = threads.submit(tab("one").call, paint.at_rest, None)
            assert is_waiting.wait(LIMIT)
            assert tab("two").call(paint.at_rest, None)
            assert not first.done()
        first.result(LIMIT)


def test_a_film_that_is_made_keeps_no_other_film_waiting(tab, monkeypatch):
    token, save = paint_until(2, steps=3), studio.save_film
    with ThreadPoolExecutor() as threads:
        shown: list[Any] = []

        def save_beside_another(painting, ending):
            """The first film is not made before the second one is."""
            shown.append(ending)
            if len(shown) == 1:
                second = threads.submit(tab("two").call, views.make_film, token, ".gif")
                assert second.result(LIMIT / 2)
            return save(painting, ending)

        monkeypatch.setattr(studio, "save_film", save_beside_another)
        assert tab("one").call(views.make_film, token, ".webp")
    assert shown == [".webp", ".gif"]
