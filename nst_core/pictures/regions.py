"""Which painting applies where: weights, masks, and what is left as in the photo.

After Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer" (2017, arXiv
1611.07865), section "Spatial Control". A region's mask is float32 [1, H, W, 1] in [0, 1]; at every
visible pixel the masks of all regions and of what is kept add up to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nst_core.errors import ImageError, SettingsError
from nst_core.pictures import images
from nst_core.pictures.images import ImageSource, Picture
from nst_core.sentence import Sentence

MAX_PAINTINGS = 4

# A mask with no value above this is empty; a black JPEG is not quite black.
MIN_SHARE = 0.05


@dataclass(frozen=True)
class Style:
    """A painting, how much it counts beside others, and where."""

    image: ImageSource
    weight: float = 1.0  # relative to the other paintings of its region
    mask: ImageSource | None = None  # white where it applies; None: wherever no mask is
    name: str = ""  # what errors call it; empty: its number, like "painting 2"


StyleSource = ImageSource | Style | Sequence[tuple[ImageSource, float] | Style]


@dataclass(frozen=True)
class Region:
    """A part of the picture, and the paintings that are mixed there."""

    paintings: tuple[tuple[Picture, float], ...]  # with weights that sum to 1
    mask: np.ndarray | None = None  # None: it is the only one, and applies everywhere
    numbers: tuple[int, ...] = (0,)  # which of all the paintings that count these are


@dataclass(frozen=True)
class Layout:
    """All regions of a picture, and what stays as in the photo."""

    regions: tuple[Region, ...]
    kept: np.ndarray | None = None  # the mask of what stays, or None for nothing
    subject: np.ndarray | None = None  # a mask of whom the photo shows, or None for nobody

    @property
    def paintings(self) -> list[Picture]:
        """The paintings of all regions."""
        return [painting for region in self.regions for painting, _ in region.paintings]

    @property
    def nbytes(self) -> int:
        """Bytes of the paintings and masks."""
        masks = [*(region.mask for region in self.regions), self.kept, self.subject]
        paintings = sum(painting.nbytes for painting in self.paintings)
        return paintings + sum(mask.nbytes for mask in masks if mask is not None)

    @property
    def has_masks(self) -> bool:
        """Whether anything is masked: False for one style everywhere."""
        return self.regions[0].mask is not None

    @property
    def painted(self) -> np.ndarray | None:
        """A mask of what is painted: all regions together, [1, H, W, 1]; None for everything."""
        masks = [region.mask for region in self.regions if region.mask is not None]
        return np.sum(masks, axis=0) if masks else None

    def mapped(self, change: Callable[[Picture], Picture]) -> Layout:
        """The same layout with every painting changed."""

        def changed(region: Region) -> Region:
            paintings = tuple((change(painting), share) for painting, share in region.paintings)
            return replace(region, paintings=paintings)

        return replace(self, regions=tuple(map(changed, self.regions)))


def everywhere(painting: Picture) -> Layout:
    """One painting, nothing masked."""
    return Layout((Region(((painting, 1.0),)),))


def as_styles(style: StyleSource) -> tuple[Style, ...]:
    """The paintings that count, from whatever `stream` takes as style.

    Raises `SettingsError` when there are none or too many, or their weights make no sense.
    """
    items: Any = style if isinstance(style, (list, tuple)) else [_as_style(style)]
    try:
        styles = [item if isinstance(item, Style) else Style(*item) for item in items]
        weights = np.array([style.weight for style in styles], np.float64)
        is_sound = bool(np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0)
    except (TypeError, ValueError):
        is_sound = False
    if not is_sound or len(styles) > MAX_PAINTINGS:
        raise SettingsError(
            "style must be a painting, or a list of 1 to {most} (painting, weight) pairs or "
            "`Style`s, with weights of 0 or more that do not sum to 0.",
            most=MAX_PAINTINGS,
        )
    named = [
        replace(style, name=style.name or Sentence("painting {number}", number=number))
        for number, style in enumerate(styles, start=1)
    ]
    return tuple(style for style in named if style.weight > 0)


def _as_style(style: Any) -> Style:
    return style if isinstance(style, Style) else Style(style)


def lay_out(
    styles: Sequence[Style],
    pictures: Sequence[Picture],
    photo: Picture,
    keep: ImageSource | None,
    feather: float,
) -> Layout:
    """Give every painting its region.

    A painting with a mask applies where its mask is white; where masks overlap, by weight. Those
    without a mask are mixed wherever no mask is; if all have one, that is left as in the photo, and
    so is in any case what `keep` marks. Where the photo is transparent, nothing counts.

    Args:
        styles: the paintings; `pictures` are they, loaded.
        photo: the photo at the picture's size; masks are stretched to it.
        keep: a mask of what stays as in the photo, or None.
        feather: how soft edges become, the blur's sigma in percent of the long side. What is kept
            is blurred outwards only.

    Raises:
        ImageError: a mask cannot be read or is empty, or nothing is left for a painting.
    """
    masked = [number for number, style in enumerate(styles) if style.mask is not None]
    unmasked = [number for number, style in enumerate(styles) if style.mask is None]
    if not masked and keep is None and photo.alpha is None:
        return Layout((Region(_mixed(styles, pictures, unmasked), numbers=tuple(unmasked)),))

    sigma = feather / 100 * max(photo.size)
    masks = {
        number: _load_mask(
            styles[number].mask, Sentence("mask of {name}", name=styles[number].name), photo
        )
        for number in masked
    }
    kept = _kept(keep, masks.values(), photo, sigma, is_rest_kept=not unmasked)
    groups, shares = _shares(styles, masks, unmasked, photo, sigma)
    visible = 1.0 if photo.alpha is None else photo.alpha / np.float32(255)
    shares = [share * (1 - kept) * visible for share in shares]
    for group, share in zip(groups, shares, strict=True):
        if share.max() <= MIN_SHARE:
            raise ImageError(
                "Nothing of the picture is left for {name}: the other masks, what is kept and the "
                "photo's transparency cover everything. Give it some room, or leave it out.",
                name=styles[group[0]].name,
            )
    regions = tuple(
        Region(_mixed(styles, pictures, group), _as_mask(share), tuple(group))
        for group, share in zip(groups, shares, strict=True)
    )
    return Layout(regions, _as_mask(kept) if kept.any() else None)


def _kept(
    keep: ImageSource | None,
    masks: Iterable[np.ndarray],
    photo: Picture,
    sigma: float,
    *,
    is_rest_kept: bool,
) -> np.ndarray:
    """The mask of what stays as in the photo, [H, W]: what `keep` marks, and maybe the rest."""
    nothing = np.zeros(photo.rgb.shape[1:3], np.float32)
    kept = nothing if keep is None else _load_mask(keep, Sentence("mask of what is kept"), photo)
    if is_rest_kept:
        kept = np.maximum(kept, 1 - _union(masks, nothing))
    return _widened(kept, sigma)


def _shares(
    styles: Sequence[Style],
    masks: Mapping[int, np.ndarray],
    unmasked: list[int],
    photo: Picture,
    sigma: float,
) -> tuple[list[list[int]], list[np.ndarray]]:
    """Groups of paintings by number, and how much of each pixel is theirs, [H, W]."""
    nothing = np.zeros(photo.rgb.shape[1:3], np.float32)
    soft = {number: _softened(mask, sigma) for number, mask in masks.items()}
    covered = _union(soft.values(), nothing) if unmasked else np.ones_like(nothing)
    weighted = {number: styles[number].weight * mask for number, mask in soft.items()}
    total = np.maximum(sum(weighted.values(), nothing), 1e-6)
    groups = [[number] for number in masks]
    shares: list[np.ndarray] = [covered * weighted[number] / total for number in masks]
    if unmasked:
        groups.append(unmasked)
        shares.append(1 - covered)
    return groups, shares


def _mixed(
    styles: Sequence[Style], pictures: Sequence[Picture], numbers: Sequence[int]
) -> tuple[tuple[Picture, float], ...]:
    total = sum(styles[number].weight for number in numbers)
    return tuple((pictures[number], styles[number].weight / total) for number in numbers)


def _load_mask(source: ImageSource | None, what: Sentence, photo: Picture) -> np.ndarray:
    assert source is not None
    try:
        mask = images.load_mask(source, photo.size)
    except ImageError as error:
        raise ImageError(
            "The {what} cannot be used. {reason}", what=what, reason=error.sentence
        ) from error
    if mask.max() <= MIN_SHARE:
        raise ImageError(
            "The {what} is empty: it is black or transparent everywhere. "
            "Paint white what it is to cover, or leave the mask out.",
            what=what,
        )
    return mask


def _union(masks: Iterable[np.ndarray], nothing: np.ndarray) -> np.ndarray:
    return np.minimum(1, sum(masks, nothing))


def _softened(mask: np.ndarray, sigma: float) -> np.ndarray:
    from scipy import ndimage

    return ndimage.gaussian_filter(mask, sigma, mode="nearest") if sigma else mask


def _widened(mask: np.ndarray, sigma: float) -> np.ndarray:
    """Softened so that inside, 98 % of it remain at the very edge."""
    from scipy import ndimage

    side = 2 * round(2 * sigma) + 1
    return _softened(ndimage.maximum_filter(mask, side, mode="nearest"), sigma)


def _as_mask(shares: np.ndarray) -> np.ndarray:
    return shares[np.newaxis, :, :, np.newaxis].astype(np.float32)
