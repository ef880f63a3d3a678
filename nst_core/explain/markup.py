"""Sections as HTML that needs no other file: pictures inside of it, drawings as SVG."""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image

from nst_core.explain.losses import EQUATIONS
from nst_core.explain.parts import (
    Curves,
    Figure,
    Grid,
    Network,
    Originals,
    Paragraph,
    Part,
    Pointing,
    Section,
    Steps,
    Table,
)
from nst_core.networks.network import Layer
from nst_core.sentence import Sentence

COLOURS = {"total": "#666", "content": "#1f77b4", "style": "#d62728", "tv": "#2ca02c"}
DECADES = 5  # of a plot, at most

QUALITY = 90  # of JPEGs; PNG takes no notice of it

# Below the drawing of the network, and below the equations.
BARS = Sentence(
    "A bar for each layer: the taller, the finer its grid; the wider, the more channels."
)
SYMBOLS = Sentence(
    "F is what a layer l finds in the picture, channel by channel and place by place, P the same "
    "in the photo; G and A are the Gram matrices of picture and painting, a row i and a column j "
    "for each two channels, summed over the places k. N counts a layer's channels, M its places, "
    "and w says how much the layer weighs; x are the pixels, and α, β and γ weigh the parts."
)
# What stands at a picture that one points at, and at what is seen there; at a slider; and below the
# two pictures that all is made from.
POINTED = Sentence("Click a place"), Sentence("What one position sees there")
STEPPED = Sentence("Step by step (arrow keys):"), Sentence("step")
ORIGINALS = Sentence("The photo"), Sentence("The painting")
PLOTTED = Sentence("The losses after each step")

# A text -> what is said, in whichever language.
Say = Callable[[str], str]

STYLE = """
.explained .grid{display:grid;gap:.5rem;grid-template-columns:repeat(var(--columns),minmax(0,1fr))}
.explained figure{margin:0;min-width:0}
.explained .originals{display:flex;gap:.5rem;margin:.8rem 0}
.explained .originals img{height:8rem;max-width:100%;object-fit:contain;display:block;margin:0}
.explained .grid img{width:100%;display:block;margin:0}
.explained .coarse img{image-rendering:pixelated;aspect-ratio:1;object-fit:contain}
.explained figcaption,.explained .source{font-size:.85rem;opacity:.85}
.explained figcaption{hyphens:auto;overflow-wrap:anywhere;text-wrap:balance}
.explained .coarse button img{aspect-ratio:auto}
.explained button{display:block;width:100%;padding:0;border:0;background:none;cursor:pointer;
box-shadow:none}
.explained figure button{outline:2px solid #0000}
.explained button:hover,.explained button:focus-visible{outline:2px solid #1f77b4}
.explained figure button[aria-pressed=true]{outline:3px solid #e8a000}
.explained p{margin:.8rem 0 .3rem;max-width:85ch}
.explained :is(.plot,.pointing,table){margin:.8rem 0}
.explained .net{display:flex;gap:4px 16px;align-items:end;margin:.5rem 0}
.explained .block{text-align:center;font-size:.8rem}
.explained .layers{display:flex;gap:2px;height:100px;align-items:center}
.explained .layers>*{width:34px;height:100%;display:grid;place-items:center}
.explained .layers i{display:block;background:#cfe0f2;border:1px solid #1f4e79;min-height:6px}
.explained .layers [aria-pressed=true] i{background:#e8a000;border-color:#7a5400}
.explained .pointing{display:grid;gap:.5rem;grid-template-columns:2fr 1fr;
max-width:40rem}
.explained .pointing img{width:100%;display:block;margin:0;image-rendering:pixelated}
.explained .place{position:relative;cursor:crosshair;touch-action:pan-y}
.explained .place i{position:absolute;border:2px solid #e8a000;box-shadow:0 0 0 1px #000c;
min-width:6px;min-height:6px;box-sizing:border-box;pointer-events:none}
.explained .seen img{aspect-ratio:1;object-fit:contain}
.explained .steps label{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin:.5rem 0}
.explained .steps input{flex:1 1 12rem;accent-color:#e8a000}.explained output{min-width:2em}
.explained .window{overflow:hidden}
.explained .steps .window img{image-rendering:auto;
transform:translateY(calc(-100% * min(var(--step),var(--pictures) - 1) / var(--pictures)))}
.explained .plot{width:100%;max-width:44rem;display:block}
.explained .plot polyline{fill:none;stroke-width:1.5}
.explained .plot line{stroke:#8884}.explained .plot text{font-size:10px;fill:currentColor}
.explained table{border-collapse:collapse}
.explained :is(td,th){padding:.2rem .8rem;text-align:right;border:0;border-bottom:1px solid #8884}
.explained :is(td,th):first-child{text-align:left}
@media(max-width:600px){
.explained .grid{grid-template-columns:repeat(var(--narrow,var(--columns)),minmax(0,1fr))}
.explained table{font-size:.75rem}.explained :is(td,th){padding:.2rem .3rem}
.explained .net{gap:4px}.explained .layers>*{width:22px}.explained .layers{gap:1px}
.explained .plot{overflow:visible;margin-bottom:1rem}.explained .plot polyline{stroke-width:3}
.explained .plot text{font-size:21px}.explained .axis text{transform:translateY(6px)}
.explained .axis text:last-child{transform:translateY(17px)}}
"""


