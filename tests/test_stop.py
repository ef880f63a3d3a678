"""The stop token: reasons, conditions, threads."""

from __future__ import annotations

import threading

import pytest

from nst_core import Settings, StopToken, stream


def test_a_token_goes_on_until_it_is_stopped():
    token = StopToken()
    assert not token.is_set()
    assert token.reason == ""
    token.stop()
    assert token.is_set()
    assert token.reason == "stopped"


def test_the_reason_of_the_first_stop_stays():
    token = StopToken()
    token.stop("the button")
    token.stop("the deadline")
    assert token.reason == "the button"


def test_conditions_are_asked_in_order_until_one_says_why():
    asked, answers = [], {"client": "", "deadline": ""}

    def condition(name):
        return lambda: asked.append(name) or answers[name]

    token = StopToken(condition("client"), condition("deadline"))
    assert not token.is_set()
    assert asked == ["client", "deadline"]
    answers["client"] = "the client hung up"
    assert token.is_set()
    assert asked == ["client", "deadline", "client"]
    answers["client"] = ""
    assert token.reason == "the client hung up", "what has ended does not begin again"
    assert len(asked) == 3, "nothing is asked any more"


def test_a_stop_goes_before_the_conditions():
    token = StopToken(lambda: pytest.fail("asked although it was stopped"))
    token.stop("the button")
    assert token.reason == "the button"


def test_a_stop_while_a_condition_is_asked_is_not_lost():
    """From a thread: the condition waits for it, and then says that the run may go on."""
    is_asked, is_stopped = threading.Event(), threading.Event()

    def condition():
        is_asked.set()
        is_stopped.wait()
        return ""

    token = StopToken(condition)

    def stop():
        is_asked.wait()
        token.stop("the button")
        is_stopped.set()

    thread = threading.Thread(target=stop)
    thread.start()
    assert token.reason == "the button"
    thread.join()


def test_a_stop_from_a_thread_ends_a_run_before_its_next_step(castle, great_wave, before_each_step):
    """While no frame is asked for between the first and the last one."""
    token, states = StopToken(), []

    def stop_before_the_third(state):
        states.append(state)
        if len(states) == 3:
            thread = threading.Thread(target=token.stop, args=("the button",))
            thread.start()
            thread.join()
        return state

    before_each_step(stop_before_the_third)
    settings = Settings(
        style_loss="gram",
        size=64,
        steps=50,
        init="content",
        precision="float32",
        frame_interval=3600,
    )
    frames = list(stream(castle, great_wave, settings, stop=token))
    assert [frame.step for frame in frames] == [0, 3], "the step under way is done and shown"
    assert len(states) == 3
    assert not frames[-1].done
    assert token.reason == "the button"
