"""Fuzzing that learns, of all that reads what strangers send.

    python tests/fuzz.py SECONDS [FOLDER] [TARGET ...]

Each target gets so many seconds, and begins with good and with hostile examples. Atheris (libFuzzer
for Python) mutates them, and keeps in FOLDER what reaches new lines, so that the next time goes on
from there. Anything but an error in words, more than 2 s, or more than 600 MB ends the target; what
did it is in FOLDER as well, and the exit code is 1.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlencode

sys.path.insert(0, str(Path(__file__).parents[1]))

SECONDS, MEGABYTES = 2, 600  # what one input may cost
LONGEST = 20_000  # bytes of an input
FRAMES = 4  # of a clip that are decoded

Seeds = Iterator[bytes]


# --- What is read -------------------------------------------------------------------------------


def read_picture(path: Path) -> None:
    from nst_core.pictures import images

    images.load(path, 64)


def read_mask(path: Path) -> None:
    from nst_core.pictures import images

    images.load_mask(path, (48, 32))


def read_recipe(path: Path) -> None:
    """A PNG, or the recipe's text alone, which a checksum would keep from being mutated."""
    from nst_core import recipe

    data = path.read_bytes()
    is_png = data.startswith(b"\x89PNG")
    made = recipe.read(path) if is_png else recipe.Recipe.from_json(data.decode("latin-1"))
    made.styles([data] * len(made.style))
    assert recipe.Recipe.from_json(made.to_json()) == made


def read_table(path: Path) -> None:
    from nst_core import Settings
    from nst_core.many import batch

    batch.from_table(path, path.parent, Settings())


def read_link(path: Path) -> None:
    from page import share

    asked = dict(parse_qsl(path.read_bytes().decode("latin-1")))
    share.arrive(None, SimpleNamespace(query_params=asked))


def read_clip(path: Path) -> None:
    from nst_core.films import clip

    found = clip.probe(path)
    for _ in islice(found.frames(found.size_at(64)), FRAMES):
        pass


# --- What it begins with ------------------------------------------------------------------------


def pictures() -> Seeds:
    import corpus
    import mutate

    yield from (data for _, data in mutate.seeds())
    for part in (corpus.misnamed, corpus.polyglots, corpus.declared, corpus.metadata):
        yield from (data for _, data in part())


def recipes() -> Seeds:
    import corpus
    import numpy as np

    from nst_core import Settings, Style, recipe
    from nst_core.pictures import images

    scene = np.asarray(corpus.scene(48, 32))
    half = np.zeros([16, 16], np.uint8)
    half[:8] = 255
    for settings in (Settings(), Settings(size=64, steps=2, time_budget=9.0)):
        made = recipe.make(scene, [Style(scene, mask=half), Style(scene)], settings, half)
        yield made.to_json().encode()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "made.png"
            images.save(corpus.scene(48, 32), path, {recipe.KEY: made.to_json()})
            yield path.read_bytes()


def tables() -> Seeds:
    yield b"content,style\na.jpg,b.jpg\n"
    yield b'content,style,mix,output,quality,size\na.jpg,"b.jpg; c.jpg","2,1",one.png,quick,96\n'
    yield b"\xef\xbb\xbfcontent,style,color,style_layers\na.mp4,b.jpg,luminance,block1_conv1=1\n"
    yield b"content,style\na.jpg,b.jpg\na.jpg,b.jpg\n,\na.jpg\n"


def links() -> Seeds:
    from page import choice, controls

    pair = {"content": "castle", "style": "great-wave", "style_2": "ejiri", "weight_2": "0.5"}
    yield urlencode(pair).encode()
    shown = dict(
        zip(controls.NAMES, map(str, controls.show(choice.Choice().settings)), strict=True)
    )
    yield urlencode(pair | shown).encode()


def films() -> Seeds:
    import av
    import clips
    import corpus
    import numpy as np

    photo = np.asarray(corpus.scene(96, 64))
    frames = clips.moving(photo, 4, (48, 32))
    kinds = (("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.mov", "mjpeg"))
    with tempfile.TemporaryDirectory() as folder:
        for name, codec in kinds:
            pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            with contextlib.suppress(av.FFmpegError):
                path = clips.write(Path(folder) / name, frames, codec=codec, pixels=pixels)
                yield path.read_bytes()


@dataclass(frozen=True)
class Target:
    """Something that reads, and whose lines the fuzzer is to reach."""

    read: Callable[[Path], None]
    seeds: Callable[[], Seeds]
    modules: tuple[str, ...]


TARGETS = {
    "picture": Target(read_picture, pictures, ("nst_core.pictures.images",)),
    "mask": Target(read_mask, pictures, ("nst_core.pictures.images",)),
    "recipe": Target(read_recipe, recipes, ("nst_core.recipe", "nst_core.settings")),
    "table": Target(read_table, tables, ("nst_core.many.batch", "nst_core.settings", "csv")),
    "link": Target(read_link, links, ("page.share", "page.controls", "page.regions")),
    "film": Target(read_clip, films, ("nst_core.films.clip",)),
}


# --- One target, in a process of its own --------------------------------------------------------


def seeded(name: str, folder: Path) -> Path:
    """The folder of what a target begins with, as far as it is not there yet."""
    own = folder / name
    if not own.exists():
        begun = list(TARGETS[name].seeds())
        own.mkdir(parents=True)
        for number, data in enumerate(begun):
            if len(data) <= LONGEST:
                (own / f"seed-{number}").write_bytes(data)
    return own


def fuzz(name: str, seconds: int, folder: Path) -> None:
    """Does not return: libFuzzer ends the process."""
    import atheris
    import psutil

    target = TARGETS[name]
    with atheris.instrument_imports(include=list(target.modules)):
        for module in target.modules:
            importlib.import_module(module)
    from nst_core import NSTError

    own = seeded(name, folder)
    path = Path(tempfile.mkdtemp()) / "input"
    os.environ["GRADIO_TEMP_DIR"] = str(path.parent)

    def try_one(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(NSTError):
            target.read(path)

    for seed in own.glob("seed-*"):  # what is loaded once, is not on an input's account
        try_one(seed.read_bytes())
    before = psutil.Process().memory_info().rss // 2**20
    options = {
        "max_total_time": seconds,
        "timeout": SECONDS,
        "rss_limit_mb": before + MEGABYTES,
        "max_len": LONGEST,
        "artifact_prefix": f"{folder}/{name}-",
        "print_final_stats": 1,
        "verbosity": 0,
    }
    flags = [f"-{key}={value}" for key, value in options.items()]
    atheris.Setup([sys.argv[0], *flags, str(own)], try_one)
    atheris.Fuzz()


def main() -> int:
    seconds, *more = sys.argv[1:]
    folder = Path(more[0] if more else tempfile.mkdtemp())
    failed = []
    for name in more[1:] or TARGETS:
        command = [sys.executable, __file__, "--one", name, seconds, str(folder)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        figures = [line for line in done.stderr.splitlines() if "number_of_executed" in line]
        print(f"{name}: {''.join(figures).split(' ')[-1] or 'no'} inputs, code {done.returncode}")
        if done.returncode:
            failed.append(name)
            print(done.stderr[-4000:])
    return bool(failed)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        fuzz(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    sys.exit(main())
