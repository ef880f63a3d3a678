"""The gate in front of Gradio: how much strangers may send, how fast, and how much of it at once.

Gradio reads a body whole, wherever it comes to, before any of our code sees it. Here each is
counted as it comes, against the limits of its route and of its client. A client is a network
address: behind proxies that the variable FORWARDED_ALLOW_IPS names, uvicorn takes that from
`X-Forwarded-For`, and else from the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import math
import shutil
import time
from dataclasses import dataclass

from cachetools import LRUCache
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from page import gradio_inside
from page.limits import LIMITS, Limits, in_words, one_client
from page.texts import say

CLIENTS = 10_000  # whose rates are remembered; who was seen longest ago is as one who is new
AGAIN = 5  # s, until one may try again who waits for something of unknown length
LINGER = 1.0  # s, that one who is refused may go on sending, to see the answer
READING = ("GET", "HEAD", "OPTIONS")  # methods that change nothing
FORM = 10_000  # bytes around the file of an upload
CLOSE = (b"connection", b"close")  # after an answer to a body that nobody has read
FRAMES = "/mirror/"  # where cameras send what they see
DISCONNECT: Message = {"type": "http.disconnect"}


class Kind(enum.Enum):
    """Where a body goes."""

    CALL = "into memory, until the call is answered"
    UPLOAD = "to the disk, as it comes"
    FRAME = "into memory, one at a time of each camera"
    OTHER = "into memory, for a moment"
    SHUT = "nowhere: the page has no use for it"


@dataclass(frozen=True)
class Route:
    """What may be sent to all addresses that begin like this one."""

    path: str  # below whatever the page is mounted at
    kind: Kind
    most: float = 0  # bytes of a body


def routes(limits: Limits) -> tuple[Route, ...]:
    """The limits of all routes; the first that fits counts."""
    return (
        Route(gradio_inside.UPLOAD_PATH, Kind.UPLOAD, limits.upload_bytes + FORM),
        *(Route(path, Kind.CALL, limits.request_bytes) for path in gradio_inside.CALL_PATHS),
        Route(FRAMES, Kind.FRAME, limits.frame_bytes),
        *(Route(path, Kind.SHUT) for path in gradio_inside.UNUSED_PATHS),
        Route("", Kind.OTHER, limits.other_bytes),
    )


class RefusedError(Exception):
    """Somebody is told why something is not taken, and in how many seconds to try again."""

    def __init__(self, status: int, text: str, again: int | None = None) -> None:
        super().__init__(text)
        self._status, self._text = status, text
        self._headers = {"connection": "close"} | ({"retry-after": str(again)} if again else {})

    def answer(self, kind: Kind) -> Response:
        """The answer as Gradio's clients show it: of an upload's, they show the whole body."""
        if kind is Kind.UPLOAD:
            return PlainTextResponse(self._text, self._status, self._headers)
        return JSONResponse({"error": self._text}, self._status, self._headers)


class Rates:
    """What each client may use at once, and how fast that comes back: a token bucket for each.

    By a clock that never jumps.
    """

    def __init__(self, at_once: float, per_second: float) -> None:
        self._at_once, self._per_second = at_once, per_second
        self._left: LRUCache[str, tuple[float, float]] = LRUCache(CLIENTS)  # and when it was so

    def check(self, client: str) -> None:
        """Raise `RefusedError` for a client who has nothing left."""
        left = self._left_now(client)
        if left <= 0:
            seconds = math.floor(1 - left / self._per_second)
            raise RefusedError(429, say("notices.too_fast", seconds=seconds), seconds)

    def charge(self, client: str, amount: float) -> None:
        """Take from what a client has left; who has begun may overdraw it."""
        self._left[client] = self._left_now(client) - amount, time.monotonic()

    def _left_now(self, client: str) -> float:
        left, then = self._left.get(client, (self._at_once, 0.0))
        return min(self._at_once, left + self._per_second * (time.monotonic() - then))


class Body:
    """A body as it comes: handed on, counted, and hung up on when it is not to be taken."""

    def __init__(self, gate: Admission, scope: Scope, receive: Receive) -> None:
        self._gate, self._scope, self._receive = gate, scope, receive
        self.client = one_client((scope.get("client") or ("",))[0])
        self.route = gate.route(scope)
        self.is_sending = scope["method"] not in READING
        self.is_call = self.is_sending and self.route.kind is Kind.CALL
        headers = dict(scope["headers"])
        self.announced = int(headers.get(b"content-length", 0))
        is_chunked = b"transfer-encoding" in headers
        self._is_announced = self.announced > 0 or is_chunked
        self.may_be_large = self.announced > gate.limits.other_bytes or is_chunked
        self.nbytes = 0  # so far
        self.refusal: RefusedError | None = None
        self._is_whole = False
        self._began = asyncio.get_running_loop().time()

    async def receive(self) -> Message:
        """The next part; of one that is refused, as if the client had gone away."""
        if self._is_whole:
            return await self._receive()
        if self.refusal is not None:
            return DISCONNECT
        try:
            message = await self._next_part()
        except RefusedError as refusal:
            self.refusal = refusal
            return DISCONNECT
        self._is_whole = not message.get("more_body", False)
        return message

    async def _next_part(self) -> Message:
        limits = self._gate.limits
        seconds = limits.body_seconds + self.nbytes / limits.body_pace
        try:
            async with asyncio.timeout_at(self._began + seconds):
                message = await self._receive()
        except TimeoutError:
            raise RefusedError(408, say("notices.too_slow", seconds=round(seconds))) from None
        size = len(message.get("body", b""))
        self.nbytes += size
        self._gate.check_part(self, size, self._scope)
        return message

    @property
    def is_coming(self) -> bool:
        """Whether some of it may still come."""
        return self._is_announced and not self._is_whole

    async def linger(self) -> None:
        """Take for a moment what still comes: hung up on at once, many would see no answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while not self._is_whole:
                    self._is_whole = not (await self._receive()).get("more_body", False)


