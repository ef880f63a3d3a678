"""The app with the fake engine, in a process of its own: `python tests/fake_app.py`.

A run of 5000 steps lasts until it is stopped. With HELD_STEP=n in the environment, step n is held
until the runs are told to stop, and every step is written to the standard output.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from fake_engine import Done, Steps, install

import app
from page import turns

STEP_SECONDS = 0.02


class WrittenSteps(Steps):
    """Steps that are told when they are done."""

    def do(self, done: Done) -> None:
        super().do(done)
        print(f"step {len(self.done)} done", flush=True)


def hold(steps: Steps, number: int) -> None:
    """Hold a step until the runs are told to stop."""
    steps.hold_at(number)
    stop = turns.TURNS.stop

    def stop_and_release(*who: Any, **why: Any) -> None:
        stop(*who, **why)
        steps.release()

    turns.TURNS.stop = stop_and_release  # type: ignore[method-assign]


def main() -> None:
    held = os.environ.get("HELD_STEP")
    steps = WrittenSteps() if held else Steps(STEP_SECONDS)
    install(pytest.MonkeyPatch(), steps)
    if held:
        hold(steps, int(held))
    app.main()


if __name__ == "__main__":
    main()