def section_html(section: Section, say: Say = str) -> str:
    """A section, with its texts in the language of `say`."""
    words, parts = section.words, "".join(_PARTS[type(one)](one, say) for one in section.parts)
    return (
        f"<section class=explained><h2>{_text(words.title, say)}</h2>"
        f"<p>{_text(words.text, say)}</p>{parts}"
        f"<p class=source>{_text(words.source, say)}</p></section>"
    )


def _text(text: str, say: Say) -> str:
    return html.escape(say(text))


def _grid(grid: Grid, say: Say) -> str:
    figures = "".join(_figure(figure, say) for figure in grid.figures)
    kind = "grid coarse" if grid.is_coarse else "grid"
    # On phones rows are cut into equal parts, so that what stands below each other still does.
    narrow = 4 if grid.columns % 4 == 0 else min(grid.columns, 3)
    columns = f"--columns:{grid.columns};--narrow:{narrow}"
    return f"<div class='{kind}' style='{columns}'>{figures}</div>"


def _originals(originals: Originals, say: Say) -> str:
    shown = zip((originals.photo, originals.painting), ORIGINALS, strict=True)
    figures = "".join(_figure(Figure(picture, caption), say) for picture, caption in shown)
    return f"<div class=originals>{figures}</div>"


def _figure(figure: Figure, say: Say) -> str:
    caption = html.escape(say(figure.caption), quote=True)
    inner = f"<img alt='{caption}' src='{_inside(figure.picture)}'>"
    if figure.choice:
        inner = _button(inner, figure.choice, figure.is_chosen)
    return f"<figure>{inner}<figcaption>{caption}</figcaption></figure>"


def _button(inner: str, choice: str, is_chosen: bool, label: str = "") -> str:
    """What is clicked to choose something, named by its inside if it has no label."""
    named = f" aria-label='{html.escape(label, quote=True)}' title='{label}'" if label else ""
    pressed = str(is_chosen).lower()
    choice = html.escape(choice, quote=True)
    return (
        f"<button type=button data-choice='{choice}' aria-pressed={pressed}{named}>{inner}</button>"
    )


def _inside(picture: np.ndarray, kind: str = "PNG") -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, quality=QUALITY)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _paragraph(paragraph: Paragraph, say: Say) -> str:
    return f"<p>{_text(paragraph.text, say)}</p>"


def _network(network: Network, say: Say) -> str:
    """A row of boxes: as high as a layer's pictures are, as wide as it has channels."""
    blocks = itertools.groupby(network.layers, lambda layer: layer.name.partition("_")[0])
    drawn = "".join(_block(name, layers, network) for name, layers in blocks)
    return f"<div class=net>{drawn}</div><p class=source>{_text(BARS, say)}</p>"


def _block(name: str, layers: Iterable[Layer], network: Network) -> str:
    boxes = "".join(_layer(one, network) for one in layers)
    return f"<div class=block><div class=layers>{boxes}</div><span>{name}</span></div>"


def _layer(layer: Layer, network: Network) -> str:
    box = f"<i style='width:{4 + layer.channels / 32:g}px;height:{96 / layer.stride:g}px'></i>"
    label = f"{layer.name} ({layer.channels})"
    if not network.chosen:
        return f"<span title='{label}'>{box}</span>"
    return _button(box, layer.name, layer.name == network.chosen, label)


