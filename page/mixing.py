"""Several paintings and regions: their fields on the page, and what is drawn on the photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_core import ImageError, Style
from nst_core.engine import device
from nst_core.networks.people import find_people
from nst_core.pictures import images
from nst_core.pictures.regions import MAX_PAINTINGS
from nst_core.recipe import Recipe, unpack
from page import studio

NUMBERS = range(1, MAX_PAINTINGS + 1)
STYLES = ("style", *(f"style_{number}" for number in NUMBERS[1:]))
PICTURES = ("content", *STYLES)
WEIGHTS = tuple(f"weight_{number}" for number in NUMBERS)
MASKS = (*(f"mask_{number}" for number in NUMBERS), "keep")

# The fields besides photo and first painting, in the order of their components, with what they
# begin with and what they are.
MORE: dict[str, tuple[Any, str]] = {
    **{name: (None, f"painting {name[-1]}, mixed with the others") for name in STYLES[1:]},
    **{name: (1.0, f"how much painting {name[-1]} counts beside the others") for name in WEIGHTS},
    **{
        name: (None, f"a picture that is white where painting {name[-1]} applies")
        for name in MASKS[:-1]
    },
    "keep": (None, "a picture that is white where the photo stays as it is"),
}
NOTHING = [default for default, _ in MORE.values()]

# What the brush paints with for each of `MASKS`; Okabe and Ito's colours, which nobody confuses.
BRUSHES = ("#e69f00", "#0072b2", "#f0e442", "#009e73", "#cc79a7")
OPACITY = 0.7
MIN_PEOPLE = 0.01  # of a photo, for people to be in it
BOARD = 640  # px, long side of the photo that is drawn on


def read(style: str, more: Sequence[Any]) -> tuple[list[Style], str | None]:
    """The paintings and what to keep, from the values of `MORE`; later ones may be left out."""
    given = dict(zip(MORE, [*more, *NOTHING[len(more) :]], strict=True))
    paintings = [style, *(given[name] for name in STYLES[1:])]
    styles = []
    for number, painting in zip(NUMBERS, paintings, strict=True):
        weight, mask = given[f"weight_{number}"], given[f"mask_{number}"]
        if painting is None and mask is not None:
            raise ImageError(
                f"There is a region for painting {number}, but no painting {number}. "
                "Choose one under “More paintings and regions”, or take the region away."
            )
        if painting is not None:
            styles.append(Style(painting, weight, mask, f"painting {number}"))
    studio.check_there(*(given[name] for name in (*STYLES[1:], *MASKS)))
    return styles, given["keep"]


def show(recipe: Recipe, paintings: Sequence[str | None]) -> list[Any]:
    """The values of `MORE` for a recipe; `paintings` are its files as far as they are known.

    Raises `SettingsError` when a mask in it is damaged.
    """
    empty = [None] * (MAX_PAINTINGS - len(paintings))
    masks = [unpack(source.mask) for source in recipe.style]
    maximum = max(1.0, *(source.weight for source in recipe.style))  # only their ratio counts
    return [
        *paintings[1:],
        *empty,
        *(source.weight / maximum for source in recipe.style),
        *(1.0 for _ in empty),
        *map(_saved, MASKS, [*masks, *empty, unpack(recipe.keep)]),
    ]


def people(content: str) -> str | None:
    """The file of a mask of the people in a photo; None where there are none.

    Raises `ImageError` for a photo that cannot be read.
    """
    photo = studio.load(content, BOARD)
    with device.LOCK:  # between two steps of a run, not beside them
        mask = images.to_uint8(find_people(photo.rgb))[..., 0]
    return _saved("keep", mask if mask.mean() > MIN_PEOPLE * 255 else None)


# --- Drawing ------------------------------------------------------------------------------------


def board(content: str) -> np.ndarray:
    """The photo to draw on, uint8 [H, W, 3]."""
    return images.to_uint8(studio.load(content, BOARD).rgb)


def drawn(layer: str) -> list[str | None]:
    """The files of the masks that are drawn on a layer, in the order of `MASKS`; None for none."""
    picture = studio.load(layer, BOARD)
    covered = np.full(picture.rgb.shape[1:3], 255) if picture.alpha is None else picture.alpha
    alpha = covered / np.float32(255)
    share = np.maximum(alpha, 1e-3)[..., np.newaxis]
    colours = (picture.rgb[0] - (1 - share)) / share  # as they were before they lay on white
    brushes = np.array([[int(b[i : i + 2], 16) / 255 for i in (1, 3, 5)] for b in BRUSHES])
    nearest = np.linalg.norm(colours[:, :, np.newaxis] - brushes, axis=-1).argmin(axis=-1)
    is_drawn = alpha > OPACITY / 2
    masks = [
        (is_drawn & (nearest == number)).astype(np.uint8) * np.uint8(255)
        for number in range(len(BRUSHES))
    ]
    return [
        _saved(name, mask if mask.any() else None) for name, mask in zip(MASKS, masks, strict=True)
    ]


def _saved(name: str, mask: np.ndarray | None) -> str | None:
    """The file of a mask, uint8 [H, W]."""
    return None if mask is None else studio.save_image(Image.fromarray(mask), name)


def still_there(value: Any) -> Any:
    """A value of a field, or None when it names a file that was cleaned away since."""
    return None if isinstance(value, str) and not Path(value).exists() else value
