"""What holds the project together: public names, the order of imports, files, the README."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
from conftest import ROOT

import nst_core

FLOORS = {
    "nst_core.settings": 0,
    "nst_core.images": 0,
    "nst_core.features": 0,
    "nst_core.losses": 0,
    "nst_core.memory": 0,
    "nst_core.color": 0,
    "nst_core.film": 1,
    "nst_core.regions": 1,
    "nst_core.recipe": 2,
    "nst_core.presets": 1,
    "nst_core.preview": 0,
    "nst_core.schedule": 0,
    "nst_core.pyramid": -1,
    "nst_core.lazy": -2,
    "nst_core.device": 1,
    "nst_core.step": 1,
    "nst_core.tiles": 2,
    "nst_core.job": 3,
    "nst_core.transfer": 4,
    "nst_core.flags": 5,
    "nst_core.batch": 5,
    "nst_core.cluster": 6,
    "nst_core.batch_command": 7,
    "nst_core.__main__": 8,
    "page.journal": 0,
    "page.turns": 0,
    "page.words": 5,
    "page.components": 5,
    "page.examples": 5,
    "page.studio": 5,
    "page.mixing": 6,
    "page.controls": 7,
    "page.actions": 8,
    "page.serving": 9,
    "app": 10,
}
PACKAGES = ("nst_core", "page")


def test_public_names():
    assert nst_core.__all__ == [
        "DivergenceError",
        "Easel",
        "Frame",
        "ImageError",
        "PreviewError",
        "Settings",
        "SettingsError",
        "Style",
        "WeightsError",
        "stream",
        "stylize",
    ]
    assert all(hasattr(nst_core, name) for name in nst_core.__all__)


def imports_of(path) -> set[str]:
    """Modules of this project that a file imports, without the package itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {name for name in names if name in FLOORS}
    return found


@pytest.mark.parametrize("name", FLOORS)
def test_imports_go_strictly_downward(name):
    for imported in imports_of((ROOT / name.replace(".", "/")).with_suffix(".py")):
        assert FLOORS[imported] < FLOORS[name], f"{name} imports {imported}"


def test_every_module_has_its_floor():
    for package in PACKAGES:
        modules = {f"{package}.{path.stem}" for path in (ROOT / package).glob("*.py")}
        known = {name for name in FLOORS if name.startswith(package)}
        assert modules == known | {f"{package}.__init__"}


def test_the_engine_knows_no_screen_and_prints_nothing():
    for path in (ROOT / "nst_core").glob("*.py"):
        text = path.read_text()
        assert "gradio" not in text.lower(), path
        if path.stem not in ("__main__", "batch_command"):
            assert not re.search(r"\bprint\(", text), path


def test_importing_the_engine_and_building_the_page_do_not_wait_for_tensorflow():
    code = "import sys, app; app.make_page(); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False", done


def test_no_file_is_too_large_for_a_space():
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert files
    assert [f.name for f in files if f.is_file() and f.stat().st_size > 10_000_000] == []


def test_the_readme_agrees_with_the_requirements():
    readme = (ROOT / "README.md").read_text()
    requirements = (ROOT / "requirements.txt").read_text()
    version = re.search(r"^sdk_version: ([\d.]+)$", readme, re.MULTILINE)
    lowest, below = re.search(r"^gradio>=([\d.]+),<(\d+)$", requirements, re.MULTILINE).groups()
    numbers = [int(part) for part in version[1].split(".")]
    assert [int(part) for part in lowest.split(".")] <= numbers < [int(below)]


def test_the_readmes_tree_names_every_module():
    readme = (ROOT / "README.md").read_text()
    for name in FLOORS:
        assert re.search(rf"^ *{name.split('.')[-1]}\.py ", readme, re.MULTILINE), name


def test_the_readmes_paths_exist():
    readme = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\((?!http)([^)]+)\)", readme):
        assert (ROOT / target).exists(), target
