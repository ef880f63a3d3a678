"""Any order of calls, against simple models: of turns, kept paintings, easels, and the page.

Hypothesis makes up the orders, and shrinks one that fails to the shortest that still does. Time is
a number that a rule moves on, so nothing here waits.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import hypothesis
import numpy as np
import pytest
from fake_engine import FakeEngine
from gradio.context import LocalContext
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from visits import CASTLE, WAVE, values_of

from nst_core import Easel, Frame, Settings, StopToken
from page import paint, share, studio, turns
from page.limits import LIMITS
from page.studio import Studio
from page.turns import TURN_OVER, BusyError, Ticket, Turns

CLIENTS, SESSIONS = ("x", "y"), ("a", "b", "c")
ROOM, TURN_SECONDS = 4, 10.0


def run(machine: type[RuleBasedStateMachine], orders: int, calls: int) -> None:
    """Try so many orders of so many calls each."""
    health = hypothesis.HealthCheck
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=orders,
            stateful_step_count=calls,
            deadline=None,
            suppress_health_check=[health.too_slow, health.data_too_large],
        ),
    )


class Timed(RuleBasedStateMachine):
    """A machine with a clock of its own, and whatever it changes put back at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.patch = pytest.MonkeyPatch()
        self.clock = SimpleNamespace(monotonic=lambda: self.now, sleep=lambda _: None)

    def teardown(self) -> None:
        self.patch.undo()


# --- Turns --------------------------------------------------------------------------------------


@dataclasses.dataclass(eq=False)
class Stay:
    """One who joined, as the model sees it."""

    session: str
    client: str
    ticket: Ticket
    leaving: contextlib.ExitStack
    hung_up: list[str]
    reason: str = ""


