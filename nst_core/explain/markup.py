"""Sections as HTML that needs no other file: pictures inside of it, drawings as SVG."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from nst_core.explain.losses import EQUATIONS
from nst_core.explain.sections import (
    Curves,
    Figure,
    Grid,
    Network,
    Paragraph,
    Part,
    Section,
    Table,
)

COLOURS = {"total": "#666", "content": "#1f77b4", "style": "#d62728", "tv": "#2ca02c"}
DECADES = 5  # of a plot, at most

# A text -> what is said, in whichever language.
Say = Callable[[str], str]

STYLE = """
.explained .grid{display:grid;gap:.5rem;grid-template-columns:repeat(var(--columns),minmax(0,1fr))}
.explained figure{margin:0}.explained .grid img{width:100%;display:block}
.explained .coarse img{image-rendering:pixelated;aspect-ratio:1;object-fit:contain}
.explained figcaption,.explained .source{font-size:.85rem;opacity:.75}
.explained .net{width:100%;max-height:9rem}.explained .net rect{fill:#cfe0f2;stroke:#1f4e79}
.explained .plot{width:100%;max-width:44rem;display:block}
.explained .plot polyline{fill:none;stroke-width:1.5}
.explained .plot line{stroke:#8884}.explained .plot text{font-size:10px;fill:currentColor}
.explained table{border-collapse:collapse}
.explained :is(td,th){padding:.2rem .8rem;text-align:right;border-bottom:1px solid #8884}
.explained :is(td,th):first-child{text-align:left}
@media(max-width:600px){.explained .grid{grid-template-columns:repeat(min(var(--columns),3),1fr)}}
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
    return f"<div class='{kind}' style='--columns:{grid.columns}'>{figures}</div>"


def _figure(figure: Figure, say: Say) -> str:
    caption = html.escape(say(figure.caption), quote=True)
    return (
        f"<figure><img alt='{caption}' src='{_inside(figure.picture)}'>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _inside(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _paragraph(paragraph: Paragraph, say: Say) -> str:
    return f"<p>{_text(paragraph.text, say)}</p>"


def _network(network: Network, say: Say) -> str:
    """A row of boxes: as high as a layer's pictures are, as wide as it has channels."""
    boxes, left, stride = [], 0.0, 1
    for name, its_stride, channels in network.layers:
        height, width = 120 / its_stride, 8 + channels / 16
        left += 4 if its_stride == stride else 14
        boxes.append(
            f"<rect x='{left:.0f}' y='{70 - height / 2:.0f}' width='{width:.0f}' "
            f"height='{height:.0f}'><title>{name} ({channels})</title></rect>"
        )
        left, stride = left + width, its_stride
    return f"<svg class=net role=img viewBox='0 0 {left + 4:.0f} 140'>{''.join(boxes)}</svg>"


def _curves(curves: Curves, say: Say) -> str:
    equations = "".join(
        f"<p><i style='color:{COLOURS[one.term]}'>{one.term}</i>: {one.html} "
        f"<span class=source>({html.escape(one.source)})</span></p>"
        for one in EQUATIONS
    )
    return equations + _plot(curves.terms)


def _plot(terms: dict[str, list[float]]) -> str:
    """Losses over steps, on a logarithmic scale."""
    positive = [value for curve in terms.values() for value in curve if value > 0]
    if not positive:
        return ""
    top = np.log10(max(positive))
    bottom = max(np.log10(min(positive)), top - DECADES)
    span = max(top - bottom, 1e-6)

    def height(logarithm: float) -> float:
        return float(200 * (top - max(logarithm, bottom)) / span)

    lines = []
    for decade in range(int(np.ceil(bottom)), int(np.floor(top)) + 1):
        y = height(decade)
        lines.append(f"<line x1='0' x2='600' y1='{y:.1f}' y2='{y:.1f}'/>")
        lines.append(f"<text x='2' y='{y - 3:.1f}'>1e{decade}</text>")
    for term, curve in terms.items():
        points = " ".join(
            f"{600 * step / max(len(curve) - 1, 1):.1f},{height(np.log10(max(value, 1e-30))):.1f}"
            for step, value in enumerate(curve)
        )
        lines.append(f"<polyline points='{points}' stroke='{COLOURS[term]}'/>")
    return f"<svg class=plot role=img viewBox='-4 -4 608 208'>{''.join(lines)}</svg>"


def _table(table: Table, say: Say) -> str:
    head = "".join(f"<th>{_text(cell, say)}" for cell in table.head)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_text(cell, say)}" for cell in row) for row in table.rows
    )
    return f"<table><tr>{head}{rows}</table>"


_PARTS: dict[type[Part], Callable[..., str]] = {
    Grid: _grid,
    Paragraph: _paragraph,
    Network: _network,
    Curves: _curves,
    Table: _table,
}
