"""Every error of this package that a user can do something about, under one base class.

Each message says what arrived, what is accepted, and what to try. Programs that call this package
can catch `NSTError` alone, or the built-in class beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nst_core.sentence import Sentence

if TYPE_CHECKING:
    from nst_core.engine.frame import Frame


class NSTError(Exception):
    """The base of all errors of this package.

    Made of a template and its values, as a `Sentence` is.
    """

    def __init__(self, template: str = "", **values: Any) -> None:
        super().__init__(Sentence(template, **values))

    @property
    def sentence(self) -> Sentence:
        """What it says, for those who tell it in another language."""
        return Sentence(self.args[0])


class SettingsError(NSTError, ValueError):
    """A setting, or a combination of settings, that cannot be used."""


class ImageError(NSTError, ValueError):
    """A picture or mask that cannot be used."""


class WeightsError(NSTError, ValueError):
    """A network's weights file that cannot be used; the message names the file."""


class PreviewError(NSTError, ValueError):
    """A feed-forward stylizer that cannot be used; the message names it."""


class FilmError(NSTError, ValueError):
    """A film that cannot be made."""


class ClipError(NSTError, ValueError):
    """A clip that cannot be painted."""


class BatchError(NSTError, ValueError):
    """Folders, a table or a cluster that no batch can be made of."""


class OutOfMemoryError(NSTError, MemoryError):
    """A run that got no more memory; the pictures before it are kept."""


class DivergenceError(NSTError, ArithmeticError):
    """A step gave NaN or infinity. `frame` is the last good one."""

    def __init__(self, template: str, frame: Frame, **values: Any) -> None:
        super().__init__(template, **values)
        self.frame = frame
