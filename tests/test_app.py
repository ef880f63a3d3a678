"""The served app: through its own client, and through a client of its MCP server."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
import time

import gradio_client
import numpy as np
import pytest
from conftest import example
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

import app
from nst_core import Settings, Style, stylize
from nst_core.settings import DEFAULTS, SPECS
from page import controls, mixing

CASTLE, WAVE = str(example("content/castle")), str(example("style/great-wave"))


def test_the_endpoints_are_documented():
    endpoints = app.make_page().get_api_info()["named_endpoints"]
    assert set(endpoints) == {"/stylize", "/preview"}
    parameters = {p["parameter_name"]: p for p in endpoints["/stylize"]["parameters"]}
    assert list(parameters) == ["content", "style", *controls.NAMES, *mixing.MORE]
    for name, parameter in parameters.items():
        assert parameter["parameter_has_default"] == (name not in ("content", "style")), name
    for name in controls.NAMES:
        default = DEFAULTS[name]
        expected = controls.show(Settings())[controls.NAMES.index(name)]
        assert parameters[name]["parameter_default"] == (expected if default is not None else None)
        assert SPECS[name].help in app.actions.stylize.__doc__
    for name, (default, text) in mixing.MORE.items():
        assert parameters[name]["parameter_default"] == default
        assert text in app.actions.stylize.__doc__
    assert len(endpoints["/stylize"]["returns"]) == 3
    given = [p["parameter_name"] for p in endpoints["/preview"]["parameters"]]
    assert given == ["content", "style", "size", *mixing.MORE]


@pytest.fixture(scope="module")
def address():
    """The app, served on the loopback address."""
    page = app.make_page()
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, mcp_server=True, **app.LAUNCH)
    yield url
    page.close()


@pytest.fixture
def client(address):
    client = gradio_client.Client(address, verbose=False)
    yield client
    client.close()


def pictures() -> tuple:
    return gradio_client.handle_file(CASTLE), gradio_client.handle_file(WAVE)


def test_a_client_sees_the_picture_change(client):
    job = client.submit(*pictures(), size=96, steps=6, frame_interval=0, api_name="/stylize")
    shown, statuses = [], []
    for picture, status, _ in job:
        with Image.open(picture) as image:
            shown.append(image.tobytes())
            assert image.size == (96, 64)
            last_format = image.format
        statuses.append(status)
    assert len(set(shown)) >= 4
    assert last_format == "PNG"
    assert statuses[-1].startswith("Done: 6 steps")
    assert any("step 3 of 6" in status for status in statuses)


def test_defaults_may_be_left_out(client):
    result = client.predict(*pictures(), size=64, steps=1, api_name="/stylize")
    assert result[1].startswith("Done: 1 step in")


def test_a_first_look_is_one_call(client):
    with Image.open(client.predict(*pictures(), 128, api_name="/preview")) as image:
        assert image.size == (128, 85)


def test_a_client_mixes_paintings_and_regions(client, tmp_path):
    mask = np.zeros([40, 60], np.uint8)
    mask[:, :30] = 255
    Image.fromarray(mask).save(tmp_path / "left.png")
    given = {"size": 64, "steps": 2, "precision": "float32", "color": "linear"}
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
    with Image.open(picture) as image:
        assert np.abs(np.asarray(image, float) - expected.image).max() <= 2


def test_cancelling_ends_the_work(client, steps_done):
    """A real client goes away; the steps stop, and the next run is not blocked."""
    job = client.submit(*pictures(), size=96, steps=5000, frame_interval=0, api_name="/stylize")
    wait_for(lambda: len(steps_done) >= 3)
    job.cancel()
    time.sleep(1.0)
    stopped_at = len(steps_done)
    time.sleep(1.5)
    assert len(steps_done) == stopped_at
    assert client.predict(*pictures(), size=64, steps=1, api_name="/stylize")[1].startswith("Done")


def test_an_error_reaches_the_client_as_its_sentence(client, tmp_path):
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(Exception, match=r"'page\.jpg' is not a picture that can be read"):
        client.predict(
            gradio_client.handle_file(str(tmp_path / "page.jpg")),
            gradio_client.handle_file(WAVE),
            api_name="/stylize",
        )


def test_an_mcp_client_finds_the_tools_and_paints(address):
    tools, looked, painted = asyncio.run(call_over_mcp(address))
    by_name = {tool.name: tool for tool in tools}
    assert set(by_name) == {"stylize", "preview"}
    properties = by_name["stylize"].inputSchema["properties"]
    assert SPECS["strength"].help in properties["strength"]["description"]
    for answer in (looked, painted):
        assert not answer.isError, answer
        picture = next(part for part in answer.content if part.type == "image")
        with Image.open(io.BytesIO(base64.b64decode(picture.data))) as image:
            assert image.size == (64, 43)
            assert np.asarray(image).std() > 10


async def call_over_mcp(address: str):
    """List the tools, call the plain one, and the streaming one with progress."""

    async def show_progress(*_) -> None: ...

    async with (
        streamable_http_client(f"{address}gradio_api/mcp/") as (read, write, *_),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        tools = (await session.list_tools()).tools
        arguments = {"content": as_data_url(CASTLE), "style": as_data_url(WAVE), "size": 64}
        looked = await session.call_tool("preview", arguments)
        painted = await session.call_tool(
            "stylize", arguments | {"steps": 2}, progress_callback=show_progress
        )
        return tools, looked, painted


def as_data_url(path: str) -> str:
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.reduce(8).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{threading.active_count()} threads"
        time.sleep(0.05)
