"""One picture for each control, with the command that paints it.

    python -m benchmarks.sheet               docs/controls.md, and its pictures as far as they lack
    python -m benchmarks.sheet --again       all of them anew

The commands on the sheet are those that are run here, as they stand there.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from tqdm import tqdm

from benchmarks import report
from nst_core.cli import main as command_line
from nst_core.pictures import images

PAGE = report.ROOT / "docs" / "controls.md"
PICTURES = report.ROOT / "docs" / "controls"

PROGRAM = "python -m nst_core"
CASTLE, WAVE = "examples/content/castle.jpg", "examples/style/great-wave.jpg"
KANDINSKY = "examples/style/composition-viii.jpg"
SKY, CUTOUT, FACE = (f"docs/controls/{name}.png" for name in ("sky", "castle-cutout", "face"))
ASTRONAUT = "examples/content/astronaut.jpg"
SIZE, STEPS = 384, 100


@dataclass(frozen=True)
class Entry:
    """One picture of the sheet."""

    name: str  # of its file, without the ending
    title: str
    inputs: str
    flags: str
    looks: str  # what to see in it
    steps: int = STEPS

    @property
    def output(self) -> Path:
        is_transparent = CUTOUT in self.inputs
        return PICTURES / f"{self.name}.{'png' if is_transparent else 'jpg'}"

    @property
    def command(self) -> str:
        output = self.output.relative_to(report.ROOT)
        common = f"--size {SIZE} --steps {self.steps}"
        return f"{PROGRAM} {self.inputs} -o {output} {common} {self.flags}".rstrip()


SHEET = (
    Entry("plain", "One painting", f"{CASTLE} {WAVE}", "", "Strokes and colours are the wave's."),
    Entry(
        "mix",
        "Two paintings, two to one",
        f"{CASTLE} {WAVE} {KANDINSKY}",
        "--mix 2,1",
        "Curls and colours are still the wave's; sky and walls have more of Kandinsky's light "
        "paper.",
    ),
    Entry(
        "strokes-half",
        "Strokes of half the size",
        f"{CASTLE} {WAVE}",
        "--style-scale 0.5",
        "Finer curls in the forest and on the roof, and some in the sky.",
    ),
    Entry(
        "strokes-double",
        "Strokes of twice the size",
        f"{CASTLE} {WAVE}",
        "--style-scale 2",
        "Wider curls in the forest, roof and walls with fewer lines.",
    ),
    Entry(
        "luminance",
        "The photo's colours",
        f"{CASTLE} {WAVE}",
        "--color luminance",
        "The same strokes as light and dark, over the photo's blue and green. It needs no run "
        "of its own: on the page it can be chosen when the picture is done.",
    ),
    Entry(
        "linear",
        "The photo's palette",
        f"{CASTLE} {WAVE}",
        "--color linear",
        "The wave was painted blue and green first, with the mean and the spread of the "
        "photo's colours, so the strokes lie elsewhere, too.",
    ),
    Entry(
        "histogram",
        "The photo's histogram",
        f"{CASTLE} {WAVE}",
        "--color histogram",
        "As before, and each of red, green and blue is spread as in the photo: more contrast, "
        "and hues that only the photo's clouds and roofs have.",
    ),
    Entry(
        "sky",
        "One painting in the sky, another below",
        f"{CASTLE} {KANDINSKY} {WAVE}",
        f"--mask 1={SKY}",
        "Kandinsky's lines above, the wave's curls below, and a soft edge between them.",
    ),
    Entry(
        "keep",
        "The photo left untouched in a face",
        f"{ASTRONAUT} {KANDINSKY}",
        f"--keep {FACE}",
        "The head is the photo's, to the grey level; the rest is painted up to it.",
    ),
    Entry(
        "fine",
        "Classic: fine texture",
        f"{CASTLE} {KANDINSKY}",
        '--style-loss gram --style-layers "fine texture"',
        "Outlines and grain, few large forms.",
    ),
    Entry(
        "balanced",
        "Classic: balanced, its default",
        f"{CASTLE} {KANDINSKY}",
        "--style-loss gram",
        "Lines in the sky, facets in the forest.",
    ),
    Entry(
        "bold",
        "Classic: bold shapes",
        f"{CASTLE} {KANDINSKY}",
        '--style-loss gram --style-layers "bold shapes"',
        "More lines in the sky, a ring round the far tower, the forest in large facets.",
    ),
    Entry(
        "weak",
        "The weakest style",
        f"{CASTLE} {WAVE}",
        "--strength 0",
        "The photo, with a breath of the print.",
    ),
    Entry(
        "strength",
        "A stronger style",
        f"{CASTLE} {WAVE}",
        "--strength 0.9",
        "The forest becomes waves, which go over the roof, too; the castle is readable.",
    ),
    Entry(
        "strongest",
        "The strongest style",
        f"{CASTLE} {WAVE}",
        "--strength 1",
        "The print, with a memory of the photo: waves in place of the forest, over half of the "
        "castle.",
    ),
    Entry(
        "content-layer",
        "A deeper content layer",
        f"{CASTLE} {WAVE}",
        "--content-layer block5_conv2",
        "Nearly the same: with nearest features it is the edges that tie forms to their place.",
    ),
    Entry(
        "average",
        "Average pooling",
        f"{CASTLE} {WAVE}",
        "--pooling average",
        "More blue, and more of the wave's shapes in sky and fields; a fine hatching in plain "
        "places.",
    ),
    Entry(
        "smooth",
        "More total variation loss",
        f"{CASTLE} {WAVE}",
        "--tv-weight 1000",
        "The sky is a little smoother, the outlines stay.",
    ),
    Entry(
        "noise",
        "From noise",
        f"{CASTLE} {WAVE}",
        "--init noise",
        "The same castle after more than twice the steps: the losses know where everything is.",
        240,
    ),
    Entry(
        "alpha",
        "A transparent photo",
        f"{CUTOUT} {WAVE}",
        "",
        "The castle is painted, the rest is transparent as before; the pink that the file "
        "hides there is nowhere to be seen.",
    ),
)


# --- What the commands need ---------------------------------------------------------------------

# Around the castle, in the pixels of a photo that is 640 px wide.
CASTLE_OUTLINE = (
    *((140, 290), (140, 170), (160, 140), (190, 140), (190, 100), (203, 50), (216, 100)),
    *((216, 140), (235, 150), (244, 105), (253, 150), (325, 145), (340, 185), (340, 210)),
    *((365, 200), (370, 185), (378, 200), (425, 215), (418, 180), (437, 137), (455, 145)),
    *((458, 235), (430, 270), (405, 335), (330, 300)),
)
HORIZON = 0.45  # share of the height
FACE_CENTRE, FACE_RADII = np.array([0.44, 0.2]), np.array([0.16, 0.19])  # shares of the sides


def draw_masks() -> None:
    photo = Image.fromarray(images.to_uint8(images.load(report.ROOT / CASTLE, 640).rgb))
    sky_mask(photo).save(report.ROOT / SKY)
    cut_out(photo).save(report.ROOT / CUTOUT)
    face_mask().save(report.ROOT / FACE)


def sky_mask(photo: Image.Image) -> Image.Image:
    """White where the castle's photo is blue or cloudy, above the horizon."""
    red, _, blue = np.moveaxis(np.asarray(photo, int), -1, 0)
    is_sky = (blue > red) & (blue > 150)
    is_sky[round(HORIZON * photo.height) :] = False
    return Image.fromarray(is_sky).convert("L").filter(ImageFilter.MedianFilter(9))


