"""The patches in CONTRIBUTING.md: applied to a copy of the package, each of them paints."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

from conftest import ROOT, example

PAINT = """
import sys
from nst_core import Settings, stylize
from nst_core.pictures import images

photo, painting, folder = sys.argv[1:]
chosen = {"optimizer": "momentum"}, {"style_loss": "mean"}, {"color": "grey"}, {"init": "blurred"}
for changes in chosen:
    start = {"init": "content"} | changes
    frame = stylize(photo, painting, Settings(size=64, steps=2, precision="float32", **start))
    (name,) = changes
    images.save(frame.to_pil(), f"{folder}/{name}.png")
"""


def patches() -> list[str]:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return re.findall(r"^```diff\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_each_patch_is_one_file_and_one_entry_in_a_table():
    assert len(patches()) == 4
    for patch in patches():
        (new,) = re.findall(r"^new file mode", patch, re.MULTILINE)
        assert new
        old = patch[patch.rindex("diff --git") :]
        added = re.findall(r"^\+(?!\+)(.*)", old, re.MULTILINE)
        assert len(added) == 2  # the import and the entry
        assert not re.findall(r"^-(?!--)", old, re.MULTILINE)


def test_the_patches_apply_and_paint(tmp_path):
    shutil.copytree(
        ROOT / "nst_core",
        tmp_path / "nst_core",
        ignore=shutil.ignore_patterns("weights", "__pycache__"),
    )
    (tmp_path / "nst_core/weights").symlink_to(ROOT / "nst_core/weights")
    for patch in patches():
        apply = ["git", "apply", "--unsafe-paths", f"--directory={tmp_path}", "-"]
        subprocess.run(apply, input=patch, text=True, check=True, cwd=tmp_path)
    files = [example("content/castle"), example("style/great-wave"), tmp_path]
    done = subprocess.run(
        [sys.executable, "-c", PAINT, *map(str, files)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    painted = {path.stem: path.read_bytes() for path in tmp_path.glob("*.png")}
    assert set(painted) == {"optimizer", "style_loss", "color", "init"}
    assert len(set(painted.values())) == 4
