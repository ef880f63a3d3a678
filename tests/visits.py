"""What the tests of the page's rooms share: its functions called as the page calls them."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import numpy as np
from conftest import example
from PIL import Image

from nst_core import Settings
from page import choice, controls
from page import paint as room
from page.stage import Shown
from page.studio import STUDIO

CASTLE, WAVE = str(example("content/castle")), str(example("style/great-wave"))
OTHER = str(example("style/composition-viii"))


def values_of(**changed) -> list:
    return controls.show(Settings(**changed))


def told(monkeypatch, kind: str = "Warning") -> list[str]:
    """What visitors are told from now on."""
    messages: list[str] = []
    monkeypatch.setattr(gr, kind, messages.append)
    return messages


def paint(*more, before: str | None = None, **changed) -> Iterator[Shown]:
    """Paint the castle with these settings, and these values of `choice.MORE`."""
    return room.paint(before, CASTLE, WAVE, *values_of(**{"size": 96} | changed), *more)


def paint_until(step: int, **changed) -> str:
    """Paint and leave there; returns the token."""
    run = paint(**{"frame_interval": 0} | changed)
    token = next(shown.token for shown in run if step_of(shown) == step)
    run.close()
    return token


def step_of(shown: Shown) -> int:
    painting = STUDIO.find(shown.token) if isinstance(shown.token, str) else None
    return painting.frame.step if painting else -1


def pixels(path: str) -> np.ndarray:
    """A picture that is shown."""
    with Image.open(path) as image:
        return np.asarray(image, int)


def mixed(**changed) -> list:
    """The values of `choice.MORE`."""
    return [changed.get(name, default) for name, (default, _) in choice.MORE.items()]
