"""The served app: through its own client, and through a client of its MCP server."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio_client
import numpy as np
import pytest
from conftest import example
from fake_engine import LIMIT
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image
from stranger import Server

import app
from nst_core import Settings, Style, stylize
from nst_core.presets import PRESETS
from nst_core.settings import SPECS
from page import choice, controls, paint
from page.limits import Limits
from page.turns import MAX_UNREAD

CASTLE, WAVE = str(example("content/castle")), str(example("style/great-wave"))


def test_the_endpoints_are_documented():
    endpoints = app.make_page().get_api_info()["named_endpoints"]
    assert set(endpoints) == {"/stylize", "/preview"}
    parameters = {p["parameter_name"]: p for p in endpoints["/stylize"]["parameters"]}
    assert list(parameters) == ["content", "style", *controls.NAMES, *choice.MORE, "preset"]
    for name, parameter in parameters.items():
        assert parameter["parameter_has_default"] == (name not in ("content", "style")), name
    for name in controls.NAMES:
        begins_empty = controls.initial(name) is None
        shown = controls.show(Settings())[controls.NAMES.index(name)]
        assert parameters[name]["parameter_default"] == (None if begins_empty else shown)
        assert SPECS[name].help in paint.stylize.__doc__
    for name, (default, text) in choice.MORE.items():
        assert parameters[name]["parameter_default"] == default
        assert text in paint.stylize.__doc__
    assert len(endpoints["/stylize"]["returns"]) == 4
    given = [p["parameter_name"] for p in endpoints["/preview"]["parameters"]]
    assert given == ["content", "style", "size", *choice.MORE]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The app, served on the loopback address."""
    page = app.make_page()
    _, url, _ = page.launch(
        prevent_thread_lock=True, quiet=True, mcp_server=True, **app.launch_options()
    )
    yield url
    page.close()


@pytest.fixture(scope="module")
def client(address) -> Iterator[gradio_client.Client]:
    client = gradio_client.Client(address, verbose=False)
    yield client
    client.close()


def pictures() -> tuple:
    return gradio_client.handle_file(CASTLE), gradio_client.handle_file(WAVE)


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, float)


# --- What it answers ----------------------------------------------------------------------------


def test_a_client_sees_the_picture_change(client):
    """With the real engine, from the upload to the PNG."""
    settings = {"size": 96, "steps": 4, "frame_interval": 0}
    job = client.submit(*pictures(), **settings, api_name="/stylize")
    shown, statuses, progress = [], [], []
    for picture, status, _, told in job:
        shown.append(pixels(picture))
        statuses.append(status)
        progress.append(told)
    assert {picture.shape for picture in shown} == {(64, 96, 3)}
    assert len({picture.tobytes() for picture in shown}) >= 4
    assert any("step 3" in status for status in statuses)
    assert statuses[-1].endswith("(4 steps).")
    assert progress[0] is None  # nothing is known before the first picture
    told = [one for one in progress if one]
    assert [one["step"] for one in told] == sorted(one["step"] for one in told)
    assert {one["steps"] for one in told} == {4}
    assert all(one["seconds_left"] is None or one["seconds_left"] >= 0 for one in told)
    last = told[-1]
    assert (last["step"], last["scale"], last["done"]) == (4, 96, True)
    assert set(last["losses"]) >= {"total", "content", "style"}
    np.testing.assert_array_equal(shown[-1], stylize(CASTLE, WAVE, Settings(**settings)).image)


@pytest.mark.usefixtures("steps")
def test_what_is_left_out_is_the_default(client):
    picture, status, losses, _ = client.predict(*pictures(), size=64, api_name="/stylize")
    assert status.endswith(f"({Settings().steps} steps).")
    expected = stylize(CASTLE, WAVE, Settings(size=64))
    np.testing.assert_array_equal(pixels(picture), expected.image)
    assert losses["columns"] == ["step", "term", "loss"]


@pytest.mark.usefixtures("steps")
def test_a_preset_sets_what_is_left_out(client):
    """What is given besides stays as it is."""
    job = client.submit(*pictures(), size=64, preset="paper", api_name="/stylize")
    *_, progress = job.outputs()[-1] if job.result() else ()
    assert progress["steps"] == PRESETS["paper"].settings.steps
    assert progress["scale"] == 64
    with pytest.raises(Exception, match="preset is 'oil', but it must be one of: classic, gallery"):
        client.predict(*pictures(), preset="oil", api_name="/stylize")


