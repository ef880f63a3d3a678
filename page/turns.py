"""Whose turn it is to paint: one at a time, fairly between visitors, and not for ever.

Gradio's queue would take everybody in order of arrival, however often each came, and lets the next
one begin while the last step of the one before still runs. A turn ends only when its work has.
"""

from __future__ import annotations

import contextlib
import secrets
import statistics
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from cachetools import TTLCache

from nst_core import StopToken
from nst_core.errors import NSTError
from nst_core.stop import Condition
from page import gradio_inside

MAX_WAITING = 32  # visitors; each holds a thread, but no picture
MAX_PER_SESSION = 4  # of them with the same session
MAX_EXPECTED, EXPECTED_SECONDS = 1000, 60.0  # who are about to join, and for how long
MAX_SECONDS = 600.0  # s, of one turn
LOOK_AGAIN = 0.5  # s, between two looks of one who waits
USUAL = 30.0  # s, of a turn as long as none was taken yet
TURN_OVER = "turn over"  # a reason to stop
REMEMBERED = 20  # turns, whose length foretells that of the next


class BusyError(NSTError):
    """There is no room to wait; the message says when to try again."""


@dataclass(eq=False)
class Ticket:
    """One who waits, or whose turn it is."""

    session: str
    joined: float  # of the monotonic clock, as is the next
    ends: float = float("inf")
    stop: StopToken = field(default_factory=StopToken)  # ends the waiting or the work

    @property
    def is_over(self) -> bool:
        """Whether the turn has lasted as long as one may."""
        return time.monotonic() > self.ends


@dataclass(frozen=True)
class Place:
    """Where somebody stands who waits."""

    before: int  # turns, with the one that is running
    seconds: float  # until the turn, at a guess


