"""The embedded weights: what was shipped, or an error that names the file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from nst_core.networks.embedded import FOLDER, SUMS, damaged

NETS = ("vgg16", "preview/", "faces/", "people/")


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A copy of the weights."""
    folder = tmp_path_factory.mktemp("weights") / "weights"
    shutil.copytree(FOLDER, folder)
    return folder


@pytest.fixture
def copied(original, tmp_path) -> Path:
    """A copy to damage, of links: a file is replaced and not changed."""
    shutil.copytree(
        original, tmp_path / "weights", copy_function=lambda a, b: Path(b).symlink_to(a)
    )
    return tmp_path / "weights"


def change(path: Path) -> None:
    """Turn over one bit, in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


def listed() -> list[str]:
    return [line.split("  ")[1] for line in (FOLDER / SUMS).read_text().splitlines()]


def test_every_file_of_weights_is_listed_once():
    found = subprocess.run(["git", "ls-files"], cwd=FOLDER, capture_output=True, text=True).stdout
    weights = [file for file in found.split() if not file.endswith((".py", ".csv", SUMS))]
    assert sorted(listed()) == sorted(weights)
    assert all(file.startswith(NETS) for file in listed())


@pytest.mark.parametrize("net", NETS)
def test_as_shipped(net):
    assert any(file.startswith(net) for file in listed())
    assert damaged(net) is None


@pytest.mark.parametrize("file", listed())
def test_one_bit_is_seen(file, copied):
    change(copied / file)
    assert [net for net in NETS if damaged(net, copied)] == [
        net for net in NETS if file.startswith(net)
    ]


def test_what_is_missing_is_named(copied):
    (copied / "preview" / "saved_model.pb").unlink()
    assert damaged("preview/", copied) == copied / "preview" / "saved_model.pb"
    (copied / SUMS).unlink()
    assert damaged("vgg16", copied) == copied / SUMS


LOAD = """
import numpy as np
from nst_core.networks import extractor, people, stylizer
for load in (
    lambda: extractor.load_model(),
    lambda: stylizer.load_stylizer(None),
    lambda: people.find_faces(np.zeros([1, 64, 64, 3], np.float32)),
    lambda: people.find_people(np.zeros([1, 64, 64, 3], np.float32)),
):
    try:
        print("loaded", load())
    except ValueError as error:
        print(type(error).__name__, error)
"""


def test_changed_weights_are_not_loaded(copied):
    """By a package of which one bit of each net is turned over."""
    for file in ("vgg16_00003.weights.h5", *(f"{net}saved_model.pb" for net in NETS[1:])):
        change(copied / file)
    package = copied.parent / "nst_core"
    shutil.copytree(ROOT / "nst_core", package, ignore=shutil.ignore_patterns("weights"))
    copied.rename(package / "weights")
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=package.parent, capture_output=True, text=True
    )
    told = done.stdout.splitlines()
    errors = ("WeightsError", "PreviewError", "WeightsError", "WeightsError")
    files = ("vgg16_00003.weights.h5", *["saved_model.pb"] * 3)
    for line, error, file in zip(told, errors, files, strict=True):
        assert line.startswith(error)
        assert file in line
        assert "not the file that was shipped" in line
        assert "Restore nst_core/weights" in line
