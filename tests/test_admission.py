"""The gate: what is refused, of whom, and in which words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from page import admission, gradio_inside
from page.admission import Admission
from page.limits import Limits

UPLOAD, CALL, OTHER = gradio_inside.UPLOAD_PATH, gradio_inside.CALL_PATHS[0], "/other"
UNUSED = gradio_inside.UNUSED_PATHS[0]
FRAME = admission.FRAMES + "camera"

LIMITS = Limits(
    request_bytes=1000, upload_bytes=5000, frame_bytes=200, other_bytes=100, waiting_bytes=3000,
    body_seconds=0.05, body_pace=1e6, bytes_at_once=20_000, bytes_per_second=100,
    requests_at_once=20, requests_per_second=2, events=6, disk_reserve=1,
)  # fmt: skip


@dataclass
class Told:
    """What a client is answered."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    parts_taken: int = 0  # of its own body

    @property
    def error(self) -> str:
        text = self.body.decode()
        return json.loads(text)["error"] if text.startswith("{") else text


class Site:
    """An app behind the gate, that tells how long a body was."""

    def __init__(self, answer: Callable[[Request], Awaitable[Any]] | None = None) -> None:
        routes = [
            Route(path, answer or count, methods=["POST", "GET"])
            for path in (UPLOAD, CALL, OTHER, UNUSED, FRAME)
        ]
        self.app = Admission(Starlette(routes=routes), LIMITS)

    def send(self, path: str, *parts: bytes, **how: Any) -> Told:
        """Send a body in parts."""
        return asyncio.run(self.ask(path, *parts, **how))

    async def ask(
        self,
        path: str,
        *parts: bytes,
        client: str = "10.0.0.1",
        length: int | None = None,
        method: str = "POST",
        is_endless: bool = False,
        is_chunked: bool = False,
    ) -> Told:
        """The same, inside of an event loop.

        Args:
            length: as it is announced; without one it is not.
            is_endless: nothing comes after the parts, nor do they end.
        """
        told, coming = Told(), iter(self._messages(parts, is_endless))

        async def receive() -> Any:
            message = next(coming, None)
            if message is None:
                await asyncio.Event().wait()
            told.parts_taken += 1
            return message

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                told.status = message["status"]
                told.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            told.body += message.get("body", b"")

        headers = [] if length is None else [(b"content-length", str(length).encode())]
        headers += [(b"transfer-encoding", b"chunked")] if is_chunked else []
        scope = {"type": "http", "path": path, "method": method, "headers": headers}
        await self.app(scope | {"client": (client, 1), "query_string": b""}, receive, send)
        return told

    @staticmethod
    def _messages(parts: tuple[bytes, ...], is_endless: bool) -> Iterable[Any]:
        for number, part in enumerate(parts or (b"",), start=1):
            more = is_endless or number < len(parts)
            yield {"type": "http.request", "body": part, "more_body": more}


