"""What `page/gradio_inside.py` needs of Gradio, held against the Gradio that is installed."""

from __future__ import annotations

import asyncio
import base64
import inspect
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import gradio as gr
import gradio_client
import httpx
import pytest
from gradio import (
    blocks,
    context,
    mcp,
    processing_utils,
    queueing,
    route_utils,
    routes,
    state_holder,
    utils,
)
from gradio_client import utils as client_utils
from PIL import Image

from page import gradio_inside
from page.components import Board, Download, PictureInput

# What it is a part of, its name, and the function that needs it.
ATTRIBUTES = [
    (context.LocalContext, "blocks", "event"),
    (context.LocalContext, "request", "session"),
    (context.LocalContext, "event_id", "event"),
    (gr.Request, "__getattr__", "accepted_languages"),
    (gr.Request, "__getattr__", "is_tool_call"),
    (context.Context, "id", "numbered_alike"),
    (utils, "get_upload_folder", "upload_folder"),
    (processing_utils, "save_base64_to_cache", "store_base64"),
    (gr.Image(), "GRADIO_CACHE", "store_base64"),
    (gr.TextArea, "is_template", "drawn_as_parent"),
    (gr.ImageEditor, "accept_blobs", "without_blobs"),
    (gr.Slider, "preprocess", "take_anything"),
    (context.LocalContext, "request", "client"),
    (state_holder.SessionState, "_update_value_in_config", "keep_no_values"),
    (processing_utils, "async_ssrf_protected_download", "fetch_nothing"),
    (processing_utils, "async_ssrf_protected_get", "fetch_nothing"),
    (routes.App, "get_blocks", "unanswered"),
    (routes.App, "get_blocks", "is_answered_to"),
    (route_utils, "FnIndexInferError", "UnknownEndpoint"),
]

# What is made at the start, as it is spelled where it is made.
SPELLED = [
    (queueing.Queue, "self.active_jobs", "is_wanted"),
    (queueing.Queue, "self.pending_messages_per_session", "count_unread"),
    (queueing.Event, "self._id", "is_wanted"),
    (queueing.Event, "self.alive", "is_wanted"),
    (blocks.Blocks, "self._queue", "event"),
    (queueing.Queue, "self.event_ids_to_events", "unanswered"),
    (queueing.Queue, "self.pending_messages_per_session", "is_answered_to"),
    (queueing.Queue, "self.pending_event_ids_session", "_session_of"),
    (queueing.Event, "self.request", "marked"),
    (asyncio.Queue, "self._queue", "oldest_unread"),
    (utils, '"GRADIO_TEMP_DIR"', "move_in"),
    (client_utils.construct_args, "raise TypeError", "is_wrong_call"),
    (mcp, '"x-gradio-user": "mcp"', "is_tool_call"),
    (
        mcp.GradioMCPServer,
        "output_data = await self._execute_tool_without_progress(job)",
        "hand_back_every_output",
    ),
]


def lost(name: str, function: str) -> str:
    return (
        f"Gradio {gr.__version__} has no {name} any more; find what it is called now and change "
        f"{function}() in page/gradio_inside.py."
    )


@pytest.mark.parametrize(("owner", "name", "function"), ATTRIBUTES)
def test_gradio_still_has(owner, name, function):
    assert hasattr(owner, name), lost(f"{owner!r}.{name}", function)


@pytest.mark.parametrize(("owner", "name", "function"), SPELLED)
def test_gradio_still_makes(owner, name, function):
    assert name in inspect.getsource(owner), lost(f"{owner.__name__}: {name}", function)


def test_a_tool_answers_with_each_of_its_outputs():
    gradio_inside.hand_back_every_output()
    own = mcp.GradioMCPServer._execute_tool_without_progress
    for result, outputs in ((("a", 1), ["a", 1]), ({"path": "x"}, [{"path": "x"}])):
        job = SimpleNamespace(result=lambda result=result: result)
        assert asyncio.run(own(None, job)) == outputs, lost(own.__name__, "hand_back_every_output")


def test_every_function_is_held_against_gradio():
    functions = {
        name
        for name, one in vars(gradio_inside).items()
        if inspect.isfunction(one) and one.__module__ == gradio_inside.__name__
    }
    held = {function for *_, function in ATTRIBUTES + SPELLED}
    assert functions == held - {"UnknownEndpoint"}


@pytest.mark.parametrize("path", [*gradio_inside.CALL_PATHS, *gradio_inside.UNUSED_PATHS])
def test_gradios_routes_still_have_these_paths(path):
    source = inspect.getsource(routes.App.create_app)
    tail = path.removeprefix("/gradio_api")
    assert f'"{tail}' in source or f'"{path}' in source or tail == "/mcp", lost(path, "the gate")


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, dict[str, Any]]]:
    """The address of a page, and what its one event sees of itself."""
    seen: dict[str, Any] = {}

    def look() -> str:
        event = gradio_inside.event()
        assert event is not None, lost("LocalContext", "event")
        seen["session"], seen["session of the event"] = gradio_inside.session(), event.session
        seen["wanted"] = gradio_inside.is_wanted(event)
        seen["unread"] = gradio_inside.count_unread(event)
        seen["client"] = gradio_inside.client()
        seen["oldest"] = gradio_inside.oldest_unread(event)
        seen["tool"] = gradio_inside.is_tool_call()
        seen["languages"] = gradio_inside.accepted_languages()
        return "seen"

    with gr.Blocks() as page:
        gr.on([], look, None, gr.Textbox(), api_name="look")
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True)
    yield url, seen
    page.close()


