"""What stands between the network and Gradio, and how a server ends."""

from __future__ import annotations

import functools
import json
import re
import signal
from typing import Any

import numpy as np
import psutil
import pytest
import visitor
from fake_engine import LIMIT
from gradio_client import utils as client_utils
from starlette.applications import Starlette
from starlette.testclient import TestClient
from stranger import Server

from page import serving
from page.limits import LIMITS


def broken(*_: Any) -> Any:
    raise TypeError("int() cannot do that")


@pytest.fixture
def served() -> TestClient:
    """The page's own routes, with its way of telling errors."""
    options = serving.OPTIONS["app_kwargs"]
    app = Starlette(
        routes=options["routes"],
        exception_handlers=options["exception_handlers"],
        middleware=options["middleware"],
    )
    return TestClient(app)


@pytest.mark.parametrize("language", ["en", "de"])
def test_an_error_of_ours_is_a_500_with_a_job_in_the_log(language, served, monkeypatch, caplog):
    monkeypatch.setattr(serving.turns.TURNS, "count", broken)
    answer = served.get("/health", headers={"accept-language": language})
    assert answer.status_code == 500
    (record,) = caplog.records
    job = json.loads(record.getMessage())
    assert (job["kind"], job["outcome"]) == ("fault", "TypeError")
    assert answer.json()["error"].endswith(f"{job['job']}.")
    assert "int() cannot do that" in str(record.exc_info[1])
    assert "int()" not in answer.text


def test_a_wrong_call_is_the_callers_error(served, monkeypatch, caplog):
    """What Gradio raises for a parameter that an endpoint does not have."""
    wrong = functools.partial(client_utils.construct_args, [], (), {"nothing": 1})
    monkeypatch.setattr(serving.turns.TURNS, "count", wrong)
    answer = served.get("/health")
    assert answer.status_code == 422
    assert "nothing" in answer.json()["detail"]
    assert caplog.records == []


def test_what_was_found_of_pictures_is_forgotten_when_it_is_too_old(monkeypatch):
    """Not before, and again and again; by a clock that never jumps."""
    now, forgotten = [0.0], []

    class EndOfTestError(Exception):
        pass

    def sleep(_seconds: float) -> None:
        now[0] += LIMITS.age_seconds / 10
        if now[0] > LIMITS.age_seconds * 2.25:
            raise EndOfTestError

    monkeypatch.setattr(serving.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(serving.time, "sleep", sleep)
    monkeypatch.setattr(serving.studio, "sweep", lambda kept: None)
    monkeypatch.setattr(serving.engine, "forget_pictures", lambda: forgotten.append(now[0]))
    with pytest.raises(EndOfTestError):
        serving.keep_tidy([])
    assert np.diff([0, *forgotten]) == pytest.approx(LIMITS.age_seconds, rel=0.11)


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
