"""Turns: one at a time, fair between sessions, bounded in number and length."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from fake_engine import LIMIT

from nst_core import StopToken
from nst_core.stop import StoppedError
from page import turns
from page.limits import LIMITS
from page.turns import BusyError, Place, Ticket, Turns


class Visitors:
    """Tickets that are held until they are given back."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.held: dict[Ticket, ExitStack] = {}

    def join(self, *sessions: str, client: str | None = None) -> list[Ticket]:
        tickets = []
        for session in sessions:
            stack = ExitStack()
            ticket = stack.enter_context(self.turns.join(session, client=client))
            self.held[ticket] = stack
            tickets.append(ticket)
        return tickets

    def leave(self, ticket: Ticket) -> None:
        self.held.pop(ticket).close()

    def running(self) -> list[Ticket]:
        return [ticket for ticket in self.held if not list_places(self.turns, ticket)]

    def serve_all(self) -> str:
        """End turn after turn; returns whose they were."""
        order = ""
        while self.held:
            (ticket,) = self.running()
            order += ticket.session
            self.leave(ticket)
        return order


def list_places(turns: Turns, ticket: Ticket) -> list[Place]:
    """Where somebody stands, without waiting; empty when it is their turn."""
    place = next(turns.wait(ticket), None)
    return [] if place is None else [place]