class Turns:
    """Hands out turns; safe to use from many threads."""

    def __init__(
        self,
        max_waiting: int = MAX_WAITING,
        max_per_session: int = MAX_PER_SESSION,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self._max_waiting, self._max_per_session = max_waiting, max_per_session
        self._max_seconds = max_seconds
        self._changed = threading.Condition()
        self._running: Ticket | None = None
        self._began = 0.0  # when the turn that is running did
        self._waiting: list[Ticket] = []
        self._served: OrderedDict[str, float] = OrderedDict()  # session -> when, the latest last
        self._lengths: deque[float] = deque(maxlen=REMEMBERED)
        # Session -> the reason to stop what it is about to join with, if there is one already.
        self._expected: TTLCache[str, str] = TTLCache(MAX_EXPECTED, EXPECTED_SECONDS)

    def expect(self, session: str) -> None:
        """A session is about to join: from now on `stop` ends that, too."""
        with self._changed:
            self._expected[session] = ""

    @contextlib.contextmanager
    def join(self, session: str, *conditions: Condition) -> Iterator[Ticket]:
        """Join those who wait; leaving the block ends the waiting or the turn.

        The ticket's stop token is set when the turn has lasted as long as one may, by `stop`, or
        by one of the conditions. Raises `BusyError` when there are too many.
        """
        ticket = Ticket(session, time.monotonic())
        ticket.stop = StopToken(lambda: TURN_OVER if ticket.is_over else "", *conditions)
        with self._changed:
            reason = self._expected.pop(session, "")
            self._check_room(session)
            if reason:
                ticket.stop.stop(reason)
            self._waiting.append(ticket)
            self._call_next()
        try:
            yield ticket
        finally:
            with self._changed:
                self._leave(ticket)

    def wait(self, ticket: Ticket) -> Iterator[Place]:
        """Where the ticket stands, about once a second, until it is its turn or told to stop."""
        while not ticket.stop.is_set():
            with self._changed:
                if self._running is not None and self._running.is_over:
                    self._leave(self._running)  # nobody asks it for more, nor lets it go
                if self._running is ticket:
                    return
                place = self._place(ticket)
            yield place
            with self._changed:
                self._changed.wait_for(
                    lambda: self._running is ticket or ticket.stop.is_set(), LOOK_AGAIN
                )

    def stop(self, session: str | None = None, reason: str = "stopped") -> None:
        """End what a session, or everybody, has waiting or running, within a step."""
        with self._changed:
            for one in [session] if session else list(self._expected):
                if one in self._expected:
                    self._expected[one] = reason
            for ticket in [self._running, *self._waiting]:
                if ticket and session in (None, ticket.session):
                    ticket.stop.stop(reason)
            self._changed.notify_all()

    def wait_until_left(self, session: str | None, seconds: float) -> None:
        """Until nothing of a session, or of anybody, waits or runs, but at most so many seconds."""

        def has_left() -> bool:
            tickets = [one for one in [self._running, *self._waiting] if one]
            return all(session not in (None, one.session) for one in tickets)

        with self._changed:
            self._changed.wait_for(has_left, seconds)

    def is_busy(self, session: str) -> bool:
        """Whether a session is about to join, waits or runs, and was not told to stop."""
        with self._changed:
            tickets = [one for one in [self._running, *self._waiting] if one]
            is_expected = self._expected.get(session) == ""
            return is_expected or any(
                session == one.session and not one.stop.is_set() for one in tickets
            )

    def count(self, besides: str | None = None) -> int:
        """How many are painted or wait, but for those of the session `besides`."""
        with self._changed:
            tickets = [one for one in [self._running, *self._waiting] if one]
            return sum(besides is None or one.session != besides for one in tickets)

    def _check_room(self, session: str) -> None:
        own = sum(ticket.session == session for ticket in self._waiting)
        if own < self._max_per_session and len(self._waiting) < self._max_waiting:
            return
        seconds = round(max(LOOK_AGAIN, self._until_next()))
        if own >= self._max_per_session:
            raise BusyError(
                "{count} pictures of yours are waiting already; try again in {seconds} s.",
                count=own,
                seconds=seconds,
            )
        raise BusyError(
            "{count} visitors are waiting already; try again in {seconds} s.",
            count=len(self._waiting),
            seconds=seconds,
        )

    def _call_next(self) -> None:
        """Who was served longest ago, if ever; of several the one who came first."""
        if self._running is not None or not self._waiting:
            return
        ticket = min(self._waiting, key=lambda one: self._served.get(one.session, 0.0))
        self._waiting.remove(ticket)
        self._running, self._began = ticket, time.monotonic()
        ticket.ends = self._began + self._max_seconds
        self._changed.notify_all()

    def _leave(self, ticket: Ticket) -> None:
        self._changed.notify_all()
        if ticket is not self._running:
            self._waiting = [one for one in self._waiting if one is not ticket]
            return
        now = time.monotonic()
        self._lengths.append(now - self._began)
        self._served[ticket.session] = now
        self._served.move_to_end(ticket.session)
        while len(self._served) > REMEMBERED + self._max_waiting:
            self._served.popitem(last=False)
        self._running = None
        self._call_next()

    def _place(self, ticket: Ticket) -> Place:
        """As if nobody who was served before came in between."""
        order = sorted(self._waiting, key=lambda one: self._served.get(one.session, 0.0))
        before = order.index(ticket)
        return Place(before + 1, self._until_next() + before * self._usual())

    def _until_next(self) -> float:
        """Seconds until the turn that is running ends, at a guess."""
        return max(0.0, self._usual() - (time.monotonic() - self._began))

    def _usual(self) -> float:
        return statistics.fmean(self._lengths) if self._lengths else USUAL


TURNS = Turns()


def session() -> str:
    """Whose event this is; outside of Gradio everybody is a visitor of their own."""
    return gradio_inside.session() or secrets.token_hex(8)


def expect_own() -> None:
    """The visitor of this event is about to paint."""
    TURNS.expect(session())


def stop_own() -> None:
    """End what the visitor of this event has waiting or running, within a step."""
    TURNS.stop(session())