def _pointing(pointing: Pointing, say: Say) -> str:
    """The picture with the middle position's field; on the page one points at others."""
    height, width = pointing.picture.shape[:2]
    row, column = (spans[len(spans) // 2] for spans in (pointing.rows, pointing.columns))
    box = (
        f"left:{100 * column.start / width:.2f}%;top:{100 * row.start / height:.2f}%;"
        f"width:{100 * (column.end - column.start) / width:.2f}%;"
        f"height:{100 * (row.end - row.start) / height:.2f}%"
    )
    seen = pointing.picture[row.start : row.end, column.start : column.end]
    data = "".join(
        f" data-{name}='{json.dumps(spans)}'"
        for name, spans in (("rows", pointing.rows), ("columns", pointing.columns))
    )
    photo, field = (html.escape(say(text), quote=True) for text in POINTED)
    return (
        f"<div class=pointing{data}><figure><div class=place tabindex=0 role=img "
        f"aria-label='{photo}'><img alt='' src='{_inside(pointing.picture)}'><i style='{box}'></i>"
        f"</div><figcaption>{photo}</figcaption></figure>"
        f"<figure class=seen><img alt='{field}' src='{_inside(seen)}'>"
        f"<figcaption>{field}</figcaption></figure></div>"
    )


def _steps(steps: Steps, say: Say) -> str:
    """Each run as one strip of pictures, which a slider moves behind a window."""
    last = max(len(pictures) for _, pictures in steps.runs) - 1
    runs = "".join(_run(say(label), pictures) for label, pictures in steps.runs)
    name, step = (_text(text, say) for text in STEPPED)
    moved = "this.closest('.steps').style.setProperty('--step',this.value);"
    moved += "this.nextElementSibling.value=this.value"
    return (
        f"<div class=steps style='--step:{last}'><label>{name} <input type=range min=0 max={last} "
        f'value={last} oninput="{moved}"> {step} <output>{last}</output></label>'
        f"<div class=grid style='--columns:{len(steps.runs)}'>{runs}</div></div>"
    )


def _run(label: str, pictures: tuple[np.ndarray, ...]) -> str:
    height, width = pictures[0].shape[:2]
    caption, strip = html.escape(label, quote=True), np.concatenate(pictures)
    return (
        f"<figure><div class=window style='--pictures:{len(pictures)};"
        f"aspect-ratio:{width}/{height}'><img alt='{caption}' src='{_inside(strip, 'JPEG')}'></div>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _curves(curves: Curves, say: Say) -> str:
    equations = "".join(
        f"<p><span style='color:{COLOURS[one.term]}' aria-hidden=true>&#9632;</span> "
        f"<i>{_text(one.label, say)}</i>: {one.html} "
        f"<span class=source>({_text(one.source, say)})</span></p>"
        for one in EQUATIONS
    )
    return f"{equations}<p class=source>{_text(SYMBOLS, say)}</p>" + _plot(curves.terms, say)


def _plot(terms: dict[str, list[float]], say: Say) -> str:
    """Losses over steps, on a logarithmic scale."""
    positive = [value for curve in terms.values() for value in curve if value > 0]
    if not positive:
        return ""
    top = np.log10(max(positive))
    bottom = np.ceil(max(np.log10(min(positive)), top - DECADES)) - 1  # the grid line below all
    span = top - bottom

    def height(logarithm: float) -> float:
        return float(200 * (top - max(logarithm, bottom)) / span)

    lines = []
    for decade in range(int(bottom), int(np.floor(top)) + 1):
        y = height(decade)
        lines.append(f"<line x1='0' x2='600' y1='{y:.1f}' y2='{y:.1f}'/>")
        lines.append(f"<text x='-4' y='{y + 3:.1f}' text-anchor='end'>1e{decade}</text>")
    for term, curve in terms.items():
        points = " ".join(
            f"{600 * step / max(len(curve) - 1, 1):.1f},{height(np.log10(max(value, 1e-30))):.1f}"
            for step, value in enumerate(curve)
        )
        lines.append(f"<polyline points='{points}' stroke='{COLOURS[term]}'/>")
    lines.append(_axis(max(map(len, terms.values())) - 1, say))
    described = html.escape(say(PLOTTED), quote=True)
    return (
        f"<svg class=plot role=img aria-label='{described}' viewBox='-32 -8 640 240'>"
        f"{''.join(lines)}</svg>"
    )


def _axis(last: int, say: Say) -> str:
    """The steps below a plot, from 0 to the last one."""
    every = max(5 * round(last / 30), 1)
    numbers = [
        f"<text x='{600 * step / max(last, 1):.1f}' y='214' text-anchor='middle'>{step}</text>"
        for step in range(0, last + 1, every)
    ]
    label = f"<text x='300' y='229' text-anchor='middle'>{_text(STEPPED[1], say)}</text>"
    line = "<line x1='0' x2='600' y1='200' y2='200'/>"
    return f"<g class=axis>{line}{''.join(numbers)}{label}</g>"


def _table(table: Table, say: Say) -> str:
    head = "".join(f"<th>{_text(cell, say)}" for cell in table.head)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_text(cell, say)}" for cell in row) for row in table.rows
    )
    return f"<table><tr>{head}{rows}</table>"


_PARTS: dict[type[Part], Callable[..., str]] = {
    Originals: _originals,
    Grid: _grid,
    Paragraph: _paragraph,
    Network: _network,
    Pointing: _pointing,
    Steps: _steps,
    Curves: _curves,
    Table: _table,
}
