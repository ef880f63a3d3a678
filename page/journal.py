"""One line for each job, for whoever runs the server: no pictures, no names, no addresses.

Errors of this program's own have their traceback besides.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import time
from collections.abc import Iterator
from typing import Any

JOB = "job "  # begins the note that an error carries of its job

LOG = logging.getLogger("studio")


@contextlib.contextmanager
def job(kind: str) -> Iterator[dict[str, Any]]:
    """A job from its beginning to its end; what is put into the dict stands in its line.

    The outcome is "done" unless the dict has another: "stopped" when its generator is closed, or
    the name of the error that ends it.
    """
    facts: dict[str, Any] = {}
    name, began, outcome = secrets.token_hex(4), time.monotonic(), "done"
    try:
        yield facts
    except GeneratorExit:
        outcome = "stopped"
        raise
    except Exception as error:
        outcome = type(error).__name__
        error.add_note(JOB + name)
        raise
    finally:
        line = {"job": name, "kind": kind, "outcome": outcome, **facts}
        LOG.info(json.dumps(line | {"seconds": round(time.monotonic() - began, 3)}))


def fault(error: Exception) -> str:
    """Log an error of this program's own, traceback and all; returns the job that it ended."""
    notes = getattr(error, "__notes__", ())
    names = [note.removeprefix(JOB) for note in notes if note.startswith(JOB)]
    name = names[0] if names else secrets.token_hex(4)
    line = {"job": name, "kind": "fault", "outcome": type(error).__name__}
    LOG.exception(json.dumps(line), exc_info=error)
    return name


def start() -> None:
    """Write the lines to the standard output."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
