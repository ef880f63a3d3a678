"""Bodies of a gigabyte, those who send or read a byte a second, calls that nobody waits for."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import visitor
from stranger import CASTLE, LIMIT, Server, inline

from page.limits import LIMITS

pytestmark = pytest.mark.attack

PART, PARTS = bytes(10**6), 1000  # a gigabyte
HASTY = {"NST_UNREAD_SECONDS": "2", "NST_BODY_SECONDS": "3"}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory) -> Iterator[Server]:
    """A server that soon gives up those who do nothing."""
    folder = tmp_path_factory.mktemp("hasty")
    with visitor.started(folder, visitor.FAKE_APP, **HASTY) as address:
        server = Server(address, folder)
        assert server.call("stylize", **server.upload_pair(), steps=2)[0] == "complete"  # warm
        yield server


def status_of(pid: int, name: str) -> int:
    """A field of the process' status, bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)[1]) * 1024


@contextlib.contextmanager
def peak(pid: int) -> Iterator[list[float]]:
    """By how many MB the process' memory grows at the most."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is what it is now
    before, grown = status_of(pid, "VmRSS"), []
    yield grown
    grown.append((status_of(pid, "VmHWM") - before) / 1e6)


# --- Bodies -------------------------------------------------------------------------------------

ROUTES = (
    "gradio_api/upload", "gradio_api/component_server", "gradio_api/process_recording",
    "gradio_api/queue/join", "gradio_api/call/stylize", "gradio_api/call/v2/preview",
    "gradio_api/run/predict", "gradio_api/cancel", "gradio_api/stream/x", "login", "health",
    "", "nowhere",
)  # fmt: skip


BEGINNINGS = {
    "application/json": b'{"data": ["',
    "multipart/form-data; boundary=b": (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n'
    ),
}
JSON, FORM = BEGINNINGS


@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize(
    ("route", "kind"), [*((one, JSON) for one in ROUTES), *((one, FORM) for one in ROUTES[:3])]
)
def test_a_body_of_a_gigabyte_is_refused(route, kind, is_announced, hasty, attack):
    first = BEGINNINGS[kind]
    length = str(len(first) + PARTS * len(PART))

    def parts() -> Iterator[bytes]:
        yield first
        yield from itertools.repeat(PART, PARTS)

    headers = {"content-type": kind} | (
        {"content-length": length} if is_announced else {"transfer-encoding": "chunked"}
    )
    with peak(hasty.pid) as grown:
        began = time.monotonic()
        answer = httpx.post(hasty.address + route, content=parts(), headers=headers, timeout=LIMIT)
        took = time.monotonic() - began
    assert 400 <= answer.status_code < 500
    attack.tell(f"1 GB to /{route}: {answer.status_code} after {took:.2f} s, {grown[0]:+.0f} MB")
    assert grown[0] < 50
    assert took < 5


def test_pictures_inside_of_calls_do_not_stay_in_memory(hasty, attack):
    """As large as may be, from session to session."""
    pair = hasty.upload_pair()
    content = CASTLE.read_bytes()
    content += bytes(int(LIMITS.request_bytes * 0.7) - len(content))
    payload = pair | {"content": inline(content, "image/jpeg")}
    first = hasty.call("preview", **payload)
    assert first[0] in ("complete", "error"), first
    before = status_of(hasty.pid, "VmRSS")
    for number in range(12):
        one = inline(content[:-1] + bytes([number]), "image/jpeg")
        hasty.call("preview", **payload | {"content": one})
    grown = (status_of(hasty.pid, "VmRSS") - before) / 1e6
    attack.tell(f"12 calls with a picture of {len(content) / 1e6:.0f} MB inside: {grown:+.0f} MB")
    assert grown < 100  # MB; twelve of them are 180


# --- A byte a second ----------------------------------------------------------------------------

SLOW = 200  # connections


def connect(server: Server, sent: bytes) -> socket.socket:
    """One who has sent this, and takes little at once."""
    host, port = server.address.removeprefix("http://").rstrip("/").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    connection.sendall(sent)
    return connection


def head(number: int, path: str, method: str = "GET", more: str = "") -> bytes:
    """A request's head, from one address of many."""
    text = f"{method} /{path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.1.0.{number}\r\n{more}\r\n"
    return text.encode()


@contextlib.contextmanager
def once_a_second(each: Callable[[], None]) -> Iterator[None]:
    """Meanwhile, in another thread."""
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.wait(1.0):
            each()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def of_all(connections: list[socket.socket], act: Callable[[socket.socket], Any]) -> None:
    """Do something with each; those that were hung up on are left alone."""
    for one in connections:
        with contextlib.suppress(OSError):
            act(one)


def picture_seconds(server: Server, pair: dict[str, Any]) -> float:
    """How long a picture takes, the least of three."""
    run = pair | {"steps": 60, "time_budget": None, "frame_interval": 0.2}
    least = math.inf
    for _ in range(3):
        began = time.monotonic()
        assert server.call("stylize", **run)[0] == "complete"
        least = min(least, time.monotonic() - began)
    return least


def test_writers_of_a_byte_a_second_are_given_up_and_cost_the_others_nothing(hasty, attack):
    pair = hasty.upload_pair()
    idle = picture_seconds(hasty, pair)
    paths = ("gradio_api/queue/join", "gradio_api/upload", "gradio_api/cancel", "nowhere")
    body = f"Content-Length: 1000\r\nContent-Type: {FORM}\r\n"
    writers = [
        connect(hasty, head(n, paths[n % 4], "POST", body) + BEGINNINGS[FORM]) for n in range(SLOW)
    ]
    with once_a_second(lambda: of_all(writers, lambda one: one.sendall(b"x"))):
        busy = picture_seconds(hasty, pair)
        answers = [told(one) for one in writers]
    attack.tell(f"{SLOW} slow writers: a picture took {busy:.2f} s, {idle:.2f} s without them")
    assert busy < 2 * idle + 0.5  # s
    assert set(answers) == {b"408", b"404"}
    assert answers.count(b"408") == SLOW * 3 // 4


