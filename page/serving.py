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

import gradio as gr
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nst_core import NSTError, __version__
from nst_core.engine import engine
from nst_core.engine.warm_up import is_warm, warm_up
from nst_core.presets import PRESETS
from page import choose, examples, gradio_inside, journal, mirror, studio, texts, turns, wiring
from page.admission import Admission
from page.limits import LIMITS

SWEEP_EVERY = 60.0  # s
END_SECONDS = 10.0  # s, that runs may take to stop when the server ends

MAX_REASON = 1000  # characters of what a stranger is told of a call

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


async def fail(_request: Request, error: Exception) -> JSONResponse:
    """For what went wrong on the way to an endpoint: by a wrong call, which is told, or by us."""
    if gradio_inside.is_wrong_call(error):
        text = texts.say("notices.wrong_call", reason=str(error)[:MAX_REASON])
        return JSONResponse({"detail": text}, status_code=422)
    text = texts.say("notices.our_fault", job=journal.fault(error))
    return JSONResponse({"error": text}, status_code=500)


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
            **dict.fromkeys((TypeError, ValueError, LookupError, AttributeError), fail),
            gradio_inside.UnknownEndpoint: fail,
            ClientDisconnect: forget,
        },
        "middleware": [Middleware(Headers), Middleware(Speaking), Middleware(Admission)],
        "routes": [Route("/health", health), *mirror.routes()],
    },
    "allowed_paths": [str(examples.FOLDER)],
    "share": False,
    "ssr_mode": False,
    "enable_monitoring": False,
    "run_history": False,
    "max_file_size": int(LIMITS.upload_bytes),
    "max_threads": sum(wiring.GROUPS.values()),
    "state_session_capacity": 100,  # some 1 MB each; nothing that the page needs is in there
}


def shut() -> None:
    """Keep Gradio from what the page has no use for: to fetch addresses, to keep what is sent."""
    gradio_inside.fetch_nothing(
        lambda: gr.Error(texts.say("notices.no_address"), print_exception=False)
    )
    gradio_inside.keep_no_values()


def _wait_for_painters() -> None:
    turns.TURNS.wait_until_free(LIMITS.turn_seconds)


def warm_up_quietly() -> None:
    """`warm_up` for a thread of its own; what fails is told again when somebody paints."""
    try:
        warm_up(PRESETS[choose.OPENING].settings, _wait_for_painters)
    except (NSTError, MemoryError) as error:
        print(f"Warning: {error}", file=sys.stderr)


def keep_tidy(kept: Collection[Path]) -> NoReturn:
    """Let go what is too old, for a thread of its own; `kept` are the page's own files."""
    emptied = time.monotonic()
    while True:
        studio.STUDIO.expire()
        if time.monotonic() - emptied > LIMITS.age_seconds:
            engine.forget_pictures()
            emptied = time.monotonic()
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
