"""Panels: small runs side by side, each with the few settings that show one thing.

    for moment in paint(PANELS["content"], "photo.jpg", "painting.jpg"):
        show(moment.cell, moment.frame.image)

All pictures of a panel grow together. To add a panel, enter it in `PANELS`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from nst_core.engine.easel import stream
from nst_core.engine.frame import Frame
from nst_core.explain.losses import BLOCKS, blocks_up_to
from nst_core.explain.parts import Words
from nst_core.pictures import images
from nst_core.pictures.images import ImageSource
from nst_core.sentence import Sentence
from nst_core.settings import Settings
from nst_core.stop import StopToken

SIZE = 128  # px, the long side of the pictures

# Photo and painting -> what a run gets as its content. A texture has the painting's shape, and
# nothing of any photo.
MakeContent = Callable[[ImageSource, ImageSource], Any]


def the_photo(photo: ImageSource, painting: ImageSource) -> ImageSource:
    """The photo itself."""
    return photo


def noise(photo: ImageSource, painting: ImageSource) -> Image.Image:
    """White noise of the painting's shape."""
    height, width = images.load(painting, SIZE).rgb.shape[1:3]
    pixels = np.random.default_rng(0).integers(0, 256, [height, width, 3], dtype=np.uint8)
    return Image.fromarray(pixels)


@dataclass(frozen=True)
class Cell:
    """One picture of a panel: what it is called, and the run that paints it."""

    label: str
    settings: Settings
    content: MakeContent = the_photo


@dataclass(frozen=True)
class Panel:
    """Pictures that show one thing side by side."""

    words: Words
    cells: tuple[Cell, ...]
    columns: int
    is_stepped: bool = False  # afterwards one goes through all of its steps


class Moment(NamedTuple):
    """A picture of a panel that has changed."""

    cell: int  # number in `Panel.cells`
    frame: Frame


def paint(
    panel: Panel, photo: ImageSource, painting: ImageSource, stop: StopToken | None = None
) -> Iterator[Moment]:
    """Paint all pictures of a panel in turns, a step of each in a round.

    Args:
        photo, painting: as `images.load` takes them.
        stop: ends the work within a step.

    Raises `ImageError` at the first `next()` for pictures that cannot be used, and what `stream`
    raises.
    """
    running: dict[int, Generator[Frame, None, None]] = {
        number: stream(cell.content(photo, painting), painting, cell.settings, stop=stop)
        for number, cell in enumerate(panel.cells)
    }
    while running:
        for number, frames in list(running.items()):
            frame = next(frames, None)
            if frame is None:
                del running[number]
            else:
                yield Moment(number, frame)


# --- The table ----------------------------------------------------------------------------------

# Nothing but what a panel says counts, and every step is shown.
_BARE = Settings(
    style_loss="gram",
    size=SIZE,
    init="noise",
    content_weight=0.0,
    style_weight=0.0,
    tv_weight=0.0,
    subject=False,
    frame_interval=0.0,
)


def _rebuilt(block: int) -> Cell:
    """A photo from one layer. Near the pixels steps are cheap, and an exact picture takes many."""
    layer, steps = f"block{block}_conv2", 120 if block <= 2 else 60
    # In float32, as features are to be met within a few percent.
    exact = replace(_BARE, precision="float32", content_layer=layer, content_weight=1.0)
    return Cell(layer, replace(exact, steps=steps))


# What makes the layers' E_l about equally strict: in the paper's equal weights the first block of
# five is still 15 % off after 100 steps, since E_l grows with the features, 100 000-fold to block3.
EVEN = dict(zip(blocks_up_to(5), (1.0, 2.4e-4, 6.6e-5, 4.8e-4, 0.9), strict=True))

# Steps of textures by Gram matrices, by the number of blocks. Up to three blocks statistics are met
# within 5 % after them. With more it would take many hundred, and more than the ten seconds that
# the panel may take.
GRAM_STEPS = dict(zip(BLOCKS, (30, 40, 90, 70, 70), strict=True))
NEAREST_STEPS = 20


def _texture(loss: str, last: int, steps: int, **rest: Any) -> Cell:
    names = blocks_up_to(last)
    weights = EVEN if loss == "gram" else dict.fromkeys(names, 1.0)
    layers = tuple((name, weights[name]) for name in names)
    settings = replace(
        _BARE, style_loss=loss, style_weight=1.0, style_layers=layers, steps=steps, **rest
    )
    return Cell(
        Sentence("{loss}, {blocks}", loss=_LOSSES[loss], blocks=_blocks(last)), settings, noise
    )


