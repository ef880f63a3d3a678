"""What stands between the network and Gradio, and how a server ends."""

from __future__ import annotations

import re
import signal

import httpx
import psutil
import pytest
import visitor
from fake_engine import LIMIT
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from stranger import Server

from page import gradio_inside, serving


async def count(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time that it is, to be changed."""
    now = [0.0]
    monkeypatch.setattr(serving.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def ask(clock):
    """Send so many bytes to a path; an upload limit of 1000 bytes and 100 a second."""
    routes = [
        Route(path, count, methods=["POST"]) for path in (gradio_inside.UPLOAD_PATH, "/other")
    ]
    app = serving.UploadLimit(Starlette(routes=routes), burst=1000, rate=100)

    def send(size: int, path: str = gradio_inside.UPLOAD_PATH) -> httpx.Response:
        return TestClient(app).post(path, content=bytes(size))

    return send


def test_uploads_beyond_the_rate_are_told_when_to_come_again(ask, clock):
    assert ask(600).text == "600"
    assert ask(600).text == "600"  # begun while there was room
    refused = ask(1)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "3"
    assert "try again in 3 s" in refused.json()["detail"]
    assert ask(5000, "/other").text == "5000"
    clock[0] = 3.0
    assert ask(50).text == "50"
    clock[0] = 1000.0  # no more room than at first
    assert ask(1000).text == "1000"
    assert ask(1).status_code == 429


def test_an_upload_that_never_ends_is_hung_up_on(ask):
    with pytest.raises(ClientDisconnect):
        ask(2500)


def test_told_to_end_a_server_ends_its_run_within_the_step(tmp_path):
    """The step that is held ends when the runs are told to, and is the last one."""
    with visitor.started(tmp_path, visitor.FAKE_APP, HELD_STEP="3") as address:
        server = Server(address, tmp_path)
        path = server.begin(**server.upload_pair(), steps=5000, frame_interval=1)
        with server.watch(path) as events:
            next(events)
            while "step 2 done" not in server.log():
                assert server.at_work() == 1
            process = psutil.Process(server.pid)
            process.send_signal(signal.SIGTERM)
            assert process.wait(LIMIT) == 0
    log = server.log()
    assert '"server": "ends", "jobs": 1' in log
    assert re.findall(r"step (\d+) done", log) == ["1", "2", "3"]
    assert "Traceback" not in log, log
