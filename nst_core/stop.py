"""The stop token: how a run is told from outside to end.

A run checks the token before every step and, while targets are made, before each painting, each
tile of the photo and each block of a search, however rarely it sends frames. So whoever holds the
token ends the work within one step: a Stop button, a deadline, a client that hung up, a signal.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable

# Checked before every step: the reason to stop, or an empty text to continue.
Condition = Callable[[], str]


class StoppedError(Exception):
    """Ends a computation of many parts, from within; never leaves an `Easel`."""


class StopToken:
    """Tells a run to end; safe to use from many threads and from signal handlers.

    Args:
        conditions: functions that are asked before every step as well. They must be quick.
    """

    def __init__(self, *conditions: Condition) -> None:
        self._conditions = conditions
        self._reason = ""

    def stop(self, reason: str = "stopped") -> None:
        """End the work before its next step. Of several reasons the first one stays."""
        self._reason = self._reason or reason

    @property
    def reason(self) -> str:
        """Why the work has to end; empty as long as it may go on."""
        for condition in self._conditions:
            if self._reason:
                break
            if reason := condition():  # or a stop that came meanwhile would be lost
                self.stop(reason)
        return self._reason

    def is_set(self) -> bool:
        """Whether the work has to end."""
        return bool(self.reason)

    def check(self) -> None:
        """Raise `StoppedError` if the work has to end."""
        if self.is_set():
            raise StoppedError(self.reason)