_LOSSES = {"gram": Sentence("Gram matrices"), "nearest": Sentence("matched features")}
_NO_PHOTO = {"edge_weight": 0.0, "gram_weight": 0.0}  # what stands beside matched features


def _dial(alpha: float, last: int) -> Cell:
    layers = tuple((name, EVEN[name]) for name in blocks_up_to(last))
    settings = replace(
        _BARE,
        init="content",
        content_weight=alpha,
        style_weight=1e4,  # against EVEN's small weights: so the photo wins at an alpha of about 1
        style_layers=layers,
        size=96,
        steps=20,
    )
    label = Sentence("alpha {alpha}, {blocks}", alpha=f"{alpha:g}", blocks=_blocks(last))
    return Cell(label, settings)


def _blocks(last: int) -> Sentence:
    return Sentence("block 1") if last == 1 else Sentence("blocks 1 to {last}", last=last)


def _optimized(name: str, label: Sentence) -> Cell:
    settings = replace(
        _BARE, optimizer=name, content_weight=1e-3, style_weight=1.0, init="grey", steps=40
    )
    return Cell(label, settings)


PANELS: dict[str, Panel] = {
    "content": Panel(
        Words(
            Sentence("Content: the photo rebuilt from one layer alone"),
            Sentence(
                "Each picture began as noise and was changed until one layer found the same in it "
                "as in the photo. Early layers lose almost nothing, though some grain of the noise "
                "stays; deep ones, further on, know what is where better than exact colours and "
                "edges, and of block5 no more than rough shapes come back. So content is "
                "compared in block4: it keeps the things and leaves room for the painting."
            ),
            Sentence("Gatys et al. 2015, figure 1, lower row"),
        ),
        tuple(map(_rebuilt, BLOCKS)),
        len(BLOCKS),
    ),
    "style": Panel(
        Words(
            Sentence("Style: the painting's texture, from more and more layers"),
            Sentence(
                "Each picture began as noise and was changed until its Gram matrices came near to "
                "the painting's: tables of how strongly any two channels find something at the "
                "same place, say blue and a curved line. Where that was is not in them, so the "
                "painting's marks come without its things; but deep layers see much of so small "
                "a picture at once, so that larger pieces come too, some even to their old side. "
                "For matched features, further down, each place was instead made like that place "
                "of the painting which is most similar to it."
            ),
            Sentence("Gatys et al. 2015, figure 1, upper row; Kolkin et al. 2022"),
        ),
        (
            *(_texture("gram", last, steps) for last, steps in GRAM_STEPS.items()),
            *(_texture("nearest", last, NEAREST_STEPS, **_NO_PHOTO) for last in BLOCKS[:-1]),
        ),
        len(BLOCKS),
    ),
    "dials": Panel(
        Words(
            Sentence("The two dials: how much of the photo, and which layers"),
            Sentence(
                "Each picture began as the photo. From left to right alpha (α in the equations), "
                "the weight of the photo, grows, and somewhere on the way, sooner for some pairs "
                "than for others, the painting gives way to the photo. From top to bottom more "
                "layers are compared with the painting: block 1 alone brings little but its "
                "colours, and its marks come with more blocks."
            ),
            Sentence("Gatys et al. 2015, figure 3"),
        ),
        tuple(_dial(alpha, last) for last in (1, 3, 5) for alpha in (0.01, 0.05, 0.2, 1)),
        4,
    ),
    "optimizers": Panel(
        Words(
            Sentence("Step by step: three ways down"),
            Sentence(
                "All three begin with the same grey canvas, and each step changes every pixel a "
                "little, as the gradient says, so that the loss goes down. Gradient descent, as "
                "in the course paper, does so at one fixed rate; Adam gives each pixel a rate of "
                "its own. L-BFGS learns from its last steps how far and which way to go, and "
                "needs the fewest."
            ),
            Sentence(
                "B. Caruntu, Neural Style Transfer (the course paper); Kingma and Ba 2015; "
                "Liu and Nocedal 1989"
            ),
        ),
        (
            _optimized("gradient_descent", Sentence("Gradient descent")),
            _optimized("adam", Sentence("Adam")),
            _optimized("lbfgs", Sentence("L-BFGS")),
        ),
        3,
        is_stepped=True,
    ),
}
