"""What is explained, section by section, as data: a screen or a report shows it in its own way.

    for section in grow("content", "photo.jpg", "painting.jpg"):
        show(section)  # the last one is complete

To add a topic, enter it in `TOPICS`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np

from nst_core.engine.easel import stream
from nst_core.engine.frame import Frame
from nst_core.explain import losses, maps
from nst_core.explain.explore import SOURCE, channel_name, description
from nst_core.explain.losses import BLOCKS
from nst_core.explain.panels import PANELS, SIZE, Panel, paint
from nst_core.explain.parts import (
    Curves,
    Figure,
    Grid,
    Network,
    Originals,
    Paragraph,
    Part,
    Parts,
    Section,
    Steps,
    Table,
    Words,
)
from nst_core.losses import completed
from nst_core.losses.content import size_factor
from nst_core.pictures import images
from nst_core.pictures.images import ImageSource
from nst_core.pictures.pyramid import resize
from nst_core.sentence import Sentence
from nst_core.settings import Settings
from nst_core.stop import StopToken

MAPS = 6  # of each layer
COLUMNS = 4  # of other pictures side by side
WISHES = 5  # pictures of gradients: the canvas, three terms and their sum
BLUR = 4  # px

# The run whose losses are shown: the paper's terms from its blank canvas.
EXPLAINED = completed(
    Settings(style_loss="gram", size=SIZE, init="grey", steps=60, frame_interval=0.0, subject=False)
)


# Photo, painting, stop token -> what is to be seen, as it grows.
Growing = Generator[Parts, None, None]
Grow = Callable[[ImageSource, ImageSource, StopToken], Growing]


@dataclass(frozen=True)
class Topic:
    """What there is to explain, and how it is made."""

    words: Words
    grow: Grow


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


def originals(photo: ImageSource, painting: ImageSource) -> Originals:
    """What all of it is made from; raises `ImageError` for pictures that cannot be used."""
    return Originals(*(images.to_uint8(_load(picture)) for picture in (photo, painting)))


# --- The network --------------------------------------------------------------------------------


def _network(photo: ImageSource, painting: ImageSource, stop: StopToken) -> Growing:
    shown = {"photo": _load(photo), "painting": _load(painting)}
    found = {name: maps.features(one, maps.NETWORK.names) for name, one in shown.items()}
    parts: list[Part] = [Network(maps.NETWORK.layers)]
    for layer in (f"block{block}_conv2" for block in BLOCKS):
        if stop.is_set():
            return
        strongest = maps.strongest(found["photo"][layer], MAPS)
        figures = [Figure(one.image, channel_name(one.channel)) for one in strongest]
        for name, picture in shown.items():
            size = picture.shape[1], picture.shape[2]
            excited = found[name][layer], layer, strongest[0].channel, size
            place = maps.most_excited(*excited)[0]
            caption = _STRONGEST[name](strongest[0].channel)
            figures.append(Figure(place.box.of(images.to_uint8(picture)), caption))
        parts += [description(layer), Grid(tuple(figures), len(figures), is_coarse=True)]
        yield tuple(parts)


_STRONGEST: dict[str, Callable[[int], Sentence]] = {
    "photo": lambda channel: Sentence("channel {number} is strongest here", number=channel),
    "painting": lambda _: Sentence("and here in the painting"),
}


# --- Panels -------------------------------------------------------------------------------------


def topic_of(panel: Panel) -> Topic:
    """What a panel explains: its pictures, as they grow together."""

    def grown(photo: ImageSource, painting: ImageSource, stop: StopToken) -> Growing:
        pictures: dict[int, list[np.ndarray]] = {}
        for moment in paint(panel, photo, painting, stop):
            so_far = pictures.setdefault(moment.cell, [])
            so_far[:] = [*so_far, moment.frame.image] if panel.is_stepped else [moment.frame.image]
            if len(pictures) == len(panel.cells) and moment.cell == max(pictures):
                yield (_side_by_side(panel, pictures),)
        if panel.is_stepped and len(pictures) == len(panel.cells):
            yield (_step_by_step(panel, pictures),)

    return Topic(panel.words, grown)


def _side_by_side(panel: Panel, pictures: dict[int, list[np.ndarray]]) -> Grid:
    figures = tuple(
        Figure(pictures[number][-1], cell.label) for number, cell in enumerate(panel.cells)
    )
    return Grid(figures, panel.columns)


def _step_by_step(panel: Panel, pictures: dict[int, list[np.ndarray]]) -> Steps:
    runs = ((cell.label, tuple(pictures[number])) for number, cell in enumerate(panel.cells))
    return Steps(tuple(runs))


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
    return _weights(last.image), Curves(curves), Grid((figure,), COLUMNS)


def _weights(picture: np.ndarray) -> Paragraph:
    """What the parts of a picture's loss weigh, in the symbols of the equations."""
    usual = EXPLAINED.content_weight
    return Paragraph(
        Sentence(
            "In this run α is {alpha}, β {beta} and γ {gamma}. (α is {usual} at 512 x 512 px, and "
            "more in a smaller picture, as it has fewer places to add up.)",
            alpha=f"{usual * size_factor(math.prod(picture.shape[:2])):.2g}",
            beta=f"{EXPLAINED.style_weight:g}",
            gamma=f"{EXPLAINED.tv_weight:g}",
            usual=f"{usual:g}",
        )
    )