class Admission:
    """Refuses in words what is too large, too fast, too slow or too much at once."""

    def __init__(self, app: ASGIApp, limits: Limits = LIMITS) -> None:
        self._app, self.limits, self._routes = app, limits, routes(limits)
        self._bytes = Rates(limits.bytes_at_once, limits.bytes_per_second)
        self._requests = Rates(limits.requests_at_once, limits.requests_per_second)
        self._calls: set[Body] = set()  # that are being received

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, has_begun = Body(self, scope, receive), False

        async def answer(message: Message) -> None:
            nonlocal has_begun
            if has_begun or body.refusal is None:  # or it is Gradio's answer to a hanging up
                has_begun = True
                if message["type"] == "http.response.start" and body.is_coming:
                    message = {**message, "headers": [*message["headers"], CLOSE]}
                await send(message)

        self._calls |= {body} if body.is_call else set()
        try:
            self._check(body, scope)
            await self._app(gradio_inside.marked(scope, body), body.receive, answer)
        except RefusedError as refusal:
            body.refusal = refusal
        except Exception:
            if body.refusal is None:  # else it comes of the hanging up
                raise
        finally:
            self._calls.discard(body)
        if body.refusal is not None and not has_begun:
            await _tell(body.refusal, body, send)

    def route(self, scope: Scope) -> Route:
        """The limits of what is asked for."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return next(route for route in self._routes if path.startswith(route.path))

    def check_part(self, body: Body, size: int, scope: Scope) -> None:
        """Raise `RefusedError` once a body, of which a part has just come, is too large."""
        self._bytes.charge(body.client, size)
        self._check_size(body, body.nbytes)
        if body.is_call and size:
            self._check_calls(body, scope, body.nbytes)

    def _check(self, body: Body, scope: Scope) -> None:
        """Raise `RefusedError` for what is not to be taken, before anything of it is read."""
        if body.route.kind is Kind.SHUT:
            raise RefusedError(404, say("notices.nothing_here"))
        if not gradio_inside.is_answered_to(scope):
            raise RefusedError(404, say("notices.nothing_here"))
        self._check_size(body, body.announced)
        if not body.is_sending:
            return
        if body.route.kind is not Kind.FRAME:  # the next one is sent when the last is answered
            self._requests.check(body.client)
            self._requests.charge(body.client, 1)
        if body.may_be_large or body.route.kind is Kind.UPLOAD:
            # Not for a click: Stop works for whoever shares an address.
            self._bytes.check(body.client)
        if body.route.kind is Kind.UPLOAD:
            self._check_disk()
        if body.is_call:
            self._check_calls(body, scope, body.announced)

    def _check_size(self, body: Body, nbytes: float) -> None:
        if nbytes > body.route.most:
            limit = in_words(body.route.most, "B")
            raise RefusedError(413, say("notices.too_large", limit=limit))

    def _check_disk(self) -> None:
        folder = gradio_inside.upload_folder()
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < self.limits.disk_reserve:
            raise RefusedError(507, say("notices.disk_full"))

    def _check_calls(self, body: Body, scope: Scope, nbytes: float) -> None:
        """All calls that are not answered have room together, and one client's in half of it."""
        others = ({*self._calls} | gradio_inside.unanswered(scope)) - {body}
        own = [other for other in others if other.client == body.client]
        limits = self.limits
        for calls, share in ((others, 1.0), (own, 0.5)):
            is_full = len(calls) >= max(1, share * limits.events)
            held = sum(call.nbytes for call in calls) + nbytes
            if is_full or held > share * limits.waiting_bytes:
                raise RefusedError(429, say("notices.too_many_calls", seconds=AGAIN), AGAIN)


async def _tell(refusal: RefusedError, body: Body, send: Send) -> None:
    """Answer, take for a moment what still comes, and hang up."""
    answer = refusal.answer(body.route.kind)
    head = {"status": answer.status_code, "headers": answer.raw_headers}
    await send({"type": "http.response.start", **head})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    await body.linger()
    await send({"type": "http.response.body", "body": b""})
