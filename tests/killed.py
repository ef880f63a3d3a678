"""Kill -9 at random moments: a film, a batch and a run of the page, ended and gone on with.

    python tests/killed.py COUNT [SEED]

A line of JSON for each kill: what was killed at which of its operations on files, and what was
wrong then, which is nothing. By operations and not by the clock, as it is between two of them that
something could be half-written; and a number of them is the same moment everywhere. With the fake
engine, in forks of one process.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import clips
import corpus
import numpy as np
import pytest
from fake_engine import Steps, install
from PIL import Image
from visits import CASTLE, WAVE, values_of

from nst_core import Film, FilmError, Settings
from nst_core.films.folder import is_whole
from nst_core.many import batch
from page import paint

TOUCHING = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"}  # events of Python's audit
CHEAP = Settings(style_loss="gram", size=96, steps=4, subject=False)


def paint_film(folder: Path) -> None:
    clip, output = folder.parent / "clip.mp4", folder / "out.mp4"
    try:
        film = Film(clip, WAVE, output, CHEAP, "quick")
    except FilmError:
        if not is_whole(output):  # one that was killed when all was done is refused: it is there
            raise
    else:
        deque(film.paint(), maxlen=0)


def paint_batch(folder: Path) -> None:
    tasks = batch.from_table(folder.parent / "jobs.csv", folder, CHEAP)
    deque(batch.run(tasks, batch.paint_here, batch.is_painted), maxlen=0)


def paint_on_the_page(folder: Path) -> None:
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    deque(paint.paint(None, CASTLE, WAVE, *values_of(size=64, steps=6, frame_interval=0)), maxlen=0)


WORKS: dict[str, Callable[[Path], None]] = {
    "film": paint_film,
    "batch": paint_batch,
    "page": paint_on_the_page,
}


def prepare(folder: Path) -> None:
    """The clip and the table that are painted from."""
    photo = np.asarray(corpus.scene(160, 96))
    clips.write(folder / "clip.mp4", clips.moving(photo, 20, (96, 64)), sound="aac")
    rows = "".join(f"{CASTLE},{WAVE},{name}.png\n" for name in "abc")
    (folder / "jobs.csv").write_text(f"content,style,output\n{rows}")


def forked(work: Callable[[], None]) -> int:
    """The status of a process that did this."""
    child = os.fork()
    if not child:
        try:
            install(pytest.MonkeyPatch(), Steps())
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def touches(folder: Path, act: Callable[[int], None]) -> None:
    """Call `act` with the number of each operation on a file in a folder, before it is done."""
    count = 0

    def see(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in TOUCHING and str(arguments[0]).startswith(str(folder)):
            count += 1
            act(count)

    sys.addaudithook(see)


def counted(name: str, folder: Path) -> int:
    """How many operations on files a whole work takes; its files are left in the folder."""
    told = folder.with_suffix(".count")

    def work() -> None:
        seen: list[int] = []
        touches(folder, seen.append)
        WORKS[name](folder)
        told.write_text(str(len(seen)))

    folder.mkdir()
    assert forked(work) == 0
    return int(told.read_text())


def killed(name: str, folder: Path, moment: int) -> int:
    def die(number: int) -> None:
        if number == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        touches(folder, die)
        WORKS[name](folder)

    folder.mkdir()
    return forked(work)


def half_written(folder: Path) -> list[str]:
    """Pictures and notes that somebody could take for whole ones."""
    broken = []
    for path in folder.rglob("[!.]*"):
        try:
            if path.suffix in {".png", ".jpg"}:
                with Image.open(path) as image:
                    image.load()
            elif path.suffix == ".json":
                json.loads(path.read_text())
        except (OSError, ValueError):
            broken.append(path.name)
    return broken


def outcome(folder: Path) -> dict[str, bytes]:
    """What is there at the end: whole films byte by byte, of pictures the pixels, and leftovers.

    Of a page the folders' names tell the token, which is random.
    """
    found = {}
    for path in filter(Path.is_file, folder.rglob("*")):
        if path.suffix == ".png":
            with Image.open(path) as image:
                found[path.name] = image.tobytes()
        elif path.suffix == ".mp4":
            found[path.name] = path.read_bytes()
    return found


def main(count: int, seed: int) -> int:
    chance, wrong = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        prepare(home)
        wholes = {}
        for name in WORKS:
            whole = home / f"{name}-whole"
            wholes[name] = counted(name, whole), outcome(whole)
        for number in range(count):
            name = list(WORKS)[number % len(WORKS)]
            folder, (most, expected) = home / f"{name}-{number}", wholes[name]
            moment = chance.randint(1, most)
            code = killed(name, folder, moment)
            told = {"work": name, "moment": moment, "of": most, "killed": code == -signal.SIGKILL}
            told["half_written"] = half_written(folder)
            told["goes_on"] = forked(lambda: WORKS[name](folder)) == 0  # noqa: B023
            told["is_same"] = outcome(folder) == expected
            print(json.dumps(told), flush=True)
            good = told["killed"] and told["goes_on"] and told["is_same"]
            wrong += not good or bool(told["half_written"])
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