async def count(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(autouse=True)
def _no_lingering(monkeypatch):
    monkeypatch.setattr(admission, "LINGER", 0.01)


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time that it is, to be changed."""
    now = [0.0]
    monkeypatch.setattr(admission.time, "monotonic", lambda: now[0])
    return now


# --- Size ---------------------------------------------------------------------------------------

MOST = {UPLOAD: 5000 + admission.FORM, CALL: 1000, OTHER: 100}


@pytest.mark.parametrize("path", MOST)
def test_a_body_is_taken_up_to_the_limit_of_its_route(path):
    most = MOST[path]
    assert Site().send(path, bytes(most), length=most).body == str(most).encode()
    assert Site().send(path, bytes(most - 1), b"x").body == str(most).encode()


@pytest.mark.parametrize("path", MOST)
def test_one_that_announces_more_is_refused_before_it_is_read(path):
    told = Site().send(path, b"x", length=MOST[path] + 1, is_endless=True)
    assert told.status == 413
    assert told.error.startswith("This is larger than ")
    assert told.headers["connection"] == "close"


@pytest.mark.parametrize("path", MOST)
def test_one_that_only_grows_is_refused_at_the_limit(path):
    told = Site().send(path, *[bytes(MOST[path] // 4)] * 100, is_endless=True)
    assert told.status == 413


def test_what_comes_to_an_app_is_never_more_than_the_limit():
    seen = []

    async def watch(request: Request) -> PlainTextResponse:
        async for part in request.stream():
            seen.append(len(part))
        return PlainTextResponse("all of it")

    told = Site(watch).send(CALL, *[bytes(300)] * 10)
    assert told.status == 413
    assert sum(seen) == 900


def test_the_limit_is_named():
    assert "larger than 1 kB" in Site().send(CALL, length=2000).error


@pytest.mark.parametrize(("path", "kind"), [(UPLOAD, "text/plain"), (CALL, "application/json")])
def test_told_in_the_way_that_gradios_clients_show(path, kind):
    """Of an upload's answer they show all that there is, of others' what is called an error."""
    assert Site().send(path, length=10**9).headers["content-type"].startswith(kind)


def test_below_a_path_that_the_page_is_mounted_at():
    site = Site()
    scope = {"path": "/mounted" + CALL, "root_path": "/mounted"}
    assert site.app.route(scope).most == 1000


def test_what_the_page_has_no_use_for_is_shut():
    told = Site().send(UNUSED, b"x", length=1)
    assert (told.status, told.error) == (404, "There is nothing here.")


@pytest.mark.parametrize(("length", "is_closed"), [(0, False), (50, False), (90, True)])
def test_an_answer_before_the_body_is_read_ends_the_connection(length, is_closed):
    """Or the rest could come at a byte a second, for ever."""

    async def read_once(request: Request) -> PlainTextResponse:
        await anext(request.stream())
        return PlainTextResponse("enough")

    told = Site(read_once).send(
        OTHER, bytes(min(length, 50)), length=length, is_endless=length > 50
    )
    assert told.body == b"enough"
    assert (told.headers.get("connection") == "close") == is_closed


# --- Time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [(), (b"x",), (b"x", b"y")])
def test_a_body_that_does_not_go_on_is_given_up(parts):
    told = Site().send(UPLOAD, *parts, length=3, is_endless=True)
    assert told.status == 408
    assert "too slowly" in told.error


def test_an_answer_may_take_longer_than_a_body():
    async def think(request: Request) -> PlainTextResponse:
        await request.body()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3 * LIMITS.body_seconds):
                await request.receive()  # as streams of events wait for a hanging up
        return PlainTextResponse("thought")

    assert Site(think).send(CALL, b"x").body == b"thought"


# --- Rates --------------------------------------------------------------------------------------


def test_each_client_has_a_rate_of_its_own(clock):
    site = Site()
    for _ in range(20):
        assert site.send(OTHER, b"x").status == 200
    told = site.send(OTHER, b"x")
    assert told.status == 429
    assert told.headers["retry-after"] == "1"
    assert "try again in 1 s" in told.error
    assert site.send(OTHER, b"x", client="10.0.0.2").status == 200
    assert site.send(OTHER, method="GET").status == 200, "reading costs nothing"
    clock[0] = 1.0
    assert site.send(OTHER, b"x").status == 200
    clock[0] = 1e6  # no more room than at first
    assert [site.send(OTHER, b"x").status for _ in range(21)] == [200] * 20 + [429]


def test_bytes_have_a_rate_and_who_has_begun_may_end(clock):
    site = Site()
    for _ in range(2):
        assert site.send(UPLOAD, bytes(14_000), length=14_000).status == 200
    told = site.send(UPLOAD, b"x")
    assert (told.status, told.headers["retry-after"]) == (429, "81")
    assert site.send(UPLOAD, b"x", client="10.0.0.2").status == 200
    assert site.send(CALL, bytes(101), length=101).status == 429
    assert site.send(CALL, b"x", is_chunked=True).status == 429
    assert site.send(CALL, bytes(100), length=100).status == 200, "a click has no bytes to speak of"
    clock[0] = 82.0
    assert site.send(UPLOAD, b"x").status == 200


def test_only_so_many_clients_are_remembered(monkeypatch):
    monkeypatch.setattr(admission, "CLIENTS", 3)
    rates = admission.Rates(at_once=1, per_second=1e-9)
    for number in range(100):
        rates.charge(str(number), 2)
    with pytest.raises(admission.RefusedError):
        rates.check("99")
    rates.check("0")


# --- All that waits ------------------------------------------------------------------------------


async def wait_for_ever(request: Request) -> PlainTextResponse:
    await request.body()
    await asyncio.Event().wait()
    raise AssertionError


def crowded(*waiting: tuple[str, int], last: tuple[str, int]) -> Told:
    """What the last is told while calls of these clients, of so many bytes, are not answered."""
    site = Site(wait_for_ever)

    async def go() -> Told:
        before = [
            asyncio.create_task(site.ask(CALL, bytes(size), client=client))
            for client, size in waiting
        ]
        for _ in range(20):
            await asyncio.sleep(0)
        client, size = last
        asked = asyncio.create_task(site.ask(CALL, bytes(size), client=client))
        await asyncio.wait([asked], timeout=0.2)
        told = asked.result() if asked.done() else Told(0)
        for task in (*before, asked):
            task.cancel()
        await asyncio.gather(*before, asked, return_exceptions=True)
        return told

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("waiting", "last", "is_refused"),
    [
        ([("a", 1)] * 2, ("a", 1), False),
        ([("a", 1)] * 3, ("a", 1), True),  # half of six
        ([("a", 1)] * 3, ("b", 1), False),
        ([("a", 1)] * 3 + [("b", 1)] * 3, ("c", 1), True),
        ([("a", 750)], ("a", 750), False),
        ([("a", 750)], ("a", 751), True),  # half of 3000
        ([("a", 750)], ("b", 751), False),
        ([("a", 1000), ("b", 1000)], ("c", 1000), False),
        ([("a", 1000), ("b", 1000), ("c", 1)], ("d", 1000), True),
    ],
)
def test_calls_that_wait_have_room_together_and_one_client_in_half_of_it(waiting, last, is_refused):
    told = crowded(*waiting, last=last)
    assert told.status == (429 if is_refused else 0)
    if is_refused:
        assert "waiting to be answered" in told.error


def test_answered_calls_leave_their_room():
    site = Site()
    assert [site.send(CALL, bytes(1000)).status for _ in range(15)] == [200] * 15


# --- Disk ---------------------------------------------------------------------------------------


def test_a_disk_without_room_takes_no_upload(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "new"))
    site = Site()
    assert site.send(UPLOAD, b"x").status == 200
    site.app.limits = Limits(disk_reserve=1e18)
    told = site.send(UPLOAD, b"x")
    assert told.status == 507
    assert "no room for more files" in told.error
    assert site.send(CALL, b"x").status == 200


# --- Cameras ------------------------------------------------------------------------------------


def test_frames_have_a_limit_of_their_own():
    assert Site().send(FRAME, b"x" * 200).status == 200
    assert Site().send(FRAME, b"x" * 201).status == 413


def test_a_camera_uses_up_no_requests():
    site = Site()
    for _ in range(30):  # more than any client has at once
        assert site.send(FRAME, b"x").status == 200
    assert site.send(OTHER, b"x").status == 200