def cut_out(photo: Image.Image) -> Image.Image:
    """The castle alone, the rest transparent, and pink behind that, which nothing may show."""
    alpha = Image.new("L", photo.size)
    ImageDraw.Draw(alpha).polygon(CASTLE_OUTLINE, fill=255)
    alone = Image.composite(photo, Image.new("RGB", photo.size, "#ff00ff"), alpha)
    alone.putalpha(alpha.filter(ImageFilter.MinFilter(3)))
    alone.thumbnail((384, 384), Image.Resampling.NEAREST)
    return alone


def face_mask() -> Image.Image:
    """White over the astronaut's head."""
    mask = Image.new("L", (256, 256))
    corners = [*(FACE_CENTRE - FACE_RADII), *(FACE_CENTRE + FACE_RADII)]
    ImageDraw.Draw(mask).ellipse([float(corner * 256) for corner in corners], fill=255)
    return mask


# --- The page -----------------------------------------------------------------------------------


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    draw_masks()
    for entry in tqdm(SHEET, unit="picture"):
        if "--again" in sys.argv or not entry.output.exists():
            arguments = shlex.split(entry.command.removeprefix(PROGRAM))
            command_line.main([*arguments, "--force"])
    lines = [
        "# Controls",
        "",
        "One picture for each, painted by the command that stands above it. "
        "Made by `python -m benchmarks.sheet`.",
    ]
    for entry in SHEET:
        lines += ["", f"## {entry.title}", "", entry.looks, "", f"    {entry.command}", ""]
        lines += [f"![{entry.title}](controls/{entry.output.name})"]
    PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
