"""What is explained, section by section, as data: a screen or a report shows it in its own way.

    for section in grow("content", "photo.jpg", "painting.jpg"):
        show(section)  # the last one is complete

To add a topic, enter it in `TOPICS`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nst_core.engine.easel import stream
from nst_core.engine.frame import Frame
from nst_core.explain import losses, maps
from nst_core.explain.losses import BLOCKS, blocks_up_to
from nst_core.explain.panels import PANELS, SIZE, Panel, Words, paint
from nst_core.pictures import images
from nst_core.pictures.images import ImageSource
from nst_core.sentence import Sentence
from nst_core.settings import Settings
from nst_core.stop import StopToken

MAPS = 6  # of each layer
COLUMNS = 4  # of other pictures side by side

# The run whose losses are shown: the paper's terms from its blank canvas.
EXPLAINED = Settings(
    style_loss="gram", size=SIZE, init="grey", steps=60, frame_interval=0.0, subject=False
)


class Figure(NamedTuple):
    """A picture, uint8 [H, W, 3], with what is said below it."""

    picture: np.ndarray
    caption: str


@dataclass(frozen=True)
class Grid:
    """Pictures side by side; `is_coarse` where each of their few pixels is to be seen."""

    figures: tuple[Figure, ...]
    columns: int
    is_coarse: bool = False


class Paragraph(NamedTuple):
    """A sentence of its own."""

    text: str


@dataclass(frozen=True)
class Network:
    """The layers of the network, to be drawn: (name, stride, channels) in their order."""

    layers: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Curves:
    """What each term of the loss weighs after each step, beside its equation."""

    terms: dict[str, list[float]]


@dataclass(frozen=True)
class Table:
    """Numbers in rows under a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Part = Grid | Paragraph | Network | Curves | Table


# Photo, painting, stop token -> what is to be seen, as it grows.
Parts = tuple[Part, ...]
Growing = Generator[Parts, None, None]
Grow = Callable[[ImageSource, ImageSource, StopToken], Growing]


@dataclass(frozen=True)
class Topic:
    """What there is to explain, and how it is made."""

    words: Words
    grow: Grow


class Section(NamedTuple):
    """What is said, and what is to be seen."""

    words: Words
    parts: Parts


def grow(
    name: str, photo: ImageSource, painting: ImageSource, stop: StopToken | None = None
) -> Generator[Section, None, None]:
    """A section as it grows, the last one complete unless it was told to stop.

    Args:
        name: one of `TOPICS`; another raises `KeyError`.
        photo, painting: as `images.load` takes them.
        stop: ends the work within a step.

    Raises `ImageError` for pictures that cannot be used.
    """
    topic = TOPICS[name]
    with contextlib.closing(topic.grow(photo, painting, stop or StopToken())) as growing:
        for parts in growing:
            yield Section(topic.words, parts)


# --- The network --------------------------------------------------------------------------------


def _network(photo: ImageSource, painting: ImageSource, stop: StopToken) -> Growing:
    shown = {"photo": _load(photo), "painting": _load(painting)}
    found = {name: maps.features(one, maps.NETWORK.names) for name, one in shown.items()}
    layers = tuple((one.name, one.stride, one.channels) for one in maps.NETWORK.layers)
    parts: list[Part] = [Network(layers)]
    for layer in (f"block{block}_conv2" for block in BLOCKS):
        if stop.is_set():
            return
        strongest = maps.strongest(found["photo"][layer], MAPS)
        figures = [Figure(one.image, _channel(one.channel)) for one in strongest]
        for name, picture in shown.items():
            size = picture.shape[1], picture.shape[2]
            place = maps.most_excited(found[name][layer], layer, strongest[0].channel, size)
            figures.append(Figure(place.box.of(images.to_uint8(picture)), _EXCITES[name]))
        parts += [_described(layer), Grid(tuple(figures), len(figures), is_coarse=True)]
        yield tuple(parts)


def _described(layer: str) -> Paragraph:
    described = maps.NETWORK[layer]
    return Paragraph(
        Sentence(
            "{layer}: {channels} channels, a position every {stride} px, each sees {field} x "
            "{field} px.",
            layer=layer,
            channels=described.channels,
            stride=described.stride,
            field=described.stride + 2 * described.halo,
        )
    )


def _channel(number: int) -> Sentence:
    return Sentence("channel {number}", number=number)


_EXCITES = {
    "photo": Sentence("excites the first most in the photo"),
    "painting": Sentence("and in the painting"),
}


# --- Panels -------------------------------------------------------------------------------------


