"""What the tests share: real pictures at small sizes, and a frozen way to count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nst_core import images

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def example(name: str) -> Path:
    """The file of an example picture, like "content/castle"."""
    return EXAMPLES / f"{name}.jpg"


@pytest.fixture(scope="session")
def castle() -> np.ndarray:
    """A real photo, uint8 [64, 96, 3]."""
    return images.to_uint8(images.load(example("content/castle"), 96).rgb)


@pytest.fixture(scope="session")
def great_wave() -> np.ndarray:
    """A real painting of another size and aspect ratio, uint8 [80, 118, 3]."""
    return images.to_uint8(images.load(example("style/great-wave"), 118).rgb)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
