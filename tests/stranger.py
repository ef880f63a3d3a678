"""The running app as strangers reach it: by HTTP, with whatever parameters they like."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from page import studio

EXAMPLES = Path(__file__).parents[1] / "examples"
CASTLE, WAVE = EXAMPLES / "content" / "castle.jpg", EXAMPLES / "style" / "great-wave.jpg"

LIMIT = 60.0  # s; a test that waits for longer has failed

LONG = {"steps": 5000, "frame_interval": 0.1}  # a run that only ends when it is made to


class Server:
    """The app in a process of its own, and its log.

    Args:
        client: a network address to come from, as a proxy on this machine would tell it.
    """

    def __init__(self, address: str, folder: Path, client: str | None = None) -> None:
        self.address, self.folder = address, folder
        headers = {"x-forwarded-for": client} if client else {}
        self.http = httpx.Client(base_url=address, timeout=LIMIT, headers=headers)

    def as_seen_from(self, client: str) -> Server:
        """The same server, for somebody with this network address."""
        return Server(self.address, self.folder, client)

    @property
    def cache(self) -> Path:
        """The visitors' files."""
        return self.folder / "cache" / studio.FOLDER

    @property
    def pid(self) -> int:
        """The process that listens at the address."""
        port = int(self.address.rstrip("/").rpartition(":")[2])
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr.port == port:
                return found.pid
        raise ProcessLookupError(self.address)

    # --- What it is asked ---

    def upload(self, content: bytes, name: str) -> dict[str, Any]:
        """A file as parameter, after its upload."""
        answer = self.http.post("gradio_api/upload", files={"files": (name, content)})
        assert answer.status_code == 200, answer.text
        return file(answer.json()[0])

    def upload_pair(self) -> dict[str, Any]:
        """Photo and painting as parameters, and the smallest size."""
        photo, painting = (self.upload(path.read_bytes(), path.name) for path in (CASTLE, WAVE))
        return {"content": photo, "style": painting, "size": 64}

    def call(self, endpoint: str, **parameters: Any) -> tuple[str, Any]:
        """The last event of a call, "complete" or "error", and its data."""
        answer = self._post(endpoint, parameters)
        if answer.status_code != 200:
            return f"status {answer.status_code}", answer.json()
        path = f"gradio_api/call/{endpoint}/{answer.json()['event_id']}"
        told = self.http.get(path)
        if told.status_code != 200:
            return f"status {told.status_code}", told.json()
        events = told.text.strip().split("\n\n")
        event, data = events[-1].split("\n")
        return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    def begin(self, endpoint: str = "stylize", **parameters: Any) -> str:
        """Start a run; returns where its events are."""
        return f"gradio_api/call/{endpoint}/{self._post(endpoint, parameters).json()['event_id']}"

    @contextmanager
    def watch(self, path: str) -> Iterator[Iterator[str]]:
        """The events of a run as they come, one for each picture; leaving hangs up."""
        with (
            httpx.Client(base_url=self.address, timeout=LIMIT) as client,
            client.stream("GET", path) as answer,
        ):
            yield (line for line in answer.iter_lines() if line.startswith("event: generating"))

    @contextmanager
    def hold_the_turn(self, pair: dict[str, Any]) -> Iterator[None]:
        """Paint, and hang up when it is another's turn to come."""
        with self.watch(self.begin(**pair | LONG | {"frame_interval": 1})) as events:
            next(events)
            self.wait_for(lambda: self.at_work() == 1)
            yield

    def read_events(self, path: str, count: int) -> None:
        """Read some events of a run, and hang up."""
        with self.watch(path) as events:
            for _ in range(count):
                next(events)

    def _post(self, endpoint: str, parameters: dict[str, Any]) -> httpx.Response:
        # Not `json=`: a stranger may send NaN, which is no JSON.
        body = json.dumps(parameters).encode()
        kind = {"content-type": "application/json"}
        return self.http.post(f"gradio_api/call/v2/{endpoint}", content=body, headers=kind)

    # --- What it tells ---

    def log(self) -> str:
        return (self.folder / "app.log").read_text()

    def jobs(self) -> list[dict[str, Any]]:
        """The lines of the log, one for each job that has ended."""
        return [
            json.loads(line) for line in re.findall(r" ({\"job\".*})$", self.log(), re.MULTILINE)
        ]

    def at_work(self) -> int:
        """How many are painted or wait."""
        return self.http.get("health").json()["jobs"]

    def wait_until_idle(self) -> float:
        """Until nobody paints or waits; returns how long that took."""
        began = time.monotonic()
        self.wait_for(lambda: not self.at_work())
        return time.monotonic() - began

    def wait_for_jobs(self, count: int) -> list[dict[str, Any]]:
        """All jobs, once there are so many."""
        self.wait_for(lambda: len(self.jobs()) >= count)
        return self.jobs()

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Until something is so."""
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < deadline, self.log()[-2000:]
            time.sleep(0.02)


class Tab:
    """The page open in a browser, as far as the server can tell: it calls the page's own events.

    Args:
        blocks: the page that is served there, which knows its events.
        session: the name that Gradio gives to what is opened once.
    """

    def __init__(self, address: str, blocks: Any, session: str, query: str = "") -> None:
        self._address, self._blocks = address.rstrip("/"), blocks
        self._session, self._query = session, query

    def call(self, function: Callable[..., Any], *values: Any) -> list[Any]:
        """What one of the page's events answers at last."""
        number = next(key for key, one in self._blocks.fns.items() if one.fn is function)
        body = {"data": values, "fn_index": number, "session_hash": self._session}
        path = f"{self._address}/gradio_api/queue"
        with httpx.Client(timeout=LIMIT, verify=False) as http:  # loads no certificates
            asked = http.post(f"{path}/join{self._query}", json=body)
            assert asked.status_code == 200, asked.text
            parameters = {"session_hash": self._session}
            with http.stream("GET", f"{path}/data", params=parameters) as answers:
                for line in filter(None, answers.iter_lines()):
                    answer = json.loads(line.removeprefix("data: "))
                    is_ours = answer.get("event_id") == asked.json()["event_id"]
                    if is_ours and answer["msg"] == "process_completed":
                        assert answer["success"], answer
                        return answer["output"]["data"]
        raise AssertionError("the answers ended")


def file(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}} | more


def inline(content: bytes, kind: str = "image/png") -> dict[str, Any]:
    """A picture inside the request, which no limit on uploads sees."""
    text = base64.b64encode(content).decode()
    return {"url": f"data:{kind};base64,{text}", "meta": {"_type": "gradio.FileData"}}