def topic_of(panel: Panel) -> Topic:
    """What a panel explains: its pictures, as they grow together."""

    def grown(photo: ImageSource, painting: ImageSource, stop: StopToken) -> Growing:
        last: dict[int, Frame] = {}
        for moment in paint(panel, photo, painting, stop):
            last[moment.cell] = moment.frame
            if len(last) == len(panel.cells) and moment.cell == max(last):
                figures = tuple(
                    Figure(last[number].image, cell.label)
                    for number, cell in enumerate(panel.cells)
                )
                yield (Grid(figures, panel.columns),)

    return Topic(panel.words, grown)


# --- Losses -------------------------------------------------------------------------------------


def _losses(photo: ImageSource, painting: ImageSource, stop: StopToken) -> Growing:
    frames: list[Frame] = []
    for frame in stream(photo, painting, EXPLAINED, stop=stop):
        frames.append(frame)
        yield _falling(frames)
    if frames and frames[-1].done:
        table = _layer_table(frames[0].image, frames[-1].image, _load(photo), _load(painting))
        yield (*_falling(frames), table)


def _falling(frames: Sequence[Frame]) -> Parts:
    """The losses so far, and the picture."""
    last = frames[-1]
    curves = {
        term: [one.losses[term] for one in frames if term in one.losses] for term in losses.TERMS
    }
    figure = Figure(last.image, Sentence("step {step}", step=last.step))
    return Curves(curves), Grid((figure,), COLUMNS)


def _layer_table(
    first: np.ndarray, last: np.ndarray, photo: np.ndarray, painting: np.ndarray
) -> Table:
    layers = blocks_up_to(BLOCKS[-1])
    start, end = (
        losses.layer_losses(picture[np.newaxis].astype(np.float32) / 255, photo, painting, layers)
        for picture in (first, last)
    )
    return Table(
        (
            Sentence("layer"),
            Sentence("content, start"),
            Sentence("content, end"),
            Sentence("style, start"),
            Sentence("style, end"),
        ),
        tuple(
            (
                layer,
                *(
                    f"{part[layer]:.3g}"
                    for part in (start.content, end.content, start.style, end.style)
                ),
            )
            for layer in layers
        ),
    )


def _wishes(photo: ImageSource, painting: ImageSource, stop: StopToken) -> Growing:
    canvas = np.full_like(_load(photo), 0.5)
    figures, together = [], np.zeros_like(canvas[0])
    for term, gradient in losses.gradients(canvas, photo, painting, EXPLAINED):
        together += gradient
        figures.append(Figure(losses.wish(gradient), _WISHES[term]))
        yield (Grid(tuple(figures), COLUMNS),)
        if stop.is_set():
            return
    figures.append(Figure(losses.wish(together), Sentence("all together")))
    yield (Grid(tuple(figures), COLUMNS),)


_WISHES = {
    "content": Sentence("of the content term"),
    "style": Sentence("of the style term"),
    "tv": Sentence("of the smoothness"),
}


def _load(picture: ImageSource) -> np.ndarray:
    return images.load(picture, SIZE).rgb


TOPICS: dict[str, Topic] = {
    "network": Topic(
        Words(
            Sentence("What VGG-16 sees"),
            Sentence(
                "Each layer answers to the layer before it; every block sees a larger part of the"
                " picture, in fewer positions. Of one layer in each block the strongest channels "
                "are shown, white where the photo excites them. First they answer to edges and "
                "colours, then to textures, then to things."
            ),
            "Course paper, figures 7 to 10; Simonyan and Zisserman 2015; Zeiler and Fergus 2014",
        ),
        _network,
    ),
    "content": topic_of(PANELS["content"]),
    "style": topic_of(PANELS["style"]),
    "dials": topic_of(PANELS["dials"]),
    "losses": Topic(
        Words(
            Sentence("The losses as they fall"),
            Sentence(
                "A run by L-BFGS from a grey canvas: what each term of the loss weighs after each"
                " step; every line is a tenth of the one above. The table has each layer's part, "
                "unweighted, at the start and at the end."
            ),
            "Gatys et al. 2015, eq. 1 to 7",
        ),
        _losses,
    ),
    "gradients": Topic(
        Words(
            Sentence("Where the picture wants to change"),
            Sentence(
                "The gradient of each term at the grey canvas, as a picture: what a step adds to "
                "it, grey where nothing. The content term draws the photo's outlines, the style "
                "term the painting's strokes, and a step follows their sum."
            ),
            "Gatys et al. 2015, eq. 2 and 6",
        ),
        _wishes,
    ),
    "optimizers": topic_of(PANELS["optimizers"]),
}
