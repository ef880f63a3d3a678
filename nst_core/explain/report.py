"""One HTML file that explains a photo and a painting, for a course: no server, no other file.

write("photo.jpg", "painting.jpg", Path("report"))
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from nst_core.engine.easel import stream
from nst_core.engine.frame import Frame
from nst_core.explain import maps
from nst_core.explain.losses import (
    BLOCKS,
    EQUATIONS,
    blocks_up_to,
    gradients,
    layer_losses,
    wish,
)
from nst_core.explain.panels import PANELS, SIZE, Panel, paint
from nst_core.files import write_whole
from nst_core.pictures import images
from nst_core.pictures.images import ImageSource
from nst_core.settings import Settings
from nst_core.stop import StopToken

NAME = "index.html"
MAPS, PLACES_SIDE = 6, 96  # maps of each layer, and px that a place is shown in
EXPLAINED = Settings(
    style_loss="gram", size=SIZE, init="grey", steps=60, frame_interval=0.0, subject=False
)
CURVES = {"total": "#222", "content": "#1f77b4", "style": "#d62728", "tv": "#2ca02c"}

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Section:
    """A part of the report: HTML under a title, with at most three sentences and their source."""

    title: str
    text: str
    source: str
    body: str

    def to_html(self) -> str:
        return (
            f"<section><h2>{html.escape(self.title)}</h2><p>{html.escape(self.text)}</p>"
            f"{self.body}<p class=source>{html.escape(self.source)}</p></section>"
        )


def write(
    photo: ImageSource,
    painting: ImageSource,
    folder: Path,
    stop: StopToken | None = None,
    tell: Tell = lambda _title: None,
) -> Path | None:
    """Write the report into a folder, which is made where it is missing.

    Args:
        photo, painting: as `images.load` takes them.
        stop: ends the work within a step; nothing is written then.
        tell: is called with the title of each part before it is made.

    Returns the file, or None where it was stopped.
    Raises `ImageError` for pictures that cannot be used, `OSError` where nothing can be written.
    """
    stop = stop or StopToken()
    # Loaded before anything is made, so that a picture that cannot be used costs no time.
    shown = {"photo": _load(photo), "painting": _load(painting)}
    folder.mkdir(parents=True, exist_ok=True)
    sections = []
    for title, make in _makers(photo, painting, shown, stop):
        if stop.is_set():
            return None
        tell(title)
        sections.append(make())
    if stop.is_set():
        return None
    file = folder / NAME
    write_whole(_page(shown, sections).encode(), file)
    return file


def _load(picture: ImageSource) -> np.ndarray:
    return images.load(picture, SIZE).rgb


def _makers(
    photo: ImageSource, painting: ImageSource, shown: dict[str, np.ndarray], stop: StopToken
) -> Iterable[tuple[str, Callable[[], Section]]]:
    yield "What VGG-16 sees", lambda: _network(shown)
    for name in ("content", "style", "dials"):
        panel = PANELS[name]
        yield panel.title, lambda panel=panel: _panel(panel, photo, painting, stop)
    yield "The losses as they fall", lambda: _losses(photo, painting, shown, stop)
    yield "Where the picture wants to change", lambda: _wishes(photo, painting, shown)
    panel = PANELS["optimizers"]
    yield panel.title, lambda: _panel(panel, photo, painting, stop)


# --- The network --------------------------------------------------------------------------------


def _network(shown: dict[str, np.ndarray]) -> Section:
    rows = []
    found = maps.features(shown["photo"], maps.NETWORK.names)
    for layer in (f"block{block}_conv2" for block in BLOCKS):
        described = maps.NETWORK[layer]
        strongest = maps.strongest(found[layer], MAPS)
        pictures = [
            _figure(one.image, f"channel {one.channel}, {one.strength:.1f} x the mean")
            for one in strongest
        ]
        places = [
            _figure(place.box.of(images.to_uint8(shown[place.picture])), place.picture)
            for place in maps.most_excited(shown, layer, strongest[0].channel)
        ]
        field = described.stride + 2 * described.halo
        rows.append(
            f"<h3>{layer}</h3><p>{described.channels} channels, one position every "
            f"{described.stride} px, each sees {field} x {field} px.</p>"
            f"<div class=maps>{''.join(pictures)}</div>"
            f"<p>What excites channel {strongest[0].channel} most:</p>"
            f"<div class=places>{''.join(places)}</div>"
        )
    return Section(
        "What VGG-16 sees",
        "Each layer answers to the layer before it; every block sees a larger part of the picture "
        "in fewer positions. The strongest channels of one layer in each block are shown, white "
        "where they are excited: first edges and colours, then textures, then things.",
        "Course paper, figures 7 to 10; Simonyan and Zisserman 2015; Zeiler and Fergus 2014",
        _diagram() + "".join(rows),
    )


def _diagram() -> str:
    """The network as a row of boxes: as high as its layers' pictures, as wide as their channels."""
    boxes, left = [], 0.0
    for layer in maps.NETWORK.layers:
        height, width = 120 / layer.stride, 8 + layer.channels / 16
        left += 14 if layer.is_pooled else 4
        boxes.append(
            f"<rect x={left:.0f} y={70 - height / 2:.0f} width={width:.0f} height={height:.0f}>"
            f"<title>{layer.name}: {layer.channels} channels</title></rect>"
        )
        left += width
    return f"<svg class=net viewBox='0 0 {left + 4:.0f} 140'>{''.join(boxes)}</svg>"


# --- Panels -------------------------------------------------------------------------------------