def test_readers_of_a_byte_a_second_cost_the_others_nothing(hasty, attack):
    """Of a file of 8 MB, the page, and the answers of a call; and heads that never end."""
    pair = hasty.upload_pair()
    idle = picture_seconds(hasty, pair)
    large = hasty.upload(bytes(8 * 10**6), "large.jpg")["path"]
    paths = (f"gradio_api/file={large}", "", hasty.begin("preview", **pair), "")
    with peak(hasty.pid) as grown, contextlib.ExitStack() as ending:
        slow = [connect(hasty, head(n, paths[n % 4])) for n in range(SLOW)]
        endless = [connect(hasty, head(n, "")[:-2] + b"X-Slow: ") for n in range(SLOW)]
        for one in (*slow, *endless):
            ending.callback(one.close)
        of_the_file = b""

        def go_on() -> None:
            nonlocal of_the_file
            of_the_file += slow[0].recv(1, socket.MSG_DONTWAIT)
            of_all(slow[1:], lambda one: one.recv(1, socket.MSG_DONTWAIT))
            of_all(endless, lambda one: one.sendall(b"x"))

        with once_a_second(go_on):
            busy = picture_seconds(hasty, pair)
        of_the_file += slow[0].recv(100, socket.MSG_DONTWAIT)
        held = psutil.Process(hasty.pid).net_connections("tcp")
    assert of_the_file.startswith(b"HTTP/1.1 200")
    # All but those who have got their whole answer, or wait for one that is not there.
    assert sum(one.status == psutil.CONN_ESTABLISHED for one in held) > SLOW
    attack.tell(
        f"{SLOW} slow readers and {SLOW} heads without an end: a picture took {busy:.2f} s, "
        f"{idle:.2f} s without them; {grown[0]:+.0f} MB"
    )
    assert busy < 2 * idle + 0.5  # s
    assert grown[0] < 200  # MB: the page on its way to each who reads it; whole files would be 400


def told(connection: socket.socket) -> bytes:
    """The status that somebody gets, who is then hung up on."""
    connection.settimeout(LIMIT)
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            answer += part
    connection.close()
    return answer[9:12]


# --- Nobody waits -------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ["preview", "stylize"])
def test_calls_that_nobody_waits_for_do_not_close_the_page(endpoint, hasty, attack):
    """From as many addresses as there are calls, behind a run that goes on."""
    count = attack.extent(short=100, full=1000)
    pair, before = hasty.upload_pair(), len(hasty.jobs())

    def outcomes() -> list[str]:
        return [job["outcome"] for job in hasty.jobs()[before:]]

    with hasty.hold_the_turn(pair):
        began = time.monotonic()
        with ThreadPoolExecutor(8) as crowd:
            for number in range(count):
                client = hasty.as_seen_from(f"10.{number // 250}.2.{number % 250}")
                crowd.submit(client.begin, endpoint, **pair)
        hasty.wait_for(lambda: len(outcomes()) >= count)
        assert hasty.at_work() == 1
        took = time.monotonic() - began
        waiting = hasty.as_seen_from("10.9.9.9").begin("preview", **pair)
    hasty.wait_until_idle()
    events = hasty.http.get(waiting).text
    assert "event: complete" in events
    assert set(outcomes()[:count]) == {"unread", "BusyError"}
    attack.tell(f"{count} calls of {endpoint} left alone: all ended after {took:.1f} s")


def test_no_address_takes_more_than_half_of_the_queue(hasty):
    """However many sessions it makes: each call is a new one."""
    pair, before = hasty.upload_pair(), len(hasty.jobs())
    greedy, other = hasty.as_seen_from("10.0.3.1"), hasty.as_seen_from("10.0.3.2")
    half = int(LIMITS.waiting / 2)
    with hasty.hold_the_turn(pair):
        for _ in range(half + 5):
            greedy.begin("preview", **pair)
        hasty.wait_for(lambda: len(hasty.jobs()) == before + 5)
        assert {job["outcome"] for job in hasty.jobs()[before:]} == {"BusyError"}
        path = other.begin("preview", **pair)
    assert "event: complete" in other.http.get(path).text


# --- Whose fault it is --------------------------------------------------------------------------

WRONG_CALLS: list[tuple[str, Any]] = [
    ("gradio_api/call/v2/nothing", {}),
    ("gradio_api/call/nothing", {"data": []}),
    ("gradio_api/queue/join", {"data": [], "fn_index": 10**6, "session_hash": "x"}),
    ("gradio_api/queue/join", {"data": [], "fn_index": "x", "session_hash": "x"}),
    ("gradio_api/queue/join", {"data": [], "fn_index": 0, "session_hash": ["x"]}),
    ("gradio_api/queue/join", []),
    ("gradio_api/component_server", {"data": [], "component_id": 10**6, "session_hash": "x",
                                     "fn_name": "x"}),
    ("gradio_api/component_server", {"data": [], "component_id": {}, "session_hash": "x",
                                     "fn_name": "x"}),
    ("gradio_api/cancel", {"session_hash": {}}),
    ("gradio_api/upload", {}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), WRONG_CALLS)
def test_a_wrong_call_is_told_so_and_is_not_logged_as_a_fault(path, body, hasty):
    before = hasty.log().count("Traceback")
    answer = hasty.http.post(path, content=json.dumps(body))
    assert 400 <= answer.status_code < 500, answer.text
    assert len(answer.text) < 2000
    assert hasty.log().count("Traceback") == before
