"""The mirror: a visitor's camera, painted live.

`mirror.js` sends one frame, and the next one when the picture of the last is there: what a server
or a network cannot keep up with is never sent, so nothing waits in a queue. A picture that somebody
has asked for comes first: while one is painted, mirrors pause and say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import numpy as np
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from PIL import Image
from starlette.routing import Route

from nst_core import ImageError, NSTError, SettingsError
from nst_core.engine import device
from nst_core.films.mirror import Mirror
from page import choose, examples, journal, looks, turns
from page.admission import FRAMES
from page.choice import NUMBERS
from page.limits import LIMITS
from page.texts import say
from page.turns import BusyError
from page.words import told

MAX_CAMERAS = round(LIMITS.mirrors)  # at once; they share what the machine can paint

FAIR_SECONDS = 300.0  # after which a camera makes room for one that waits
SILENT_SECONDS = 10.0  # without a frame, after which a camera is gone

SIDES = (256, 320, 384)  # px, long side of a frame, to choose from
LEAST_SIDE = 32  # px
QUALITY = 85  # of the pictures' JPEGs

# What may keep a browser from giving the camera, as `mirror.js` calls it.
PROBLEMS = ("denied", "missing", "busy", "insecure")

# One picture at a time, in the order in which the frames came: each camera has one there at most.
WORKER = ThreadPoolExecutor(1, "mirror")

Vectors = Sequence[np.ndarray | None]  # of the paintings by their numbers; None where there is none


@dataclass(eq=False)
class Camera:
    """One visitor's camera, while it is painted."""

    session: str
    vectors: Vectors
    facts: dict[str, Any]  # for the log
    ended: contextlib.ExitStack
    began: float = field(default_factory=lambda: time.monotonic())
    seen: float = field(default_factory=lambda: time.monotonic())  # its last frame
    is_busy: bool = False
    mirror: Mirror = field(default_factory=Mirror)

    async def paint(self, body: bytes, weights: Sequence[float], strength: float) -> bytes:
        """The JPEG of a frame, painted; raises `BusyError` while the one before is painted."""
        if self.is_busy:
            raise BusyError("The frame before is being painted; send one at a time.")
        self.is_busy = True
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(WORKER, self._paint, body, weights, strength)
        finally:
            self.is_busy = False

    def _paint(self, body: bytes, weights: Sequence[float], strength: float) -> bytes:
        frame = read_frame(body)
        chosen = zip(self.vectors, weights, strict=True)
        mix = [(vector, weight) for vector, weight in chosen if vector is not None]
        with device.LOCK:
            picture = self.mirror.paint(frame, mix, strength)
        self.facts["pictures"] = self.facts.get("pictures", 0) + 1
        return to_jpeg(picture)


class Cameras:
    """The cameras that are painted, by long random names; safe to use from many threads.

    Args:
        most: at once.
    """

    def __init__(self, most: int = MAX_CAMERAS) -> None:
        self._most = most
        self._cameras: dict[str, Camera] = {}
        self._lock = threading.Lock()

    def admit(self, session: str, vectors: Vectors) -> str:
        """The name of a new camera, in the place of the one that this session may have.

        Raises `BusyError` when there are too many, and none has been there for long.
        """
        with self._lock:
            self._drop_silent()
            for name, camera in list(self._cameras.items()):
                if camera.session == session:
                    self._drop(name)
            if len(self._cameras) >= self._most:
                self._make_room()
            ended = contextlib.ExitStack()
            name, facts = secrets.token_urlsafe(16), ended.enter_context(journal.job("mirror"))
            self._cameras[name] = Camera(session, vectors, facts, ended)
            return name

    def find(self, name: str) -> Camera | None:
        """The camera of this name, if it is still painted."""
        with self._lock:
            self._drop_silent()
            camera = self._cameras.get(name)
            if camera is not None:
                camera.seen = time.monotonic()
            return camera

    def leave(self, name: str) -> None:
        """A camera is not painted any more."""
        with self._lock:
            if name in self._cameras:
                self._drop(name)

    def count(self) -> int:
        """How many are painted."""
        with self._lock:
            self._drop_silent()
            return len(self._cameras)

    def _make_room(self) -> None:
        name, oldest = min(self._cameras.items(), key=lambda item: item[1].began)
        seconds = FAIR_SECONDS - (time.monotonic() - oldest.began)
        if seconds > 0:
            raise BusyError(
                "{count} cameras are being painted already; try again in {seconds} s.",
                count=len(self._cameras),
                seconds=round(seconds) + 1,
            )
        self._drop(name)

    def _drop_silent(self) -> None:
        silent = time.monotonic() - SILENT_SECONDS
        for name in [name for name, camera in self._cameras.items() if camera.seen < silent]:
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._cameras.pop(name).ended.close()