def test_uploads_still_arrive_at_their_path(served):
    url, _ = served
    address = url.rstrip("/") + gradio_inside.UPLOAD_PATH
    answer = httpx.post(address, files={"files": ("a.txt", b"a")})
    assert answer.status_code == 200, lost(gradio_inside.UPLOAD_PATH, "UPLOAD_PATH")


def test_an_event_knows_its_client(served):
    url, seen = served
    client = gradio_client.Client(url, verbose=False)
    assert client.predict(api_name="/look") == "seen"
    assert seen["session"] == seen["session of the event"] == client.session_hash, lost(
        "Request.session_hash", "session"
    )
    assert seen["wanted"], lost("Event.alive", "is_wanted")
    assert seen["unread"] >= 0
    assert seen["languages"] == "", lost("Request.headers", "accepted_languages")
    assert seen["client"] == "127.0.0.1", lost("Request.client", "client")
    client.close()


def test_an_event_knows_the_languages_of_its_browser(served):
    url, seen = served
    client = gradio_client.Client(url, verbose=False, headers={"accept-language": "de-DE,de;q=0.9"})
    client.predict(api_name="/look")
    assert seen["languages"] == "de-DE,de;q=0.9", lost("Request.headers", "accepted_languages")
    client.close()


class Counter(BaseHTTPRequestHandler):
    """A picture at an address, and how often it was asked for."""

    asked = 0

    def do_GET(self) -> None:
        Counter.asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a picture")

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def address(monkeypatch) -> Iterator[str]:
    """A file at a public address, as far as Gradio can tell."""
    Counter.asked = 0
    monkeypatch.setattr(processing_utils, "PUBLIC_HOSTNAME_WHITELIST", ["127.0.0.1"])
    with HTTPServer(("127.0.0.1", 0), Counter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/castle.jpg"
        server.shutdown()


# Before any other test lays out the page.
GRADIOS_OWN = {
    name: getattr(processing_utils, name)
    for name in ("async_ssrf_protected_download", "async_ssrf_protected_get")
}


@pytest.mark.parametrize("is_shut", [False, True])
def test_no_address_is_fetched(is_shut, address, monkeypatch, tmp_path):
    """As a file of any component; Gradio would, which shows that the address is a public one."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    for name, own in GRADIOS_OWN.items():
        monkeypatch.setattr(processing_utils, name, own)
    if is_shut:
        gradio_inside.fetch_nothing(lambda: gr.Error("not fetched"))
    file = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
    for component in (PictureInput(), gr.File(), gr.Textbox()):
        moved = processing_utils.async_move_files_to_cache(
            {"nested": [file]}, component, check_in_upload_folder=True
        )
        if is_shut:
            with pytest.raises(gr.Error, match="not fetched"):
                asyncio.run(moved)
        else:
            asyncio.run(moved)
    assert bool(Counter.asked) != is_shut
    assert bool(list(tmp_path.rglob("*"))) != is_shut


def test_a_page_is_laid_out_alike_in_each_language_and_told_to_browsers_in_theirs():
    def lay_out(language: str) -> gradio_inside.Multilingual:
        with gradio_inside.Multilingual(title=language) as page:
            gr.Textbox(label=language).change(lambda text: text, None, gr.Textbox())
        return page

    first, second = gradio_inside.numbered_alike(lay_out, ["en", "de"])
    first.others = {"de": second}
    first.config = first.get_config_file()
    token = gradio_inside.LANGUAGE.set("de")
    german, api = first.config, first.get_api_info()
    gradio_inside.LANGUAGE.reset(token)
    english = first.config
    labels = [
        [one["props"]["label"] for one in config["components"][:1]] for config in (english, german)
    ]
    assert labels == [["en"], ["de"]]
    assert (english["title"], german["title"]) == ("en", "de")
    assert english["page"] == german["page"], lost("Context.id", "numbered_alike")
    assert "'de'" not in str(api)


def test_an_event_knows_whether_an_assistant_called(served):
    url, seen = served
    for headers in ({}, {"x-gradio-user": "mcp"}):
        client = gradio_client.Client(url, verbose=False, headers=headers)
        client.predict(api_name="/look")
        assert seen["tool"] == bool(headers), lost("x-gradio-user", "is_tool_call")
        client.close()


def test_outside_of_gradio_there_is_no_event():
    assert gradio_inside.event() is None
    assert gradio_inside.session() is None
    assert gradio_inside.accepted_languages() is None
    assert not gradio_inside.is_tool_call()


def test_components_hand_over_what_arrives():
    slider = gradio_inside.take_anything(gr.Slider(0, 1))
    assert slider.preprocess("much") == "much"


def test_browsers_show_the_changed_components_as_gradios_own():
    """By the name that is sent to the browser."""
    for changed, own in (
        (PictureInput(), gr.Image()),
        (Board(), gr.ImageEditor()),
        (Download(), gr.DownloadButton()),
    ):
        assert changed.get_block_name() == own.get_block_name(), lost(
            "is_template", "drawn_as_parent"
        )


def test_base64_becomes_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    assert gradio_inside.upload_folder() == tmp_path
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2)).save(buffer, "PNG")
    sent = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    with Image.open(gradio_inside.store_base64(gr.Image(), sent)) as image:
        assert image.size == (3, 2)