def _layer_table(
    first: np.ndarray, last: np.ndarray, photo: np.ndarray, painting: np.ndarray
) -> Table:
    """What is left of each loss that is compared, layer by layer."""
    content, styles = (EXPLAINED.content_layer,), tuple(dict(EXPLAINED.style_layers or ()))
    start, end = (
        losses.layer_losses(
            picture[np.newaxis].astype(np.float32) / 255, photo, painting, content, styles
        )
        for picture in (first, last)
    )
    terms = (
        (Sentence("content"), start.content, end.content),
        (Sentence("style"), start.style, end.style),
    )
    return Table(
        (
            Sentence("layer"),
            Sentence("compared for"),
            Sentence("start"),
            Sentence("end"),
            Sentence("left"),
        ),
        tuple(
            (layer, term, *_left(before, after[layer]))
            for term, begun, after in terms
            for layer, before in begun.items()
        ),
    )


def _left(before: float, after: float) -> tuple[str, str, str]:
    """A loss at the start and at the end, and what is left of it, as they are shown."""
    return f"{before:.3g}", f"{after:.3g}", in_percent(after / before) if before else ""


def in_percent(share: float) -> str:
    """A share as it is shown: a little is never nothing."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def _wishes(photo: ImageSource, painting: ImageSource, stop: StopToken) -> Growing:
    canvas = _blurred(_load(photo))
    together = np.zeros_like(canvas[0])
    figures = [Figure(images.to_uint8(canvas), Sentence("the photo, blurred"))]
    for term, gradient in losses.gradients(canvas, photo, painting, EXPLAINED):
        together += gradient
        figures.append(Figure(losses.wish(gradient), _WISHES[term]))
        yield (Grid(tuple(figures), WISHES),)
        if stop.is_set():
            return
    figures.append(Figure(losses.wish(together), Sentence("all together")))
    yield (Grid(tuple(figures), WISHES),)


def _blurred(picture: np.ndarray) -> np.ndarray:
    """A picture that lacks outlines and has soft ones: so each term has something to ask for."""
    height, width = picture.shape[1:3]
    return resize(resize(picture, height // BLUR, width // BLUR), height, width)


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
                "A channel is drawn white where it finds in the photo what it looks for. From "
                "block to block it looks at a larger part of the photo, on a coarser grid. The "
                "first look for edges and colours, the next for textures, the last for parts of "
                "things."
            ),
            SOURCE,
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
                "A loss says how far the picture, at first a grey canvas, is from what is asked "
                "for, and a run makes the weighted sum of all, the grey curve, as small as it can "
                "(each grid line is ten times the one below). A part may stay high, as content "
                "does, since the painting's marks are not in the photo, or even grow, as "
                "smoothness does, since the canvas had hardly any edges. The table has each layer "
                "that is compared, without its weight, and how much of its loss is left in the "
                "end."
            ),
            Sentence("Gatys et al. 2015, eq. 1 to 7"),
        ),
        _losses,
    ),
    "gradients": Topic(
        Words(
            Sentence("Where the picture wants to change"),
            Sentence(
                "The gradient of a loss says for every pixel how a change would lower it: beside "
                "the blurred photo what each part asks for there, lighter, darker or in another "
                "colour, and grey where nothing. Content asks in a grain all over the picture, as "
                "its deep layer tells only roughly where the lost outlines belong; style asks for "
                "the painting's colours and marks, most where the photo stands out from them and "
                "along the border, beyond which the network sees the picture mirrored; smoothness "
                "for weaker edges, however faint. A step goes the way that all ask for together, "
                "in which the strongest shows most."
            ),
            Sentence("Gatys et al. 2015, eq. 2 and 6"),
        ),
        _wishes,
    ),
    "optimizers": topic_of(PANELS["optimizers"]),
}
