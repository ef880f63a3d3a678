"""TensorFlow and OpenCV, imported at their first use instead of at ours, and without greetings.

TensorFlow takes four to five seconds to import. The tables of optimizers, poolings and layers
are needed before that, by the page and by `--help`; so the modules that hold both tables and
tensor code write `from nst_core.lazy import tf`, and nothing waits until a tensor is made.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nst_core.errors import FilmError

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"

# TensorFlow's own switch: take a GPU's memory as it is needed and leave the rest to others.
GROWING_MEMORY = "TF_FORCE_GPU_ALLOW_GROWTH"

if TYPE_CHECKING:
    import cv2
    import tensorflow as tf
else:

    class _TensorFlow(ModuleType):
        """Forwards every attribute to the real module, which one thread imports once.

        The lock is our own: the import system's one is released between redirecting standard
        error and importing, so that two first users would restore it in the wrong order.
        """

        _lock = threading.RLock()  # of one thread: TensorFlow's import uses this module, too
        _module: ModuleType | None = None

        def __getattr__(self, name: str) -> Any:
            if self._module is None:
                with self._lock:
                    if self._module is None:
                        type(self)._module = _import_quietly()
            return getattr(self._module, name)

    tf = _TensorFlow("tensorflow")

    class _OpenCV(ModuleType):
        """The same for OpenCV, which only films need."""

        def __getattr__(self, name: str) -> Any:
            try:
                return getattr(importlib.import_module("cv2"), name)
            except ImportError:
                raise FilmError(
                    "Films need OpenCV, which is not installed: pip install opencv-python-headless"
                ) from None

    cv2 = _OpenCV("cv2")


def _import_quietly() -> ModuleType:
    if "tensorflow" in sys.modules:
        return importlib.import_module("tensorflow")  # waits if another thread imports it now
    os.environ.setdefault(GROWING_MEMORY, "true")
    quiet = contextlib.nullcontext() if LOG_LEVEL in os.environ else _silent_start()
    with quiet:
        return importlib.import_module("tensorflow")


@contextlib.contextmanager
def _silent_start() -> Iterator[None]:
    """Drop what TensorFlow's C++ writes to standard error while it is imported.

    On a machine without a GPU it reports that as an error, which frightens people. The level
    covers what comes later; what comes before its logging is set up can only be redirected.
    Whoever sets the level beforehand sees everything.
    """
    os.environ[LOG_LEVEL] = "3"  # fatal only: Python raises the errors that matter
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        del os.environ[LOG_LEVEL]  # read by now, and not to be inherited by other processes


__all__ = ["cv2", "tf"]
