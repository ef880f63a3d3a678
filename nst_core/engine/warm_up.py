"""Getting ready before anyone waits."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np

from nst_core.engine import device
from nst_core.engine.engine import Engine, compiled_step
from nst_core.networks.people import find_subject
from nst_core.networks.stylizer import preview
from nst_core.settings import Settings

LET_GO = 0.01  # s; enough for another thread to take the lock of the device


def warm_up(settings: Settings | None = None, wait: Callable[[], object] = lambda: None) -> None:
    """Import TensorFlow, load all nets, compile the steps of these settings or the defaults.

    In parts: whoever comes meanwhile has a turn after the part that is under way.

    Args:
        wait: is called before each part; it may wait for those who paint already.
    """
    for part in _parts(settings or Settings()):
        wait()
        with device.LOCK:
            part()
        time.sleep(LET_GO)


def _parts(settings: Settings) -> Iterator[Callable[[], object]]:
    """What there is to do, in the order in which visitors need it."""
    grey = np.full([1, 64, 64, 3], 0.5, np.float32)
    yield lambda: preview(grey, [(grey, 1.0)], None)
    yield lambda: find_subject(grey)
    yield device.fastest_precision
    for regions, is_finest in itertools.product((0, 1), (False, True)):
        engine = Engine(settings, device.fastest_precision(), is_finest=is_finest)
        yield functools.partial(engine.prepare, regions)


def is_warm() -> bool:
    """Whether a step was compiled already, so that a run begins without a wait."""
    return compiled_step.cache_info().currsize > 0
