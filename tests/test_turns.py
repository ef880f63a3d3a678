"""Turns: one at a time, fair between sessions, bounded in number and length."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from page import turns
from page.turns import BusyError, Ticket, Turns


class Visitors:
    """Tickets that are held until they are given back."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.held: dict[Ticket, ExitStack] = {}

    def join(self, *sessions: str) -> list[Ticket]:
        tickets = []
        for session in sessions:
            stack = ExitStack()
            ticket = stack.enter_context(self.turns.join(session))
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


def list_places(turns: Turns, ticket: Ticket) -> list[turns.Place]:
    """Where somebody stands, without waiting; empty when it is their turn."""
    place = next(turns.wait(ticket), None)
    return [] if place is None else [place]


@pytest.fixture
def visitors() -> Visitors:
    return Visitors(Turns(most_waiting=8, most_of_one=4))


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
    assert visitors.serve_all() == "abcdeaaaa"  # and nobody was lost


def test_the_guess_learns_from_the_turns_that_were(visitors, monkeypatch):
    clock = iter(range(0, 10_000, 7))
    monkeypatch.setattr(turns.time, "monotonic", lambda: float(next(clock)))
    visitors.join(*"abc")
    visitors.serve_all()
    _, second = visitors.join(*"ab")
    assert list_places(visitors.turns, second)[0].seconds < turns.USUAL


def test_a_turn_does_not_last_for_ever():
    short = Turns(longest=0.05)
    with short.join("a") as ticket:
        assert not ticket.is_over
        time.sleep(0.06)
        assert ticket.is_over


def test_a_turn_that_nobody_ends_is_taken_over():
    short = Turns(longest=0.05)
    with short.join("a") as first, short.join("b") as second:
        assert list_places(short, second)
        time.sleep(0.06)
        assert list_places(short, second) == []
        assert first.is_over
    assert short.count() == 0


def test_waiting_until_a_session_has_left(visitors):
    first, second = visitors.join("a", "b")
    visitors.turns.wait_until_left("c", 5)
    threading.Timer(0.2, visitors.leave, [second]).start()
    began = time.monotonic()
    visitors.turns.wait_until_left("b", 5)
    assert 0.1 < time.monotonic() - began < 2
    began = time.monotonic()
    visitors.turns.wait_until_left(first.session, 0.2)
    assert time.monotonic() - began < 2


def test_what_is_remembered_stays_small(visitors):
    for number in range(200):
        visitors.leave(*visitors.join(str(number)))
    assert len(visitors.turns._served) < 50


def test_many_threads_never_have_a_turn_at_once():
    crowd, busy, most, done = Turns(most_waiting=50), [0], [0], []

    def paint(number: int) -> None:
        with crowd.join(str(number)) as ticket:
            for _ in crowd.wait(ticket):
                pass
            busy[0] += 1
            most[0] = max(most[0], busy[0])
            time.sleep(0.002)
            busy[0] -= 1
            done.append(number)

    threads = [threading.Thread(target=paint, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert most == [1]
    assert sorted(done) == list(range(40))
