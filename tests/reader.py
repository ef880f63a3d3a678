"""Read pictures in a process of its own, and tell what each of them cost.

    python tests/reader.py SIZE < paths

A line of JSON is written before each picture and one after it, so that a crash or a hang is known
by its file.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Reading:
    """How one file was taken."""

    name: str
    outcome: str  # "picture", the name of the exception, or "crash"
    message: str
    seconds: float
    peak: float  # bytes that were held at most, besides what the process had before


def read_all(paths: Iterable[Path], timeout: float, size: int = 512) -> Iterator[Reading]:
    """Read files as the page does at `size` pixels; the process ends after `timeout` seconds."""
    command = [sys.executable, __file__, str(size)]
    listed = "\n".join(map(str, paths))
    try:
        done = subprocess.run(
            command, input=listed, capture_output=True, text=True, cwd=ROOT, timeout=timeout
        )
        output, complaint = done.stdout, done.stderr[-300:]
    except subprocess.TimeoutExpired as late:
        output, complaint = (late.stdout or b"").decode(), f"not done after {timeout} s"
    begun = None
    for line in output.splitlines():
        found = json.loads(line)
        if isinstance(found, str):
            begun = found
        else:
            begun = None
            yield Reading(**found)
    if begun is not None:
        yield Reading(begun, "crash", complaint, float("inf"), float("inf"))


def _status(key: str) -> int:
    """A line of this process's memory, in bytes."""
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{key}:")[1].split()[0]) * 1024


def _read(path: Path, size: int) -> dict[str, object]:
    from nst_core.pictures import images

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = _status("VmRSS"), time.perf_counter()
    outcome, message = "picture", ""
    try:
        picture = images.load(path, size)
        assert max(picture.size) <= size
        del picture
    except Exception as error:
        outcome, message = type(error).__name__, str(error)
    seconds = time.perf_counter() - began
    peak = _status("VmHWM") - before
    return {
        "name": path.name,
        "outcome": outcome,
        "message": message,
        "seconds": seconds,
        "peak": peak,
    }


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from nst_core.pictures import images  # not on the first picture's account

    del images
    for line in sys.stdin.read().splitlines():
        print(json.dumps(Path(line).name), flush=True)
        print(json.dumps(_read(Path(line), int(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