def test_a_first_look_is_one_call(client, steps):
    picture = client.predict(*pictures(), 128, api_name="/preview")
    assert pixels(picture).shape == (85, 128, 3)
    assert (steps.previews, steps.done) == (1, [])


@pytest.mark.usefixtures("steps")
def test_a_client_mixes_paintings_and_regions(client, tmp_path):
    mask = np.zeros([40, 60], np.uint8)
    mask[:, :30] = 255
    Image.fromarray(mask).save(tmp_path / "left.png")
    given = {"size": 64, "steps": 2, "color": "linear"}
    other = str(example("style/composition-viii"))
    picture, *_ = client.predict(
        *pictures(),
        **given,
        style_2=gradio_client.handle_file(other),
        weight_2=0.5,
        mask_1=gradio_client.handle_file(str(tmp_path / "left.png")),
        api_name="/stylize",
    )
    styles = [Style(WAVE, mask=mask), Style(other, 0.5)]
    expected = stylize(CASTLE, styles, Settings(**given))
    np.testing.assert_array_equal(pixels(picture), expected.image)


def test_an_error_reaches_the_client_as_its_sentence(client, tmp_path):
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(Exception, match=r"'page\.jpg' is not a picture that can be read"):
        client.predict(
            gradio_client.handle_file(str(tmp_path / "page.jpg")),
            gradio_client.handle_file(WAVE),
            api_name="/stylize",
        )


@pytest.mark.parametrize("seconds", [3600, 1.1])
def test_pictures_come_at_least_once_a_second(seconds, client, steps):
    with pytest.raises(Exception, match=rf"frame_interval is {seconds}.*at most 1 s here"):
        client.predict(*pictures(), size=64, frame_interval=seconds, api_name="/stylize")
    assert steps.done == []


# --- Going away ---------------------------------------------------------------------------------

LONG: dict[str, Any] = {"steps": 5000, "frame_interval": 1}  # ends only when it is made to


@pytest.fixture
def server(address, tmp_path) -> Server:
    """The app as one reaches it without Gradio's client."""
    return Server(address, tmp_path)


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check_ends_within_the_step(steps, turns, number: int, reason: str) -> None:
    """The step that is held is the last one, once the server knows that nobody wants more."""
    ticket = turns.tickets[-1]
    wait_for(lambda: all(one.stop.is_set() for one in turns.tickets))
    steps.release()
    wait_for(lambda: turns.count() == 0)
    assert ticket.stop.reason == reason
    assert len(steps.done) == number


def test_who_hangs_up_ends_the_work_within_the_step(server, steps, turns):
    steps.hold_at(3)
    with server.watch(server.begin(**server.upload_pair(), **LONG)) as events:
        next(events)
        steps.wait_until_held()
    check_ends_within_the_step(steps, turns, 3, "hung up")


def test_who_cancels_ends_the_work_within_the_step(client, steps, turns):
    steps.hold_at(3)
    job = client.submit(*pictures(), size=64, **LONG, api_name="/stylize")
    steps.wait_until_held()
    cancelling = threading.Thread(target=job.cancel)  # it returns after the step
    cancelling.start()
    check_ends_within_the_step(steps, turns, 3, "hung up")
    cancelling.join(LIMIT)
    again = client.predict(*pictures(), size=64, steps=1, api_name="/stylize")
    assert again[1].startswith("Done")


def test_a_run_that_nobody_reads_ends(server, steps, turns):
    """Its stream is never opened."""
    server.begin(**server.upload_pair(), **LONG | {"frame_interval": 0})
    wait_for(lambda: turns.tickets)
    wait_for(lambda: turns.count() == 0)
    assert turns.tickets[0].stop.reason == "unread"
    assert len(steps.done) < 2 * MAX_UNREAD