class TurnsInAnyOrder(Timed):
    """The model: who is painted, who waits in order of arrival, and when everybody was served."""

    stays = Bundle("stays")

    def __init__(self) -> None:
        super().__init__()
        self.patch.setattr(turns, "time", self.clock)
        self.turns = Turns(ROOM, TURN_SECONDS)
        self.running: Stay | None = None
        self.began = 0.0
        self.waiting: list[Stay] = []
        self.served: dict[tuple[str, ...], float] = {}
        self.expected: dict[str, str] = {}

    # What may happen

    @rule(session=st.sampled_from(SESSIONS))
    def expect(self, session: str) -> None:
        self.turns.expect(session)
        self.expected[session] = ""

    @rule(target=stays, session=st.sampled_from(SESSIONS), client=st.sampled_from(CLIENTS))
    def join(self, session: str, client: str) -> Any:
        own = sum(stay.client == client for stay in self.waiting)
        reason = self.expected.pop(session, "")
        stack, hung_up = contextlib.ExitStack(), [""]
        joining = self.turns.join(session, lambda: hung_up[0], client=client)
        if len(self.waiting) >= ROOM or own >= ROOM / 2:
            with pytest.raises(BusyError):
                stack.enter_context(joining)
            return hypothesis.stateful.multiple()
        stay = Stay(session, client, stack.enter_context(joining), stack, hung_up, reason)
        self.waiting.append(stay)
        self.call_next()
        return stay

    @rule(stay=consumes(stays))
    def leave(self, stay: Stay) -> None:
        stay.leaving.close()
        self.let_go(stay)

    @rule(stay=stays)
    def look(self, stay: Stay) -> None:
        """One who waits asks for its place; a turn that nobody ended is taken over."""
        place = next(self.turns.wait(stay.ticket), None)
        if stay.reason:
            assert place is None
            return
        if self.is_over():
            self.let_go(self.running)
        if stay is self.running:
            assert place is None
        elif stay in self.waiting:
            assert place is not None
            assert place.before == 1 + sorted(self.waiting, key=self.was_served).index(stay)

    @rule(session=st.sampled_from(SESSIONS))
    def stop(self, session: str) -> None:
        self.turns.stop(session)
        self.tell([session], "stopped")

    @rule()
    def stop_everybody(self) -> None:
        self.turns.stop(reason="server ends")
        self.tell(SESSIONS, "server ends")

    @rule(stay=stays)
    def hang_up(self, stay: Stay) -> None:
        stay.hung_up[0] = "hung up"
        stay.reason = stay.reason or "hung up"

    @rule(seconds=st.sampled_from([0.1, 1.0, TURN_SECONDS, 2 * TURN_SECONDS]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.is_over():
            self.running.reason = self.running.reason or TURN_OVER

    # What must be so

    @invariant()
    def everybody_is_counted(self) -> None:
        present = [stay for stay in [self.running, *self.waiting] if stay]
        assert self.turns.count() == len(present)
        for session in SESSIONS:
            wanted = [stay for stay in present if stay.session == session and not stay.reason]
            is_expected = self.expected.get(session) == ""
            assert self.turns.is_busy(session) == bool(wanted or is_expected)
            others = [stay for stay in present if stay.session != session]
            assert self.turns.count(besides=session) == len(others)

    @invariant()
    def each_is_told_the_first_reason(self) -> None:
        for stay in filter(None, [self.running, *self.waiting]):
            assert stay.ticket.stop.reason == stay.reason

    @invariant()
    def nobody_waits_for_nobody(self) -> None:
        assert self.running or not self.waiting

    # The model

    def was_served(self, stay: Stay) -> tuple[float, float]:
        whole, own = (stay.client,), (stay.client, stay.session)
        return self.served.get(whole, 0.0), self.served.get(own, 0.0)

    def call_next(self) -> None:
        if self.running is None and self.waiting:
            self.running, self.began = min(self.waiting, key=self.was_served), self.now
            self.waiting.remove(self.running)

    def let_go(self, stay: Stay) -> None:
        if stay is not self.running:
            self.waiting = [one for one in self.waiting if one is not stay]
            return
        self.served |= {(stay.client,): self.now, (stay.client, stay.session): self.now}
        self.running = None
        self.call_next()

    def tell(self, sessions: Any, reason: str) -> None:
        for session in self.expected.keys() & set(sessions):
            self.expected[session] = self.expected[session] or reason
        for stay in filter(None, [self.running, *self.waiting]):
            if stay.session in sessions:
                stay.reason = stay.reason or reason

    def is_over(self) -> bool:
        return self.running is not None and self.now > self.began + TURN_SECONDS


def test_turns_in_any_order():
    run(TurnsInAnyOrder, orders=200, calls=40)


# --- Paintings that are kept --------------------------------------------------------------------

TOKENS = st.sampled_from(["one", "two", "three"])
ROOM_BYTES, AGE = 100, 60.0
BYTES = st.sampled_from([30, 40])


class Stand:
    """An easel of so many bytes, and an optimizer's memory of as many, until it forgets."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = self.memory_nbytes = nbytes

    def forget(self) -> None:
        self.memory_nbytes = 0


class StudioInAnyOrder(Timed):
    """The model: paintings and memories, the one that was used last at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.patch.setattr(studio, "time", self.clock)
        self.patch.setattr(studio.Painting, "nbytes", property(lambda one: one.easel.nbytes))
        self.studio = Studio(ROOM_BYTES, ROOM_BYTES, AGE)
        self.kept: dict[str, studio.Painting] = {}
        self.sizes: dict[str, int] = {}
        self.since: dict[str, float] = {}
        self.memories: dict[str, int] = {}  # as large as they were when they were kept

    @rule(token=TOKENS, nbytes=BYTES)
    def paint(self, token: str, nbytes: int) -> None:
        self.keep(token, Stand(nbytes))

    @rule(token=TOKENS, nbytes=BYTES, memory=BYTES)
    def go_on(self, token: str, nbytes: int, memory: int) -> None:
        """A run's next picture: films and memories grow, and a memory may have been forgotten."""
        if token in self.kept:
            easel = self.kept[token].easel
            easel.nbytes, easel.memory_nbytes = easel.nbytes + nbytes, memory
            self.keep(token, easel)

    def keep(self, token: str, easel: Any) -> None:
        painting = studio.Painting(token, *[None] * 2, easel, *[None] * 3)  # type: ignore[arg-type]
        self.studio.keep(token, painting)
        for one in (self.kept, self.sizes, self.memories):
            one.pop(token, None)
        self.kept[token], self.since[token] = painting, self.now
        self.sizes[token] = min(easel.nbytes, ROOM_BYTES)
        while sum(self.sizes[one] for one in self.kept) > ROOM_BYTES:
            self.kept.pop(next(iter(self.kept)))
        self.memories = {one: size for one, size in self.memories.items() if one in self.kept}
        self.memories[token] = min(easel.memory_nbytes, ROOM_BYTES)
        while sum(self.memories.values()) > ROOM_BYTES:
            self.memories.pop(next(iter(self.memories)))

    @rule(token=TOKENS)
    def look(self, token: str) -> None:
        assert self.studio.find(token) is self.kept.get(token)
        if token in self.kept:
            self.kept[token] = self.kept.pop(token)

    @rule(seconds=st.sampled_from([AGE / 10, AGE / 2]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        old = {token for token in self.kept if self.now >= self.since[token] + AGE}
        for one in (self.kept, self.memories):
            for token in old & one.keys():
                del one[token]

    @rule(token=TOKENS)
    def paint_what_has_no_room(self, token: str) -> None:
        self.keep(token, Stand(2 * ROOM_BYTES))

    @rule()
    def expire(self) -> None:
        self.studio.expire()

    @invariant()
    def those_that_had_no_room_have_forgotten(self) -> None:
        for token, painting in self.kept.items():
            if token not in self.memories:
                assert painting.easel.memory_nbytes == 0
            elif self.memories[token]:
                assert painting.easel.memory_nbytes > 0

    def teardown(self) -> None:
        for token in list(self.kept):
            self.look(token)
        super().teardown()


def test_the_studio_in_any_order():
    run(StudioInAnyOrder, orders=200, calls=30)


# --- Easels -------------------------------------------------------------------------------------

TWO_SCALES = Settings(style_loss="gram", size=512, steps=6, init="content", frame_interval=0)
LAST = 4 * TWO_SCALES.steps  # the longest run that is compared


def strip_and_painting() -> tuple[np.ndarray, np.ndarray]:
    """A photo that is painted at 256 and at 512 px and has few pixels, and a painting."""
    y, x = np.mgrid[0:32, 0:512]
    strip = np.stack([x % 256, 8 * y, x // 2], -1).astype(np.uint8)
    return strip, strip[:, ::-1, ::-1].copy()


def canvases(easel: Easel) -> dict[int, np.ndarray]:
    """The picture after each step of a run that is never stopped, and gone on with when done."""
    seen: dict[int, np.ndarray] = {}
    frames = easel.paint()
    while len(seen) < LAST:
        for frame in frames:
            if frame.step:
                seen[frame.step] = easel.canvas.copy()
        frames = easel.resume()
    return seen


class EaselInAnyOrder(RuleBasedStateMachine):
    """The model: steps that are done, and those of the run; the picture is the unstopped run's."""

    reference: dict[int, np.ndarray]  # set by the test, as it is always the same

    def __init__(self) -> None:
        super().__init__()
        self.easel = Easel(*strip_and_painting(), TWO_SCALES)
        self.frames: Iterator[Frame] | None = None
        self.stop_token = StopToken()
        self.done, self.total = 0, TWO_SCALES.steps
        self.is_as_unstopped = True  # with the settings and the memory that it began with

    @precondition(lambda self: not self.frames)
    @rule()
    def paint(self) -> None:
        self.done, self.total = 0, TWO_SCALES.steps
        self.is_as_unstopped = self.easel.settings == TWO_SCALES
        self.stop_token = StopToken()
        self.frames = self.easel.paint(self.stop_token)

    @precondition(lambda self: self.done and not self.frames)
    @rule(strength=st.sampled_from([TWO_SCALES.strength, 0.9]))
    def go_on(self, strength: float) -> None:
        settings = dataclasses.replace(self.easel.settings, strength=strength)
        self.is_as_unstopped &= settings == TWO_SCALES
        if self.done == self.total:
            self.total += TWO_SCALES.steps // 2  # as many as the finest scale had
        self.stop_token = StopToken()
        self.frames = self.easel.resume(settings, self.stop_token)

    @precondition(lambda self: self.frames)
    @rule(count=st.integers(1, 5))
    def look(self, count: int) -> None:
        for _ in range(count):
            frame = next(self.frames, None)
            if frame is None:
                assert self.done == self.total or self.stop_token.is_set()
                self.frames = None
                return
            assert frame.step in (self.done, self.done + 1)
            assert (frame.total_steps, frame.done) == (self.total, frame.step == self.total)
            assert frame.image.shape == (32, 512, 3)
            self.done = frame.step

    @precondition(lambda self: self.frames)
    @rule()
    def stop(self) -> None:
        """Told to end, it does no step more."""
        self.stop_token.stop()
        assert {frame.step for frame in self.frames} <= {self.done}
        self.frames = None

    @precondition(lambda self: self.frames)
    @rule()
    def close(self) -> None:
        self.frames.close()
        self.frames = None

    @precondition(lambda self: self.done and not self.frames)
    @rule()
    def forget(self) -> None:
        self.easel.forget()
        self.is_as_unstopped = False
        assert self.easel.memory_nbytes == 0

    @invariant()
    def can_be_gone_on_with_once_a_step_was_done(self) -> None:
        assert self.easel.can_resume == bool(self.done)

    @invariant()
    def the_picture_is_that_of_the_run_that_was_never_stopped(self) -> None:
        if self.is_as_unstopped and self.done in self.reference:
            np.testing.assert_array_equal(self.easel.canvas, self.reference[self.done])


@pytest.mark.usefixtures("steps")
def test_an_easel_in_any_order(monkeypatch):
    unstopped = canvases(Easel(*strip_and_painting(), TWO_SCALES))
    monkeypatch.setattr(EaselInAnyOrder, "reference", unstopped, raising=False)
    run(EaselInAnyOrder, orders=30, calls=20)


# --- The page -----------------------------------------------------------------------------------

STEPS = 3
TABS = st.sampled_from(["mine", "my second", "yours"])
GONE = "no longer here to go on with"


@dataclasses.dataclass
class Tab:
    """A page in a browser: the run that it reads, and what it has shown of it."""

    session: str
    run: Iterator[Any] | None = None
    status: str = ""

    def __post_init__(self) -> None:
        self.request = SimpleNamespace(session_hash=self.session)


class PageInAnyOrder(RuleBasedStateMachine):
    """Two tabs of one visitor, and another visitor: the model is what is painted, by its token.

    Both tabs of a visitor know the token of the last painting, as their browser keeps it.
    """

    folder: Any  # of files; set by the test

    def __init__(self) -> None:
        super().__init__()
        self.turns, self.patch = Turns(), pytest.MonkeyPatch()
        self.patch.setattr(turns, "TURNS", self.turns)
        self.patch.setattr(turns, "LOOK_AGAIN", 0)
        self.patch.setenv("GRADIO_TEMP_DIR", str(self.folder))
        self.later = 0.0  # seconds, by which the paintings that are kept are older
        clock = SimpleNamespace(monotonic=lambda: time.monotonic() + self.later)
        self.patch.setattr(studio, "time", clock)
        self.tabs = {name: Tab(name) for name in ("mine", "my second", "yours")}
        self.tokens: dict[bool, str | None] = {True: None, False: None}  # of me, of you
        self.steps: dict[str, int] = {}  # of each painting that is kept
        self.empty()

    def empty(self) -> None:
        """All paintings go: too many others have painted, or the server begins anew."""
        self.steps.clear()
        self.later += LIMITS.age_seconds + 1
        studio.STUDIO.expire()

    @contextlib.contextmanager
    def event(self, name: str) -> Iterator[Tab]:
        """While an event of a tab is answered."""
        before = LocalContext.request.set(self.tabs[name].request)
        try:
            yield self.tabs[name]
        finally:
            LocalContext.request.reset(before)

    def begin(self, name: str, run: Any, *more: Any) -> None:
        with self.event(name) as tab:
            if tab.run is None:  # or the button cannot be pressed
                paint.at_work()
                token = self.tokens[name != "yours"]
                tab.run = run(token, *more)

    @rule(name=TABS)
    def press_paint(self, name: str) -> None:
        chosen = values_of(size=64, steps=STEPS, frame_interval=0)
        self.begin(name, paint.paint, CASTLE, WAVE, *chosen)

    @rule(name=TABS)
    def press_continue(self, name: str) -> None:
        self.begin(name, paint.go_on, *values_of(size=64, steps=STEPS, frame_interval=0))

    @rule(name=TABS, count=st.integers(1, 8))
    def read(self, name: str, count: int) -> None:
        for _ in range(count):
            with self.event(name) as tab:
                try:
                    shown = next(tab.run) if tab.run else None
                except gr.Error as error:
                    if GONE not in error.message:
                        raise
                    shown = None
                if shown is None:
                    break
            tab.status = shown.status
            if isinstance(shown.token, str):
                self.tokens[name != "yours"] = shown.token
                self.steps[shown.token] = studio.STUDIO.find(shown.token).frame.step
            if re.match("Done|Stopped", shown.status):
                break
        else:
            return
        self.end(name)

    @rule(name=TABS)
    def press_stop(self, name: str) -> None:
        """Whatever it was about to show, the run ends with its picture."""
        with self.event(name) as tab:
            paint.stop()
            done = len(FakeEngine.steps.done)
            if tab.run is not None:
                with contextlib.suppress(gr.Error):
                    for shown in tab.run:
                        tab.status = shown.status
                assert re.match(r"Stopped|Done|That painting", tab.status), tab.status
            assert len(FakeEngine.steps.done) == done
        self.end(name)

    @rule(name=TABS)
    def reload(self, name: str) -> None:
        """The tab is gone in the middle of its run, and opened again: the last picture is there."""
        self.end(name)
        token = self.tokens[name != "yours"]
        with self.event(name):
            found = token and share.last_picture(token)
        if token in self.steps:
            assert found

    @rule()
    def restart(self) -> None:
        for name in self.tabs:
            self.end(name)
        self.empty()

    @rule()
    def evict(self) -> None:
        self.empty()

    def end(self, name: str) -> None:
        """The run is hung up on, if it goes on; the tools are those of what is kept."""
        with self.event(name) as tab:
            if tab.run is not None:
                tab.run.close()
                tab.run = None
                paint.stop()  # as Gradio's cancelling does: what is expected comes no more
            token = self.tokens[name != "yours"]
            tools = paint.at_rest(token)
            assert tools.paint["interactive"]
            assert tools.go_on["interactive"] == (self.steps.get(token, 0) > 0)

    @invariant()
    def what_is_kept_is_what_was_shown(self) -> None:
        for token, step in self.steps.items():
            assert studio.STUDIO.find(token).frame.step == step

    @invariant()
    def only_those_who_read_a_run_have_a_turn(self) -> None:
        assert self.turns.count() <= sum(tab.run is not None for tab in self.tabs.values())

    def teardown(self) -> None:
        self.restart()
        assert self.turns.count() == 0
        self.patch.undo()


@pytest.mark.usefixtures("steps")
def test_the_page_in_any_order(monkeypatch, tmp_path):
    monkeypatch.setattr(PageInAnyOrder, "folder", tmp_path, raising=False)
    run(PageInAnyOrder, orders=50, calls=20)
