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
from nst_core.engine import device
from nst_core.errors import NSTError
from nst_core.stop import Condition
from page import gradio_inside
from page.limits import LIMITS, one_client

MAX_EXPECTED, EXPECTED_SECONDS = 1000, 60.0  # who are about to join, and for how long
LOOK_AGAIN = 0.5  # s, between two looks of one who waits
USUAL = 30.0  # s, of a turn as long as none was taken yet
# Reasons to stop: the end of a turn, and clients that are gone.
TURN_OVER, HUNG_UP, UNREAD = "turn over", "hung up", "unread"
MAX_UNREAD = 100  # events of a run that lie unread before it ends, however quickly they came
FILM = "film"  # work that is no picture, and has turns of its own
REMEMBERED = 20  # turns, whose length foretells that of the next


class BusyError(NSTError):
    """There is no room to wait; the message says when to try again."""


@dataclass(eq=False)
class Ticket:
    """One who waits, or whose turn it is."""

    session: str
    client: str  # whose share of the queue it takes
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
    """Hands out turns; safe to use from many threads.

    Fair between clients, which are network addresses, and between the sessions of each: of these a
    client may make as many as it likes. No client takes more than half of the room to wait.
    """

    def __init__(
        self, max_waiting: float = LIMITS.waiting, max_seconds: float = LIMITS.turn_seconds
    ) -> None:
        self._max_waiting, self._max_seconds = max_waiting, max_seconds
        self._changed = threading.Condition()
        self._running: Ticket | None = None
        self._began = 0.0  # when the turn that is running did
        self._waiting: list[Ticket] = []
        # When a client, or a session of it, was served last; the latest last.
        self._served: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._lengths: deque[float] = deque(maxlen=REMEMBERED)
        # Session -> the reason to stop what it is about to join with, if there is one already.
        self._expected: TTLCache[str, str] = TTLCache(MAX_EXPECTED, EXPECTED_SECONDS)

    def expect(self, session: str) -> None:
        """A session is about to join: from now on `stop` ends that, too."""
        with self._changed:
            self._expected[session] = ""

    def forget(self, session: str) -> None:
        """A session that was about to join has been refused before it did."""
        with self._changed:
            self._expected.pop(session, None)

    @contextlib.contextmanager
    def join(
        self, session: str, *conditions: Condition, client: str | None = None
    ) -> Iterator[Ticket]:
        """Join those who wait; leaving the block ends the waiting or the turn.

        The ticket's stop token is set when the turn has lasted as long as one may, by `stop`, or
        by one of the conditions. Raises `BusyError` when there are too many.

        Args:
            client: whose session it is; without one, a client of its own.
        """
        ticket = Ticket(session, client or session, time.monotonic())
        ticket.stop = StopToken(lambda: TURN_OVER if ticket.is_over else "", *conditions)
        with self._changed:
            reason = self._expected.pop(session, "")
            self._check_room(ticket.client)
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
                    self._expected[one] = self._expected[one] or reason
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

    def wait_until_free(self, seconds: float) -> bool:
        """Wait for the end of the turn, but at most so many seconds; whether it is nobody's now."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running is None, seconds)

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

    def _check_room(self, client: str) -> None:
        own = sum(ticket.client == client for ticket in self._waiting)
        has_share = own < max(1, self._max_waiting / 2)
        if has_share and len(self._waiting) < self._max_waiting:
            return
        seconds = round(max(LOOK_AGAIN, self._until_next()))
        if not has_share:
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
        ticket = min(self._waiting, key=self._was_served)
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
        for who in _as_whom(ticket):
            self._served[who] = now
            self._served.move_to_end(who)
        while len(self._served) > 2 * (REMEMBERED + self._max_waiting):
            self._served.popitem(last=False)
        self._running = None
        self._call_next()

    def _place(self, ticket: Ticket) -> Place:
        """As if nobody who was served before came in between."""
        order = sorted(self._waiting, key=self._was_served)
        before = order.index(ticket)
        return Place(before + 1, self._until_next() + before * self._usual())

    def _was_served(self, ticket: Ticket) -> list[float]:
        """When its client was served last, then its session."""
        return [self._served.get(who, 0.0) for who in _as_whom(ticket)]

    def _until_next(self) -> float:
        """Seconds until the turn that is running ends, at a guess."""
        return max(0.0, self._usual() - (time.monotonic() - self._began))

    def _usual(self) -> float:
        return statistics.fmean(self._lengths) if self._lengths else USUAL


def _as_whom(ticket: Ticket) -> tuple[tuple[str, ...], ...]:
    return (ticket.client,), (ticket.client, ticket.session)


class Beside:
    """Short work for visitors whose turn it is not, such as looks.

    While somebody's turn lasts, all of it together takes a share of the time; else it goes on at
    once.

    Args:
        share: of a turn's time, the most that such work takes.
    """

    def __init__(self, turns: Turns, share: float) -> None:
        self._turns, self._share = turns, share
        self._lock = threading.Lock()  # held by the one whose work is next, or is being done
        self._free_at = 0.0  # when the share allows for more, by the monotonic clock

    @contextlib.contextmanager
    def taken(self, stop: StopToken) -> Iterator[None]:
        """Wait until such work may be done, and hold the device meanwhile.

        Raises `StoppedError` when the token is set before.
        """
        while not self._lock.acquire(timeout=LOOK_AGAIN):
            stop.check()
        try:
            self._wait(stop)
            stop.check()
            with device.LOCK:
                began = time.monotonic()
                yield
                now = time.monotonic()
                self._free_at = now + (now - began) * (1 / self._share - 1)
        finally:
            self._lock.release()

    def _wait(self, stop: StopToken) -> None:
        while (seconds := self._free_at - time.monotonic()) > 0 and not stop.is_set():
            if self._turns.wait_until_free(min(seconds, LOOK_AGAIN)):
                return


TURNS = Turns()
LOOKS = Beside(TURNS, 0.04)  # looks, and finding people; what is sent takes some time besides


def join_own(*conditions: Condition, work: str = "") -> contextlib.AbstractContextManager[Ticket]:
    """`Turns.join` for the visitor of this event."""
    host = gradio_inside.client()
    client = None if host is None else one_client(host)
    return TURNS.join(session(work), *conditions, client=client)


def session(work: str = "") -> str:
    """Whose event this is; outside of Gradio everybody is a visitor of their own.

    Args:
        work: other work than pictures, which has turns of its own.
    """
    return f"{gradio_inside.session() or secrets.token_hex(8)} {work}".rstrip()


def expect_own(work: str = "") -> None:
    """The visitor of this event is about to have something painted."""
    TURNS.expect(session(work))


def stop_own(work: str = "") -> None:
    """End what the visitor of this event has waiting or running, within a step."""
    TURNS.stop(session(work))


def client_conditions() -> list[Condition]:
    """Reasons to stop that lie with the client; outside of Gradio there are none."""
    event = gradio_inside.event()
    if event is None:
        return []
    return [
        lambda: "" if gradio_inside.is_wanted(event) else HUNG_UP,
        _Unread(event),
    ]


class _Unread:
    """The reason to stop once a client reads no answers; it may never have opened their stream."""

    def __init__(self, event: gradio_inside.Event) -> None:
        self._event = event
        self._oldest, self._since = gradio_inside.oldest_unread(event), time.monotonic()

    def __call__(self) -> str:
        oldest, now = gradio_inside.oldest_unread(self._event), time.monotonic()
        if oldest is None or oldest is not self._oldest:
            self._oldest, self._since = oldest, now
        is_left = now - self._since > LIMITS.unread_seconds
        return UNREAD if is_left or gradio_inside.count_unread(self._event) > MAX_UNREAD else ""