def test_a_first_look_that_nobody_waits_for_ends_while_it_waits(
    server, client, steps, turns, monkeypatch
):
    """Behind a run that goes on, and with nothing that it would send."""
    monkeypatch.setattr("page.turns.LIMITS", Limits(unread_seconds=0.2))
    steps.hold_at(1)
    job = client.submit(*pictures(), size=64, **LONG, api_name="/stylize")
    steps.wait_until_held()
    server.begin("preview", **server.upload_pair())
    wait_for(lambda: len(turns.tickets) == 2)
    wait_for(lambda: turns.count() == 1)
    assert turns.tickets[1].stop.reason == "unread"
    assert not turns.tickets[0].stop.is_set(), "who reads is not given up"
    steps.release()
    job.cancel()


def test_the_share_of_the_queue_is_the_network_addresss(server, turns):
    """As a proxy tells it that the host trusts; a session is as new as the call."""
    seen = []
    for address in ("10.0.0.1", "10.0.0.1", "2001:db8::1"):
        one = server.as_seen_from(address)
        assert one.call("preview", **one.upload_pair())[0] == "complete"
        seen.append((turns.tickets[-1].client, turns.tickets[-1].session))
    assert [client for client, _ in seen] == ["10.0.0.1", "10.0.0.1", "2001:db8::/64"]
    assert len({session for _, session in seen}) == 3


@pytest.mark.parametrize("endpoint", ["stylize", "preview"])
def test_an_error_of_ours_is_told_with_its_job_and_logged(
    endpoint, server, monkeypatch, caplog, steps, turns
):
    def broken(*_: Any) -> Any:
        raise TypeError("int() cannot do that")

    monkeypatch.setattr(
        paint.studio, "check_there" if endpoint == "stylize" else "save_image", broken
    )
    event, data = server.call(endpoint, **server.upload_pair())
    assert event == "error"
    jobs = [json.loads(one.getMessage()) for one in caplog.records if one.name == "studio"]
    (fault,) = [job for job in jobs if job["kind"] == "fault"]
    assert fault["outcome"] == "TypeError"
    assert data["error"].endswith(f"job {fault['job']}.")
    assert "int()" not in data["error"]
    (record,) = [one for one in caplog.records if one.exc_info]
    assert "int() cannot do that" in str(record.exc_info[1])


@pytest.mark.parametrize("endpoint", ["stylize", "preview"])
def test_who_goes_while_waiting_costs_no_work(endpoint, server, client, steps, turns):
    steps.hold_at(1)
    with server.watch(server.begin(**server.upload_pair(), **LONG)) as events:
        next(events)
        steps.wait_until_held()
        job = client.submit(*pictures(), size=64, api_name=f"/{endpoint}")
        wait_for(lambda: turns.count() == 2)
        job.cancel()
        wait_for(lambda: turns.count() == 1)
    check_ends_within_the_step(steps, turns, 1, "hung up")
    assert steps.previews == 1


# --- As a tool ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("steps")
def test_an_mcp_client_finds_the_tools_and_paints(address):
    tools, *answers = asyncio.run(call_over_mcp(address))
    by_name = {tool.name: tool for tool in tools}
    assert set(by_name) == {"stylize", "preview"}
    properties = by_name["stylize"].inputSchema["properties"]
    assert SPECS["strength"].help in properties["strength"]["description"]
    for answer in answers[1:]:
        told = " ".join(part.text for part in answer.content if part.type == "text")
        assert "(2 steps)." in told
        assert "'seconds_left'" in told
        assert "columns" not in told  # the plot's table would be most of what an assistant reads
    for answer in answers:
        assert not answer.isError, answer
        picture = next(part for part in answer.content if part.type == "image")
        with Image.open(io.BytesIO(base64.b64decode(picture.data))) as image:
            assert image.size == (64, 43)
            assert np.asarray(image).std() > 10


async def call_over_mcp(address: str):
    """List the tools, call the plain one, and the streaming one without and with progress."""

    async def show_progress(*_) -> None: ...

    async with (
        streamable_http_client(f"{address}gradio_api/mcp/") as (read, write, *_),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        tools = (await session.list_tools()).tools
        arguments = {"content": as_data_url(CASTLE), "style": as_data_url(WAVE), "size": 64}
        looked = await session.call_tool("preview", arguments)
        painted = [
            await session.call_tool("stylize", arguments | {"steps": 2}, **options)
            for options in ({}, {"progress_callback": show_progress})
        ]
        return tools, looked, *painted


def as_data_url(path: str) -> str:
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.reduce(8).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
