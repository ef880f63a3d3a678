"""One line for each job, for whoever runs the server: no pictures, no names, no addresses."""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import time
from collections.abc import Iterator
from typing import Any

LOG = logging.getLogger("studio")


@contextlib.contextmanager
def job(kind: str) -> Iterator[dict[str, Any]]:
    """A job from its beginning to its end; what is put into the dict stands in its line.

    The outcome is "done" unless the dict has another: "stopped" when its generator is closed, or
    the name of the error that ends it.
    """
    facts: dict[str, Any] = {}
    began, outcome = time.monotonic(), "done"
    try:
        yield facts
    except GeneratorExit:
        outcome = "stopped"
        raise
    except Exception as error:
        outcome = type(error).__name__
        raise
    finally:
        line = {"job": secrets.token_hex(4), "kind": kind, "outcome": outcome, **facts}
        LOG.info(json.dumps(line | {"seconds": round(time.monotonic() - began, 3)}))


def start() -> None:
    """Write the lines to the standard output."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