CAMERAS = Cameras()


# --- Frames -------------------------------------------------------------------------------------


def read_frame(body: bytes) -> np.ndarray:
    """A camera's frame, uint8 [H, W, 3]; raises `ImageError` for all but a small JPEG."""
    try:
        with Image.open(io.BytesIO(body), formats=["JPEG"]) as image:
            if min(image.size) >= LEAST_SIDE and max(image.size) <= max(SIDES):
                return np.asarray(image.convert("RGB"))
    except Exception as error:  # decoders raise whatever the bytes lead them to
        raise _no_frame() from error
    raise _no_frame()


def _no_frame() -> ImageError:
    return ImageError(
        "A frame must be a JPEG of {least} to {most} px a side.",
        least=LEAST_SIDE,
        most=max(SIDES),
    )


def to_jpeg(picture: np.ndarray) -> bytes:
    """The JPEG of a picture, uint8 [H, W, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


# --- Routes -------------------------------------------------------------------------------------


async def take_frame(request: Request) -> Response:
    """A frame of a camera, painted; or in words why there is no picture."""
    camera = CAMERAS.find(request.path_params["camera"])
    if camera is None:
        return _in_words(410, say("mirror.over"))
    if turns.TURNS.count():
        return _in_words(503, say("mirror.paused"))
    try:
        weights = shares(request.query_params.get("weights", ""), len(NUMBERS))
        (strength,) = shares(request.query_params.get("strength", "1"), 1)
        picture = await camera.paint(await request.body(), weights, strength)
    except BusyError as error:
        return _in_words(429, told(error))
    except (NSTError, MemoryError) as error:
        return _in_words(422, told(error))
    return Response(picture, media_type="image/jpeg", headers={"cache-control": "no-store"})


async def end(request: Request) -> Response:
    """What a browser tells whose visitor has pressed Stop, or left."""
    CAMERAS.leave(request.path_params["camera"])
    return Response(status_code=204)


def routes() -> list[Route]:
    """What a camera is painted by, below whatever the page is mounted at."""
    if not MAX_CAMERAS:
        return []
    path = FRAMES + "{camera}"
    return [Route(path, take_frame, methods=["POST"]), Route(path, end, methods=["DELETE"])]


def shares(text: str, count: int) -> list[float]:
    """So many numbers of 0 to 1, with commas between; raises `SettingsError` for anything else."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count or not all(0 <= share <= 1 for share in found):
        raise SettingsError(
            "{count} numbers of 0 to 1 are needed, but {text!r} arrived.", count=count, text=text
        )
    return found


def _in_words(status: int, text: str) -> JSONResponse:
    return JSONResponse({"detail": text}, status)


# --- Events -------------------------------------------------------------------------------------


def begin(problem: str, *styles: str | None) -> tuple[str, str]:
    """What Start does, when the browser was asked for the camera: its name here, and the words.

    Args:
        problem: one of `PROBLEMS`, or nothing.
    """
    if problem:
        return "", say(f"camera.{problem if problem in PROBLEMS else PROBLEMS[0]}")
    try:
        return CAMERAS.admit(turns.session(), vectors(styles)), say("mirror.ready")
    except (NSTError, MemoryError) as error:
        return "", told(error)


def take_paintings(name: str | None, *styles: str | None) -> list[Any]:
    """Other paintings, at once; and of several the weights, to be seen."""
    camera = CAMERAS.find(name or "")
    if camera is not None:
        try:
            camera.vectors = vectors(styles)
        except (NSTError, MemoryError) as error:
            gr.Warning(told(error))
    is_mixed = sum(map(bool, styles)) > 1
    return [
        gr.update(visible=is_mixed and style is not None, label=_weight_label(number, style))
        for number, style in zip(NUMBERS, styles, strict=True)
    ]


def _weight_label(number: int, style: str | None) -> str:
    """What the weight of a painting is called: by its title, so that one knows what to move."""
    name = choose.example_name("style", style)
    title = examples.title("style", name) if name else say("pictures.your_painting")
    return say("mirror.weight", number=number, painting=title)


def take_moment(path: str) -> str:
    """A frame as the photo to be painted; what was being painted ends within a step."""
    turns.stop_own()
    return choose.take_upload(path)


def vectors(styles: Sequence[str | None]) -> Vectors:
    """The styles of paintings, each found once; raises `ImageError` where there is none."""
    if not any(styles):
        raise ImageError("Choose a painting first.")
    with device.LOCK:
        return [None if style is None else looks.vector(style) for style in styles]
