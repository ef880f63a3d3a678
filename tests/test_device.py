"""The choice of precision, decided by a trial."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf

from nst_core.engine import device, warm_up
from nst_core.networks.network import PRECISIONS


@pytest.fixture(autouse=True)
def _forget():
    for decided_once in (device.fastest_precision, device.xla_helps):
        decided_once.cache_clear()
    yield
    for decided_once in (device.fastest_precision, device.xla_helps):
        decided_once.cache_clear()


def is_free() -> bool:
    """Whether another thread could paint now."""

    def take() -> bool:
        if not device.LOCK.acquire(blocking=False):
            return False
        device.LOCK.release()
        return True

    with ThreadPoolExecutor(1) as other:
        return other.submit(take).result()


@pytest.mark.parametrize(
    ("float32", "bfloat16", "expected"),
    [(2.0, 1.0, "bfloat16"), (1.0, 0.95, "float32"), (1.0, 9.0, "float32")],
)
def test_bfloat16_is_taken_where_it_is_clearly_faster(float32, bfloat16, expected, monkeypatch):
    seconds = {"float32": float32, "bfloat16": bfloat16}
    monkeypatch.setattr(device, "trial_seconds", seconds.get)
    assert device.fastest_precision() == expected


def test_the_choice_takes_a_trial_of_every_precision_and_is_made_once(monkeypatch):
    tried = []
    trial = device.trial_seconds
    monkeypatch.setattr(device, "trial_seconds", lambda name: tried.append(name) or trial(name))
    assert device.fastest_precision() in PRECISIONS
    assert device.PRECISION_CHOICES["auto"]() in PRECISIONS
    assert tried == list(PRECISIONS)


def test_a_trial_computes_the_gradient_as_well():
    """Without bfloat16 units only that is slow, by a factor of 10 and more."""
    image, kernel = tf.ones([1, 4, 4, 8]), tf.ones([3, 3, 8, 8])
    traced = tf.function(device.convolve_and_back).get_concrete_function(image, kernel)
    kinds = [operation.type for operation in traced.graph.get_operations()]
    assert "Conv2D" in kinds
    assert "Conv2DBackpropInput" in kinds


def test_trials_of_several_threads_run_once_and_one_at_a_time(monkeypatch):
    """Together they would measure each other. Of precisions that no run has, so no trial was made.

    A trial under way is told by its tracing of the convolution.
    """
    convolve, under_way, tried = tf.nn.conv2d, threading.Lock(), []

    def counted(image, *rest):
        assert under_way.acquire(blocking=False), "two trials at once"
        tried.append(image.dtype.name)
        assert not is_free()
        under_way.release()
        return convolve(image, *rest)

    monkeypatch.setattr(tf.nn, "conv2d", counted)
    monkeypatch.setattr(device, "TRIAL_SIDE", 4)
    monkeypatch.setattr(device, "TRIAL_CHANNELS", 8)
    barrier = threading.Barrier(4)

    def trial(precision):
        barrier.wait()
        return device.trial_seconds(precision)

    with ThreadPoolExecutor(4) as threads:
        seconds = list(threads.map(trial, ["float64", "float16"] * 2))
    assert sorted(tried) == ["float16", "float64"]
    assert seconds[:2] == seconds[2:]
    assert min(seconds) > 0


def test_nobody_paints_between_the_trials(monkeypatch):
    def trial(precision):
        assert not is_free()
        return 1.0

    monkeypatch.setattr(device, "trial_seconds", trial)
    assert is_free()
    device.fastest_precision()
    assert is_free()


def test_choices_name_every_precision():
    assert {name: device.PRECISION_CHOICES[name]() for name in PRECISIONS} == {
        name: name for name in PRECISIONS
    }


def test_the_expected_time_follows_from_the_trial(monkeypatch):
    """A machine of 100 GFLOP/s, of which a step reaches 70."""
    monkeypatch.setattr(device, "trial_seconds", lambda name: device.TRIAL_FLOP / 100e9)
    assert device.expected_seconds(1.2e6, "float32") == pytest.approx(1.2e6 / 70e9)


def test_xla_is_only_tried_on_a_gpu(monkeypatch):
    tried = []
    monkeypatch.setattr(device, "trial_seconds", lambda *names, **options: tried.append(names))
    assert device.xla_helps() is False
    assert tried == []


def test_who_comes_while_it_warms_up_has_a_turn_between_two_parts(monkeypatch):
    order, visitors = [], []

    def part():
        order.append("part")
        visitors.append(threading.Thread(target=visit))
        visitors[-1].start()

    def visit():
        with device.LOCK:
            order.append("visitor")

    monkeypatch.setattr(warm_up, "_parts", lambda _: [part, part])
    monkeypatch.setattr(warm_up.time, "sleep", lambda _: visitors[-1].join(60))
    warm_up.warm_up(wait=lambda: order.append("wait"))
    assert order == ["wait", "part", "visitor"] * 2
