"""How the page is served: what is open, what answers carry, and what a server does besides."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nst_core import NSTError, __version__
from nst_core.engine.warm_up import is_warm, warm_up
from nst_core.presets import PRESETS
from page import choose, examples, gradio_inside, journal, mirror, studio, texts, turns, wiring

SWEEP_EVERY = 60.0  # s
END_SECONDS = 10.0  # s, that runs may take to stop when the server ends

# On every answer. No frame options: a Space is shown inside of another page.
HEADERS = {
    "vary": "accept-language",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "content-security-policy": "object-src 'none'; base-uri 'self'; form-action 'self'",
}


class Headers:
    """Adds `HEADERS` to whatever the app inside answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), text.encode()) for name, text in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class Speaking:
    """Answers in the language that a browser asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = dict(scope.get("headers", ())).get(b"accept-language", b"").decode("latin-1")
        with texts.speaking(texts.best(accepted)):
            await self._app(scope, receive, send)


# What all visitors together may upload: a talk's whole audience at once, and then a disk's worth of
# pictures an hour and not a minute.
UPLOAD_BURST = 500e6  # bytes
UPLOAD_RATE = 2e6  # bytes/s


class UploadLimit:
    """Refuses uploads that come faster than `rate`, once `burst` is used up."""

    def __init__(
        self, app: ASGIApp, burst: float = UPLOAD_BURST, rate: float = UPLOAD_RATE
    ) -> None:
        self._app, self._burst, self._rate = app, burst, rate
        self._room, self._at = burst, time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith(gradio_inside.UPLOAD_PATH):
            await self._app(scope, receive, send)
            return
        self._refill()
        if self._room <= 0:
            seconds = round(1 - self._room / self._rate)
            text = texts.say("notices.too_many_uploads", seconds=seconds)
            headers = {"retry-after": str(seconds)}
            await JSONResponse({"detail": text}, 429, headers)(scope, receive, send)
            return

        async def charged() -> Message:
            message = await receive()
            self._room -= len(message.get("body", b""))
            # One request of many files, which has no end, is hung up on.
            return message if self._room > -self._burst else {"type": "http.disconnect"}

        await self._app(scope, charged, send)

    def _refill(self) -> None:
        now = time.monotonic()
        self._room = min(self._burst, self._room + self._rate * (now - self._at))
        self._at = now


async def refuse(_request: Request, error: Exception) -> JSONResponse:
    """Gradio's answer to a parameter that an endpoint does not have, in its own words."""
    return JSONResponse({"detail": str(error)}, status_code=422)


async def forget(_request: Request, _error: Exception) -> Response:
    """For a visitor who went away in the middle of an upload: no reason for a traceback."""
    return Response(status_code=499)


async def health(_request: Request) -> JSONResponse:
    """For whoever watches over the server; answers during a run as well."""
    counts = {"jobs": turns.TURNS.count(), "mirrors": mirror.CAMERAS.count()}
    return JSONResponse({"status": "ok", "version": __version__, "warm": is_warm(), **counts})


# For `gr.Blocks.launch`.
OPTIONS: dict[str, Any] = {
    "app_kwargs": {
        "exception_handlers": {
            TypeError: refuse,
            ValueError: refuse,
            ClientDisconnect: forget,
        },
        "middleware": [Middleware(Headers), Middleware(Speaking), Middleware(UploadLimit)],
        "routes": [Route("/health", health), *mirror.routes()],
    },
    "allowed_paths": [str(examples.FOLDER)],
    "share": False,
    "ssr_mode": False,
    "enable_monitoring": False,
    "run_history": False,
    "max_file_size": "50mb",
    "max_threads": sum(wiring.GROUPS.values()),
    "state_session_capacity": 100,  # some 1 MB each; nothing that the page needs is in there
}


def warm_up_quietly() -> None:
    """`warm_up` for a thread of its own; what fails is told again when somebody paints."""
    try:
        warm_up(PRESETS[choose.OPENING].settings)
    except (NSTError, MemoryError) as error:
        print(f"Warning: {error}", file=sys.stderr)


def keep_tidy(kept: Collection[Path]) -> NoReturn:
    """Let go what is too old, for a thread of its own; `kept` are the page's own files."""
    while True:
        studio.STUDIO.expire()
        try:
            studio.sweep(kept)
        except OSError as error:
            print(f"Warning: the files of visitors could not be swept: {error}", file=sys.stderr)
        time.sleep(SWEEP_EVERY)


def end_when_told() -> None:
    """On SIGTERM stop all runs within their step, and end; the last pictures stay on the disk."""

    def end() -> NoReturn:
        journal.LOG.info(json.dumps({"server": "ends", "jobs": turns.TURNS.count()}))
        turns.TURNS.stop(reason="server ends")
        turns.TURNS.wait_until_left(None, END_SECONDS)
        os._exit(0)

    def tell(_signal: int, _frame: object) -> None:
        # Not in the handler itself, which may have interrupted a thread that holds a lock.
        threading.Thread(target=end).start()

    signal.signal(signal.SIGTERM, tell)
