"""What holds the project together: public names, the order of imports, files, the README."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nst_core

README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("nst_core", "page")
COMMAND_LINES = {"flags.py", "main.py", "batch.py", "video.py", "__main__.py", "explain.py"}


def test_public_names():
    assert nst_core.__all__ == [
        "ClipError",
        "DivergenceError",
        "Easel",
        "Engine",
        "Film",
        "FilmError",
        "FilmFrame",
        "Frame",
        "ImageError",
        "NSTError",
        "Origin",
        "Origins",
        "OutOfMemoryError",
        "Plan",
        "PreviewError",
        "Settings",
        "SettingsError",
        "StopToken",
        "Style",
        "WeightsError",
        "__version__",
        "origins",
        "stream",
        "stylize",
    ]
    assert all(hasattr(nst_core, name) for name in nst_core.__all__)


def test_imports_go_strictly_downward():
    done = subprocess.run(["lint-imports"], capture_output=True, text=True, cwd=ROOT, env=_path())
    assert done.returncode == 0, done.stdout


def test_every_module_has_its_layer():
    """A room or a file that the contracts do not name would be free to import anything."""
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    for contract in contracts:
        for container in contract.get("containers", []):
            folder = ROOT / container.replace(".", "/")
            modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
            rooms = {path.parent.name for path in folder.glob("*/__init__.py")}
            named = {
                name for layer in contract["layers"] for name in re.split(r"\s*[|:]\s*", layer)
            }
            assert modules | rooms == named, container


def test_no_private_name_is_taken_from_another_module():
    pattern = (
        r"^\s*from (?:nst_core|page|benchmarks)\S* import .*\b_[a-z]|\b(?!self\b)[a-z]\w*\._[a-z]"
    )
    allowed = r"(blocks|messages)\._queue|job\._id|easel\._|sys\._getframe|os\._exit"
    allowed += "|_replace|_asdict|_fields"
    for folder in (*PACKAGES, "benchmarks", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for line in path.read_text().splitlines():
                if re.search(pattern, line) and not re.search(allowed, line):
                    raise AssertionError(f"{path.relative_to(ROOT)}: {line.strip()}")


def test_the_engine_prints_nothing():
    for path in (ROOT / "nst_core").rglob("*.py"):
        if path.name not in COMMAND_LINES and "weights" not in path.parts:
            assert not re.search(r"\bprint\(", path.read_text()), path


def test_importing_the_engine_and_building_the_page_do_not_wait_for_tensorflow():
    code = "import sys, app; app.make_page(); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False", done


def test_no_file_is_too_large_for_a_space():
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert files
    assert [f.name for f in files if f.is_file() and f.stat().st_size > 10_000_000] == []


def test_requirements_and_project_agree():
    """A Space reads requirements.txt alone; the distribution reads pyproject.toml alone."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    assert _requirements("requirements.txt") == sorted(
        project["dependencies"] + extras["app"] + extras["video"]
    )
    assert _requirements("requirements-ray.txt") == extras["ray"]


def test_the_lock_has_a_version_and_checksums_of_all_that_is_required():
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", "")
    locked = {
        canonicalize_name(match[1]): match[2]
        for match in re.finditer(r"^(\S+)==(\S+)((?: +--hash=sha256:[0-9a-f]{64})+)$", text, re.M)
    }
    assert len(locked) == len(text.splitlines())
    for line in _requirements("requirements.txt"):
        requirement = Requirement(line)
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), line
    gradio = re.search(r"^sdk_version: ([\d.]+)$", README, re.MULTILINE)
    assert locked["gradio"] == gradio[1], "a Space installs Gradio by itself"


@pytest.mark.parametrize(
    ("stated", "is_allowed"),
    [
        ([{"license": {"id": "MIT"}}], True),
        ([{"expression": "MPL-2.0 AND (Apache-2.0 OR MIT)"}], True),
        ([{"license": {"name": "License :: OSI Approved :: BSD License"}}], True),
        ([{"license": {"id": "GPL-3.0-only"}}], False),
        ([{"expression": "MIT AND GPL-3.0-only"}], False),
        ([{"license": {"id": "MIT"}}, {"license": {"name": "Proprietary"}}], False),
        ([], False),
    ],
)
def test_licences_that_do_not_go_with_ours_are_named(stated, is_allowed, tmp_path):
    component = {"name": "thing", "version": "1.0", "licenses": stated}
    bill = tmp_path / "sbom.json"
    bill.write_text(json.dumps({"components": [component]}))
    command = [sys.executable, ROOT / ".ci" / "licences", bill]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode == 0) == is_allowed, done
    assert ("thing 1.0" in done.stdout) != is_allowed


def _requirements(file: str) -> list[str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    return sorted(line for line in lines if line and not line.startswith("-r"))


def test_the_readme_agrees_with_the_requirements():
    (requirement,) = (r for r in _requirements("requirements.txt") if r.startswith("gradio"))
    version = re.search(r"^sdk_version: ([\d.]+)$", README, re.MULTILINE)
    lowest, below = re.fullmatch(r"gradio>=([\d.]+),<(\d+)", requirement).groups()
    numbers = [int(part) for part in version[1].split(".")]
    assert [int(part) for part in lowest.split(".")] <= numbers < [int(below)]


def test_the_readmes_tree_names_every_module():
    tree = README[README.index("```\napp.py") :]
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "__init__.py" and "weights" not in path.parts:
                assert re.search(rf"\b{re.escape(path.name)}\b", tree), path


def test_the_readmes_paths_exist():
    for document in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / document).read_text()):
            assert (ROOT / target).exists(), target


def _path() -> dict[str, str]:
    """The environment, with this Python's own commands first."""
    import os
    from pathlib import Path

    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
