"""The running app, attacked through its HTTP interface as strangers can reach it."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import corpus
import pytest
from conftest import ROOT
from stranger import CASTLE, file, inline

from page.limits import LIMITS

pytestmark = pytest.mark.attack

PASSWORDS = "/etc/passwd"


@pytest.fixture(autouse=True, scope="module")
def _still_paints(server, pair):
    """After all attacks the next visitor gets a picture."""
    yield
    event, data = server.call("preview", **pair)
    assert event == "complete", data


# --- Parameters ---------------------------------------------------------------------------------

NOT_WANTED = [
    *[("size", value) for value in ("NaN", float("nan"), float("inf"), -float("inf"), 1e9, -5)],
    *[("size", value) for value in ("big", [1], {}, True, "64; ls", 10**400, 64.5, 2049)],
    *[("steps", value) for value in (0, -1, 10**30, 1.5, "1e3")],
    *[("optimizer", value) for value in ("__import__('os')", None, 7, ["lbfgs"], "x" * 10**6)],
    *[("style_layers", value) for value in ("x=1", "block1_conv1=-1", "block1_conv1=nan", 7, "=")],
    *[("init", value) for value in (None, "../../etc/passwd", {"a": 1})],
    *[("enlarge", value) for value in ("yes", 1, None)],
    *[("seed", value) for value in ("1e999", -1, "x")],
    *[("time_budget", value) for value in ("nan", -1, 0, float("inf"), "soon")],
    *[("strength", value) for value in (float("nan"), 2, -0.1, "all", [])],
    *[("content_weight", value) for value in (float("inf"), -1, "1e400")],
    ("tv_weight", float("nan")), ("style_weight", -1), ("style_scale", 100), ("feather", 1e9),
    ("color", "x"), ("pooling", "x"), ("precision", "float8"), ("content_layer", "fc1"),
    ("learning_rate", -1), *[("frame_interval", value) for value in (float("nan"), 1.1, 3600)],
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), NOT_WANTED)
def test_a_hostile_parameter_is_refused_by_its_name(name, value, server, pair):
    event, data = server.call("stylize", **pair | {"steps": 1, name: value})
    assert event == "error"
    assert name in data["error"]
    assert len(data["error"]) < 2000


def test_an_unknown_parameter_is_refused_by_its_name(server, pair):
    for name in ("nothing", "weights", "stylizer", "__class__"):
        status, data = server.call("stylize", **pair, **{name: PASSWORDS})
        assert status == "status 422"
        assert name in data["detail"]


def test_weights_of_paintings_that_make_no_sense(server, pair):
    for value in (float("nan"), -1, "much", None, [1]):
        more = {"style_2": pair["style"], "weight_2": value, "steps": 1}
        event, data = server.call("stylize", **pair | more)
        assert event == "error"
        assert "weights of 0 or more" in data["error"]


# --- Files and addresses ------------------------------------------------------------------------

SECRETS = (
    PASSWORDS,
    "../../../../etc/passwd",
    str(ROOT / "app.py"),
    "file:///etc/passwd",
    "~/.ssh/id",
)


@pytest.mark.parametrize("field", ["content", "style", "style_2", "mask_1", "keep"])
def test_no_file_of_the_server_is_opened(field, server, pair):
    for secret in SECRETS:
        for payload in (file(secret), file(secret, url=secret), secret, [secret]):
            event, data = server.call("stylize", **pair | {"steps": 1, field: payload})
            assert event == "error"
            assert "root:" not in json.dumps(data)


@pytest.mark.parametrize(
    "path", [*SECRETS, "%2e%2e/%2e%2e/etc/passwd", "/proc/self/environ", "app.py"]
)
def test_no_file_of_the_server_is_sent(path, server):
    for route in (
        "gradio_api/file=",
        "file=",
        "static/",
        "gradio_api/custom_component/",
        "svelte/",
    ):
        answer = server.http.get(f"{route}{path}")
        assert answer.status_code in (400, 403, 404, 405, 422), (route, answer.status_code)
        assert "root:" not in answer.text
        assert "import gradio" not in answer.text


def test_no_address_behind_the_server_is_asked(server, pair):
    """A listener on the loopback address hears nothing."""
    heard = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CASTLE.read_bytes())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as inside:
        threading.Thread(target=inside.serve_forever, daemon=True).start()
        port = inside.server_port
        for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "127.1", "2130706433", "0x7f.1"):
            url = f"http://{host}:{port}/castle.jpg"
            for payload in (file(url), file(url, url=url), {"url": url, **file("x")}):
                event, _ = server.call("preview", **pair | {"content": payload})
                assert event == "error"
            server.http.get(f"gradio_api/proxy={url}")
            server.http.get(f"gradio_api/file={url}")
        inside.shutdown()
    assert heard == []


def test_pages_of_the_operator_are_shut(server):
    for page in ("monitoring", "gradio_api/monitoring", "gradio_api/run_history", "docs", "redoc"):
        assert server.http.get(page).status_code in (403, 404), page


def test_answers_carry_safe_headers(server):
    for path in ("", "config", "gradio_api/info", "health", "nowhere"):
        headers = server.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "object-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("name", ["page.html", "page.svg", "script.js", "page.xml", "x.png.html"])
def test_an_upload_is_never_shown_as_a_page(name, server):
    uploaded = server.upload(b"<html><script>alert(1)</script></html>", name)
    answer = server.http.get(f"gradio_api/file={uploaded['path']}")
    assert answer.headers["content-disposition"].startswith("attachment")


# --- Pictures inside requests -------------------------------------------------------------------


def test_pictures_inside_a_request_are_looked_at_as_all_others(server, pair):
    good = CASTLE.read_bytes()
    event, _ = server.call("preview", **pair | {"content": inline(good, "image/jpeg")})
    assert event == "complete"
    bombs = corpus.png_bomb(12_000, 12_000), corpus.png_bomb(30_000, 30_000, 1, 0)
    for content in (b"", b"<script>", good[:500], *bombs):
        event, data = server.call("preview", **pair | {"content": inline(content)})
        assert event == "error"
        assert re.search("not a picture|truncated|million|empty", data["error"])


def test_hostile_files_through_the_interface(hostile_files, server, pair, attack):
    """Uploaded, and inside of the request: each is painted or refused in words."""
    files = random.Random(4).sample(hostile_files, attack.extent(30, len(hostile_files)))
    pid, before = server.pid, server.log().count("Traceback")
    outcomes: Counter[str] = Counter()
    longest = 0.0
    for path in files:
        content = path.read_bytes()
        for payload in (server.upload(content, path.name), inline(content)):
            began = time.monotonic()
            event, data = server.call("preview", **pair | {"content": payload})
            longest = max(longest, time.monotonic() - began)
            outcomes[event] += 1
            assert event == "complete" or len(data["error"]) > 30, (path.name, event, data)
    assert set(outcomes) == {"complete", "error"}
    assert server.pid == pid
    assert server.log().count("Traceback") == before
    attack.tell(
        f"{len(files)} hostile files by upload and in base64: {outcomes['complete']} painted, "
        f"{outcomes['error']} refused, at most {longest:.1f} s for one"
    )


def test_base64_that_is_damaged_or_too_long(server, pair):
    for text, event, message in (
        ("@@@@", "error", "damaged|picture"),
        ("A" * int(LIMITS.request_bytes), "status 413", "larger than 16 MB.*upload"),
    ):
        payload = inline(b"") | {"url": f"data:image/png;base64,{text}"}
        told, data = server.call("preview", **pair | {"content": payload})
        assert told == event
        assert re.search(message, data["error"])


def test_who_goes_away_during_an_upload_leaves_no_traceback(server):
    """The connection ends in the middle of the picture."""
    host, port = server.address.removeprefix("http://").rstrip("/").split(":")
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n\r\n"
    )
    part = '--b\r\nContent-Disposition: form-data; name="files"; filename="x.png"\r\n\r\n'
    before = server.log().count("Traceback")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")  # now it waits for the picture
        connection.sendall(part.encode() + bytes(5000))
    for _ in range(20):  # in which it has noticed
        server.upload(CASTLE.read_bytes(), "castle.jpg")
    assert server.log().count("Traceback") == before


def test_an_upload_that_is_too_large_is_refused(server):
    answer = server.http.post("gradio_api/upload", files={"files": ("big.png", bytes(51 * 2**20))})
    assert answer.status_code == 413


def test_no_store_for_strangers(server):
    """The drawing board's own channel, which would keep anything in memory."""
    board = next(
        one["id"] for one in server.http.get("config").json()["components"]
        if one["props"].get("elem_id") == "board"
    )  # fmt: skip
    data = {"component_id": board, "fn_name": "accept_blobs", "session_hash": "x", "id": "x"}
    files = {"file": ("x.png", b"x")}
    answer = server.http.post(
        "gradio_api/component_server",
        data=data | {"type": "layer", "index": "999999999"},
        files=files,
    )
    assert answer.status_code == 404


# --- Names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>.jpg",
        "../../../tmp/up.jpg",
        "a" * 500 + ".jpg",
        "x\x00y.jpg",
        "'; rm -rf.jpg",
    ],
)
def test_a_hostile_file_name_stays_a_name(name, server, pair):
    photo = server.upload(CASTLE.read_bytes(), name)
    event, data = server.call("stylize", **pair | {"content": photo, "steps": 1})
    assert event == "complete", data
    path = Path(data[0]["path"])
    assert path.is_relative_to(server.folder)
    assert len(path.name) < 256
    assert "/" not in path.name


@pytest.mark.parametrize(
    "path",
    ["call/stylize/unknown", "call/v2/stylize/unknown", "queue/data?session_hash=x", "queue/data"],
)
def test_answers_that_there_are_none_of_are_refused_in_words(server, path):
    """Gradio would break its answer off, and write a traceback for each who asks."""
    before = len(server.log())
    answer = server.http.get(f"gradio_api/{path}")
    assert (answer.status_code, answer.json()["error"]) == (404, "There is nothing here.")
    assert "Traceback" not in server.log()[before:]