@pytest.fixture
def visitors() -> Visitors:
    return Visitors(Turns(max_waiting=8))


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time that it is, to be changed."""
    now = [1000.0]
    monkeypatch.setattr(turns.time, "monotonic", lambda: now[0])
    return now


# --- Whose turn it is ---------------------------------------------------------------------------


def test_the_first_has_its_turn_at_once_and_the_others_know_their_place(visitors):
    first, second, third = visitors.join("a", "b", "c")
    assert list_places(visitors.turns, first) == []
    places = [list_places(visitors.turns, ticket)[0] for ticket in (second, third)]
    assert [place.before for place in places] == [1, 2]
    assert 0 < places[0].seconds < places[1].seconds


def test_in_order_of_arrival(visitors):
    visitors.join(*"abcd")
    assert visitors.serve_all() == "abcd"


def test_who_comes_often_does_not_keep_the_others_waiting(visitors):
    visitors.join(*"aaaabc")
    assert visitors.serve_all() == "abcaaa"


def test_fair_between_clients_and_then_between_the_sessions_of_each(visitors):
    """One who makes a session for each picture has no more turns than another."""
    for client, sessions in (("x", "abc"), ("y", "d"), ("x", "a"), ("y", "d")):
        visitors.join(*sessions, client=client)
    assert visitors.serve_all() == "adbdca"


def test_no_client_takes_more_than_half_of_the_room_whatever_its_sessions(visitors):
    visitors.join(*"abcde", client="x")  # one turn, four who wait
    with pytest.raises(BusyError, match="4 pictures of yours are waiting already"):
        visitors.join("f", client="x")
    visitors.join(*"abcd", client="y")


@pytest.mark.parametrize("room", [1, 2, 3])
def test_however_small_the_room_one_may_wait(room):
    small = Visitors(Turns(max_waiting=room))
    small.join("a", "b", client="x")
    assert small.turns.count() == 2


def test_who_goes_away_while_waiting_is_left_out(visitors):
    _, second, _ = visitors.join(*"abc")
    visitors.leave(second)
    assert visitors.serve_all() == "ac"


def test_an_error_in_a_turn_ends_it(visitors):
    with pytest.raises(RuntimeError), visitors.turns.join("a"):
        raise RuntimeError
    (ticket,) = visitors.join("b")
    assert list_places(visitors.turns, ticket) == []


def test_too_many_are_told_when_to_try_again(visitors):
    visitors.join(*"aaaaa")  # one turn, four who wait
    with pytest.raises(
        BusyError, match=r"4 pictures of yours are waiting already; try again in \d+ s"
    ):
        visitors.join("a")
    visitors.join(*"bcde")
    with pytest.raises(BusyError, match=r"8 visitors are waiting already; try again in \d+ s"):
        visitors.join("f")
    assert visitors.turns.count() == 9
    assert visitors.serve_all() == "abcdeaaaa"  # and nobody was lost


def test_the_guess_learns_from_the_turns_that_were(visitors, clock):
    for _ in range(3):
        (ticket,) = visitors.join("a")
        clock[0] += 7
        visitors.leave(ticket)
    _, second = visitors.join(*"ab")
    assert list_places(visitors.turns, second) == [Place(1, 7.0)]


def test_only_the_latest_sessions_are_remembered(visitors):
    """Who was served long ago is as one who comes for the first time."""
    for number in range(200):
        visitors.leave(*visitors.join(str(number)))
    visitors.join("now", "0", "199", "new")
    order = []
    while visitors.held:
        (ticket,) = visitors.running()
        order.append(ticket.session)
        visitors.leave(ticket)
    assert order == ["now", "0", "new", "199"]


def test_many_threads_never_have_a_turn_at_once():
    crowd, busy, most, done = Turns(max_waiting=50), [0], [0], []

    def paint(number: int) -> None:
        with crowd.join(str(number)) as ticket:
            for _ in crowd.wait(ticket):
                pass
            busy[0] += 1
            most[0] = max(most[0], busy[0])
            time.sleep(0.001)  # for the others to come in, if they could
            busy[0] -= 1
            done.append(number)

    threads = [threading.Thread(target=paint, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert most == [1]
    assert sorted(done) == list(range(40))


# --- How they end -------------------------------------------------------------------------------


def test_a_turn_does_not_last_for_ever(visitors, clock):
    first, second = visitors.join("a", "b")
    clock[0] += LIMITS.turn_seconds
    assert not first.stop.is_set()
    clock[0] += 1
    assert first.stop.reason == turns.TURN_OVER
    assert not second.stop.is_set(), "only painting counts"


def test_a_turn_that_nobody_ends_is_taken_over(visitors, clock):
    first, second = visitors.join("a", "b")
    assert list_places(visitors.turns, second)
    clock[0] += LIMITS.turn_seconds + 1
    assert list_places(visitors.turns, second) == []
    assert first.stop.is_set()
    assert not second.stop.is_set()
    visitors.leave(first)  # late, it ends no turn but its own
    assert visitors.running() == [second]


def test_a_session_stops_its_own_and_nobody_elses(visitors):
    tickets = visitors.join(*"abab")
    visitors.turns.stop("a")
    assert [ticket.stop.reason for ticket in tickets] == ["stopped", "", "stopped", ""]
    assert visitors.turns.count() == 4, "they leave by themselves"


def test_everybody_is_stopped_with_a_reason(visitors):
    tickets = visitors.join(*"abc")
    visitors.turns.stop(reason="server ends")
    assert {ticket.stop.reason for ticket in tickets} == {"server ends"}


def test_who_is_stopped_does_not_wait_any_longer(visitors, monkeypatch):
    monkeypatch.setattr(turns, "LOOK_AGAIN", LIMIT)
    _, second = visitors.join("a", "b")
    waits, is_over = threading.Event(), threading.Event()

    def wait() -> None:
        for _ in visitors.turns.wait(second):
            waits.set()
        is_over.set()

    threading.Thread(target=wait, daemon=True).start()
    assert waits.wait(LIMIT)
    visitors.turns.stop("b")
    assert is_over.wait(LIMIT / 2)


def test_a_condition_ends_the_waiting_and_the_turn():
    ours, gone = Turns(), ["", ""]
    with ours.join("a", lambda: gone[0]) as first, ours.join("b", lambda: gone[1]) as second:
        assert not first.stop.is_set()
        assert list_places(ours, second)
        gone[:] = "hung up", "unread"
        assert list_places(ours, second) == []
        assert (first.stop.reason, second.stop.reason) == ("hung up", "unread")


@pytest.fixture
def waiting(visitors) -> Callable[[str | None], threading.Event]:
    """Set when nothing of a session, or of anybody, is left; called with the session."""

    def wait_for(session: str | None) -> threading.Event:
        has_left = threading.Event()

        def wait() -> None:
            visitors.turns.wait_until_left(session, LIMIT)
            has_left.set()

        threading.Thread(target=wait, daemon=True).start()
        return has_left

    return wait_for


def test_waiting_until_a_session_has_left(visitors, waiting):
    first, second, third = visitors.join("a", "b", "b")
    assert waiting("c").wait(LIMIT), "of whom there is nothing"
    b, anybody = waiting("b"), waiting(None)
    visitors.leave(second)
    assert not b.is_set()
    visitors.leave(third)
    assert b.wait(LIMIT)
    assert not anybody.is_set()
    visitors.turns.wait_until_left("a", 0.01)  # no longer than that
    visitors.leave(first)
    assert anybody.wait(LIMIT)


def test_stop_also_ends_what_is_about_to_join():
    turns = Turns()
    turns.expect("a")
    turns.stop("a")
    with turns.join("a") as ticket:
        assert ticket.stop.is_set()
        assert list(turns.wait(ticket)) == []
    with turns.join("a") as ticket:  # and nothing after that
        assert not ticket.stop.is_set()


def test_of_several_reasons_the_first_one_stays_before_the_joining_too():
    turns = Turns()
    turns.expect("a")
    turns.stop(reason="server ends")
    turns.stop("a")
    with turns.join("a") as ticket:
        assert ticket.stop.reason == "server ends"


def test_stop_of_another_or_before_it_was_expected_ends_nothing():
    turns = Turns()
    turns.stop("a")
    turns.expect("a")
    turns.stop("b")
    with turns.join("a") as ticket:
        assert not ticket.stop.is_set()


def test_a_session_is_busy_from_before_it_joins_until_it_is_told_to_stop():
    turns = Turns()
    assert not turns.is_busy("a")
    turns.expect("a")
    assert turns.is_busy("a")
    with turns.join("a") as ticket:
        assert turns.is_busy("a")
        assert not turns.is_busy("b")
        ticket.stop.stop("stopped")
        assert not turns.is_busy("a")
    assert not turns.is_busy("a")


# --- Beside a turn ----------------------------------------------------------------------------


class OneWhoPaints:
    """A turn that ends at a moment of the clock, which those who wait by it move."""

    def __init__(self, clock: list[float], ends: float) -> None:
        self.clock, self.ends = clock, ends

    def wait_until_free(self, seconds: float) -> bool:
        (now,) = self.clock
        self.clock[0] = max(now, min(now + seconds, self.ends))
        return self.clock[0] >= self.ends


def begun_at(clock: list[float], beside: turns.Beside, pieces: int, seconds: float) -> list[float]:
    """Does so many pieces of work, of so many seconds each; returns when each began."""
    found = []
    for _ in range(pieces):
        with beside.taken(StopToken()):
            found.append(clock[0] - 1000)
            clock[0] += seconds
    return found


def test_work_beside_a_turn_takes_its_share_and_all_of_the_time_after_it(clock):
    beside = turns.Beside(OneWhoPaints(clock, 1005), share=0.1)
    assert begun_at(clock, beside, 5, 0.2) == pytest.approx([0, 2, 4, 5, 5.2])


def test_work_beside_nobody_waits_for_nothing(clock):
    beside = turns.Beside(OneWhoPaints(clock, 0), share=0.1)
    assert begun_at(clock, beside, 3, 1) == [0, 1, 2]


def test_work_beside_a_turn_that_is_told_to_stop_is_not_done(clock):
    beside = turns.Beside(OneWhoPaints(clock, float("inf")), share=0.1)
    begun_at(clock, beside, 1, 60)
    asked = iter(["", "", "enough"])
    with pytest.raises(StoppedError), beside.taken(StopToken(lambda: next(asked))):
        pytest.fail("begun all the same")
    assert 1060 < clock[0] < 1600


def test_work_beside_a_turn_waits_for_other_such_work_unless_it_is_told_to_stop():
    beside = turns.Beside(Turns(), share=0.1)
    is_begun, may_end = threading.Event(), threading.Event()

    def work():
        with beside.taken(StopToken()):
            is_begun.set()
            may_end.wait(LIMIT)

    other = threading.Thread(target=work)
    other.start()
    assert is_begun.wait(LIMIT)
    told = StopToken()
    told.stop()
    with pytest.raises(StoppedError), beside.taken(told):
        pytest.fail("begun beside it")
    may_end.set()
    other.join(LIMIT)
    with beside.taken(StopToken()):
        assert not other.is_alive()


def test_work_beside_a_turn_that_fails_lets_others_in(clock):
    beside = turns.Beside(OneWhoPaints(clock, 0), share=0.1)
    with pytest.raises(OSError, match="no space"), beside.taken(StopToken()):
        raise OSError("no space left")
    assert begun_at(clock, beside, 1, 1) == [0]