def _panel(panel: Panel, photo: ImageSource, painting: ImageSource, stop: StopToken) -> Section:
    last: dict[int, Frame] = {}
    for moment in paint(panel, photo, painting, stop):
        last[moment.cell] = moment.frame
    figures = [
        _figure(last[number].image, cell.label)
        for number, cell in enumerate(panel.cells)
        if number in last
    ]
    body = f"<div class=grid style='--columns:{panel.columns}'>{''.join(figures)}</div>"
    return Section(panel.title, panel.text, panel.source, body)


# --- Losses -------------------------------------------------------------------------------------


def _losses(
    photo: ImageSource, painting: ImageSource, shown: dict[str, np.ndarray], stop: StopToken
) -> Section:
    frames = list(stream(photo, painting, EXPLAINED, stop=stop))
    curves = {
        name: [frame.losses[name] for frame in frames if name in frame.losses] for name in CURVES
    }
    equations = "".join(
        f"<p class=equation><i style='color:{CURVES[one.term]}'>{one.term}</i> {one.html} "
        f"<span class=source>({html.escape(one.source)})</span></p>"
        for one in EQUATIONS
    )
    table = _layer_table([frame.image for frame in frames], shown) if frames else ""
    return Section(
        "The losses as they fall",
        "A run from a grey canvas by L-BFGS: what each term of the loss weighs after each step, on "
        "a scale where every line is a tenth of the one above. The table has each layer's part, "
        "unweighted, at the start and at the end.",
        "Gatys et al. 2015; the terms are those of nst_core/losses",
        equations + _plot(curves) + table,
    )


def _plot(curves: dict[str, list[float]]) -> str:
    """Curves over steps as SVG; the losses on a logarithmic scale."""
    positive = [value for curve in curves.values() for value in curve if value > 0]
    if not positive:
        return ""
    top, bottom = np.log10(max(positive)), np.log10(max(min(positive), max(positive) * 1e-5))
    span = max(top - bottom, 1e-6)
    lines = []
    for decade in range(int(np.ceil(bottom)), int(np.floor(top)) + 1):
        y = 200 * (top - decade) / span
        lines.append(
            f"<line x1=0 x2=600 y1={y:.1f} y2={y:.1f} /><text x=2 y={y - 3:.1f}>1e{decade}"
        )
        lines.append("</text>")
    for name, curve in curves.items():
        points = " ".join(
            f"{600 * step / max(len(curve) - 1, 1):.1f},"
            f"{200 * (top - np.log10(max(value, 10**bottom))) / span:.1f}"
            for step, value in enumerate(curve)
        )
        lines.append(f"<polyline points='{points}' stroke='{CURVES[name]}' />")
    return f"<svg class=plot viewBox='-4 -4 608 208'>{''.join(lines)}</svg>"


def _layer_table(pictures: list[np.ndarray], shown: dict[str, np.ndarray]) -> str:
    layers = blocks_up_to(BLOCKS[-1])
    first, last = (
        layer_losses(
            picture[np.newaxis].astype(np.float32) / 255, shown["photo"], shown["painting"], layers
        )
        for picture in (pictures[0], pictures[-1])
    )
    rows = "".join(
        f"<tr><td>{layer}<td>{first.content[layer]:.3g}<td>{last.content[layer]:.3g}"
        f"<td>{first.style[layer]:.3g}<td>{last.style[layer]:.3g}"
        for layer in layers
    )
    head = "<tr><th>layer<th>content, start<th>end<th>style E<sub>l</sub>, start<th>end"
    return f"<table>{head}{rows}</table>"


def _wishes(photo: ImageSource, painting: ImageSource, shown: dict[str, np.ndarray]) -> Section:
    canvas = np.full_like(shown["photo"], 0.5)
    found = gradients(canvas, photo, painting, EXPLAINED)
    figures = [_figure(wish(gradient), term) for term, gradient in found.items()]
    figures.append(_figure(wish(np.sum(list(found.values()), axis=0)), "all together"))
    return Section(
        "Where the picture wants to change",
        "The gradient of each term at the grey canvas, as a picture: what a step adds to it, grey "
        "where nothing. The content term draws the photo's outlines, the style term the painting's "
        "strokes, and a step follows their sum.",
        "Gatys et al. 2015, eq. 2 and 6",
        f"<div class=grid style='--columns:{len(figures)}'>{''.join(figures)}</div>",
    )


# --- HTML ---------------------------------------------------------------------------------------


def _figure(picture: np.ndarray, caption: str) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    text = html.escape(caption)
    return (
        f"<figure><img alt='{text}' src='data:image/png;base64,{data}'>"
        f"<figcaption>{text}</figcaption></figure>"
    )


STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
.grid,.maps,.places{display:grid;gap:.5rem;grid-template-columns:repeat(var(--columns),1fr)}
.maps{--columns:6}.places{--columns:6}figure{margin:0}
img{width:100%;image-rendering:auto}.maps img,.places img{image-rendering:pixelated}
figcaption{font-size:.8rem;color:#555}.source{font-size:.85rem;color:#666}
.net{width:100%;max-height:9rem}.net rect{fill:#cfe0f2;stroke:#1f4e79}
.plot{width:100%;background:#fafafa}.plot polyline{fill:none;stroke-width:1.5}
.plot line{stroke:#ddd}.plot text{font-size:9px;fill:#777}
table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right}
td:first-child,th:first-child{text-align:left}tr{border-bottom:1px solid #ddd}
"""


def _page(shown: dict[str, np.ndarray], sections: Iterable[Section]) -> str:
    pictures = "".join(_figure(images.to_uint8(picture), name) for name, picture in shown.items())
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>Inside neural style transfer</title><style>{STYLE}</style>"
        "<h1>Inside neural style transfer</h1>"
        f"<div class=grid style='--columns:4'>{pictures}</div>"
        f"{''.join(section.to_html() for section in sections)}</html>"
    )
