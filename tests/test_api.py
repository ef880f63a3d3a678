"""The programs in docs/api.md: each is run as it stands there, against the served app."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import playwright
import pytest
from conftest import ROOT, example
from fake_engine import LIMIT
from PIL import Image

import app
from page import turns

DOCUMENT = (ROOT / "docs" / "api.md").read_text()

# Playwright brings one along, so no test depends on what else is installed.
NODE = str(Path(playwright.__file__).parent / "driver" / "node")

# What runs a program of a language, and the ending of its file.
RUN = {"python": (sys.executable, ".py"), "javascript": (NODE, ".mjs"), "bash": ("bash", ".sh")}

PROGRAMS = [
    pytest.param(language, code, id=f"{number}-{language}")
    for number, (language, code) in enumerate(
        re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL), start=1
    )
    if language in RUN
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The app with the real engine, served on the loopback address."""
    page = app.make_page()
    _, url, _ = page.launch(
        prevent_thread_lock=True, quiet=True, mcp_server=True, **app.launch_options()
    )
    yield url.rstrip("/")
    page.close()


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with the pictures that the programs name, the photo small."""
    with Image.open(example("content/castle")) as photo:
        photo.reduce(8).save(tmp_path / "photo.jpg")
    shutil.copy(example("style/great-wave"), tmp_path / "painting.jpg")
    return tmp_path


def test_there_is_a_program_for_each_language():
    assert {one.values[0] for one in PROGRAMS} == set(RUN)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), int)


@pytest.mark.parametrize(("language", "code"), PROGRAMS)
def test_a_program_runs_as_it_stands_there(language, code, address, folder):
    runner, ending = RUN[language]
    assert "http://127.0.0.1:7860" in code
    program = folder / f"program{ending}"
    program.write_text(code.replace("http://127.0.0.1:7860", address))
    done = subprocess.run(
        [runner, program],
        cwd=folder,
        env=os.environ | {"GRADIO_TEMP_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=3 * LIMIT,
    )
    assert done.returncode == 0, done.stderr
    assert ("cancelled" in done.stdout) == ("cancel" in code), done.stdout
    if "painted.png" in code:
        painted, photo = (pixels(folder / name) for name in ("painted.png", "photo.jpg"))
        assert painted.shape == photo.shape
        assert np.abs(painted - photo).mean() > 10
    turns.TURNS.wait_until_left(None, LIMIT)
    assert turns.TURNS.count() == 0
