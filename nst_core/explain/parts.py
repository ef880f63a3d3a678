"""What a section is made of, as data: a screen or a report shows each part in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nst_core.explain.maps import Span
from nst_core.networks.network import Layer
from nst_core.sentence import Sentence


@dataclass(frozen=True)
class Words:
    """What there is to be seen, in at most three sentences, and where that is from."""

    title: Sentence
    text: Sentence
    source: Sentence


class Figure(NamedTuple):
    """A picture, uint8 [H, W, 3], with what is said below it."""

    picture: np.ndarray
    caption: str
    choice: str = ""  # what a click on it chooses; empty where nothing
    is_chosen: bool = False


@dataclass(frozen=True)
class Originals:
    """The photo and the painting that all others are made from, uint8 [H, W, 3] each."""

    photo: np.ndarray
    painting: np.ndarray


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
    """The network, to be drawn layer by layer."""

    layers: tuple[Layer, ...]
    chosen: str = ""  # of several to choose from by a click; empty where there is no choice


@dataclass(frozen=True)
class Pointing:
    """A picture in which one points at a place, to see what a layer's position there sees."""

    picture: np.ndarray  # uint8 [H, W, 3]
    rows: tuple[Span, ...]  # of the layer's positions
    columns: tuple[Span, ...]


@dataclass(frozen=True)
class Steps:
    """Runs side by side, to be gone through step by step."""

    runs: tuple[tuple[str, tuple[np.ndarray, ...]], ...]  # label; picture after each step, uint8


@dataclass(frozen=True)
class Curves:
    """What each term of the loss weighs after each step, beside its equation."""

    terms: dict[str, list[float]]


@dataclass(frozen=True)
class Table:
    """Numbers in rows under a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Part = Originals | Grid | Paragraph | Network | Pointing | Steps | Curves | Table

Parts = tuple[Part, ...]


class Section(NamedTuple):
    """What is said, and what is to be seen."""

    words: Words
    parts: Parts
