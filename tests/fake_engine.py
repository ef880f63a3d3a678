"""An engine without a network, for tests of what is around it.

Each step moves the picture a little towards its paintings, laid side by side. What schedules the
steps, sends frames, keeps, resumes and stops them is `nst_core`'s own. A test may hold a step for
as long as it likes.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from nst_core import Engine, Settings
from nst_core.engine import device, easel, plan, run, warm_up
from nst_core.engine.step import State
from nst_core.films import brush
from nst_core.lazy import tf
from nst_core.pictures.images import Picture
from nst_core.pictures.pyramid import resize
from nst_core.pictures.regions import Layout
from nst_core.starts import preview as preview_start

Size = tuple[int, int]  # width and height in pixels

LIMIT = 60.0  # s; a test that waits for longer has failed


@dataclass(frozen=True)
class Done:
    """What a step was done with."""

    run: int  # number of the run's engine
    settings: Settings
    paintings: tuple[Size, ...]  # of all regions, at the step's scale
    picture: Size


class Steps:
    """The steps of all runs, counted from 1; one of them may be held.

    Args:
        seconds: how long each takes.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.done: list[Done] = []
        self.previews = 0  # passes of the stylizer
        self._held_number = 0
        self._is_held, self._is_released = threading.Event(), threading.Event()

    def hold_at(self, number: int) -> None:
        """Once so many are done but one, the next is not done before `release`."""
        self._is_held.clear()
        self._is_released.clear()
        self._held_number = number

    def wait_until_held(self) -> None:
        """Until the run has come to the step that is held."""
        assert self._is_held.wait(LIMIT), f"{len(self.done)} steps done"

    def release(self) -> None:
        """Let the step that is held be done, and all that follow."""
        self._held_number = 0
        self._is_released.set()

    def do(self, done: Done) -> None:
        """One step, as long as it takes. Of two runs, one has ended before the other begins."""
        assert not self.done or done.run >= self.done[-1].run, "two runs at once"
        if len(self.done) + 1 == self._held_number:
            self._is_held.set()
            assert self._is_released.wait(LIMIT), "held for ever"
        time.sleep(self.seconds)
        self.done.append(done)


@dataclass(frozen=True)
class Goal:
    """What a picture is moved towards, float32 [1, H, W, 3]."""

    photo: np.ndarray
    picture: np.ndarray
    paintings: tuple[Size, ...]


class FakeEngine(Engine):
    """The calls of `Engine`, as far as a run makes them."""

    steps: Steps  # set by `install`
    _numbers = itertools.count()

    def __init__(self, settings: Settings, *planned: Any, **stage: Any) -> None:
        super().__init__(settings, *planned, **stage)
        self._settings, self._run = settings, next(self._numbers)

    def prepare(self, regions: int = 0, side: int | None = None) -> None:
        """Nothing has to be compiled."""

    def measure_painting(self, painting: Picture, photo: np.ndarray, stop: Any = None) -> None:
        """Nothing has to be known of it."""

    def problem(
        self,
        photo: np.ndarray,
        layout: Layout,
        shown: Any = None,
        query: Any = None,
        stop: Any = None,
        before: Any = None,
    ) -> Any:
        return Goal(photo, goal_of(photo, layout), tuple(one.size for one in layout.paintings))

    def start(self, canvas: Any, problem: Any) -> State:
        return self._state(np.asarray(canvas), problem, tf.constant(0.0))

    def step(self, state: State, problem: Any) -> State:
        height, width = problem.photo.shape[1:3]
        self.steps.do(Done(self._run, self._settings, problem.paintings, (width, height)))
        # The longer an optimizer remembers, the smaller its steps: a memory that is lost shows.
        pace = (0.1 + self._settings.strength / 2) / (1 + float(state.optimizer))
        before = state.image.numpy()
        moved = before + np.float32(pace) * (problem.picture - before)
        return self._state(moved, problem, state.optimizer + 1)

    def _state(self, image: np.ndarray, problem: Goal, memory: Any) -> State:
        away = {
            "content": problem.photo,
            "style": problem.picture,
            "edges": problem.photo,
            "gram": problem.picture,
            "tv": np.roll(image, 1, 1),
            "temporal": problem.photo,
        }
        found = {term.name: away[term.name] for term in self.objective.terms}
        losses = {name: 1e-9 + float(np.square(image - one).mean()) for name, one in found.items()}
        losses = {"total": sum(losses.values()), **losses}
        return State(tf.constant(image), tf.zeros([]), losses, np.True_, memory)


def goal_of(photo: np.ndarray, layout: Layout) -> np.ndarray:
    """Each region's paintings, mixed, where its mask is, and the photo where there is none."""
    picture = photo
    for region in layout.regions:
        height, width = photo.shape[1:3]
        part = sum(share * tiled(one.rgb, height, width) for one, share in region.paintings)
        picture = part if region.mask is None else picture + region.mask * (part - photo)
    return picture.astype(np.float32)


def tiled(painting: np.ndarray, height: int, width: int) -> np.ndarray:
    """A painting side by side with itself, of a picture's size: its own size shows."""
    rows, columns = (
        np.arange(side) % own
        for side, own in zip((height, width), painting.shape[1:3], strict=True)
    )
    return painting[:, rows][:, :, columns]


def install(patch: pytest.MonkeyPatch, steps: Steps) -> None:
    """Put the fake in the place of the engine, of the stylizer, and of the trials of speed."""

    def preview(
        content: np.ndarray, paintings: Sequence[tuple[np.ndarray, float]], _handle: str | None
    ) -> np.ndarray:
        steps.previews += 1
        height, width = content.shape[1:3]
        mixed = sum(share * resize(rgb, height, width) for rgb, share in paintings)
        return (content + mixed) / 2

    def nothing(*_: Any) -> None: ...

    patch.setattr(FakeEngine, "steps", steps, raising=False)
    for module in (run, warm_up):
        patch.setattr(module, "Engine", FakeEngine)
    for name in ("load_model", "load_stylizer"):
        patch.setattr(easel, name, nothing)
    for module in (warm_up, preview_start, brush):
        patch.setattr(module, "preview", preview)
    patch.setattr(device, "fastest_precision", lambda: "float32")
    patch.setitem(device.PRECISION_CHOICES, "auto", lambda: "float32")
    patch.setattr(plan, "expected_seconds", lambda *_: 1e-8)
