"""Getting ready before anyone waits."""

from __future__ import annotations

import numpy as np

from nst_core.engine import device
from nst_core.engine.engine import Engine, compiled_step
from nst_core.networks.people import find_subject
from nst_core.networks.stylizer import preview
from nst_core.settings import Settings


def warm_up(settings: Settings | None = None) -> None:
    """Import TensorFlow, load all nets, compile the steps of these settings or the defaults."""
    grey = np.full([1, 64, 64, 3], 0.5, np.float32)
    with device.LOCK:
        preview(grey, [(grey, 1.0)], None)
        find_subject(grey)
        settings, precision = settings or Settings(), device.fastest_precision()
        for is_finest in (False, True):
            Engine(settings, precision, is_finest=is_finest).prepare()


def is_warm() -> bool:
    """Whether a step was compiled already, so that a run begins without a wait."""
    return compiled_step.cache_info().currsize > 0
