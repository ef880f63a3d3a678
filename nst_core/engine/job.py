"""What is painted, whatever the settings of the steps: the photo, the paintings, the masks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from nst_core.colors import color_mode
from nst_core.colors.palette import to_levels, to_palette
from nst_core.colors.transport import SPARE, to_nearest_colors
from nst_core.engine.objective import Objective
from nst_core.engine.plan import Plan, check_tiles, make_plan, make_scales
from nst_core.engine.schedule import SHORTEST_SIDE, Scale
from nst_core.errors import SettingsError
from nst_core.losses.term import Before
from nst_core.networks.people import find_subject
from nst_core.pictures import images
from nst_core.pictures.images import ImageSource, Picture
from nst_core.pictures.margins import without_margins
from nst_core.pictures.pyramid import resize
from nst_core.pictures.regions import Layout, Region, Style, lay_out
from nst_core.pictures.smoothing import without_texture
from nst_core.settings import DEFAULT_SIZE, Settings

PALETTE_PIXELS = 16384  # of the paintings of a region, enough to know their colours

Palettes = Sequence[np.ndarray]  # of each region some pixels, uint8 [P, 3]

# A picture, the pixels of a palette, and a mask of what counts of the picture -> it in new colours.
Recolor = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

HALF = 0.5  # of a mask: from here on a pixel counts to a region, or as kept

VISIBLE_ALPHA = 128  # of 0 to 255: pixels from here on count when colours are matched


@dataclass(frozen=True)
class Follows:
    """What a frame of a film is held to; all of the frame's own size.

    Colours are brought to the paintings' as those of one frame of its shot were, and not by its
    own: whoever walks through the picture must not change the colours of the rest.
    """

    photo: np.ndarray  # that frame as it was filmed, uint8 [H, W, 3]
    painted: np.ndarray  # and as its last step left it, uint8 [H, W, 3]
    before: Before | None = None  # what the picture itself is held to; None at a shot's beginning


@dataclass(frozen=True)
class Job:
    """The pictures of a run, loaded and checked, at the size of the result."""

    photo: Picture
    layout: Layout  # the paintings in their own colours
    follows: Follows | None = None  # for a frame of a film

    @property
    def nbytes(self) -> int:
        """Bytes of the photo, as it is loaded and as a screen shows it, and of the layout."""
        return self.photo.nbytes + self.pixels.nbytes + self.layout.nbytes

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """The photo as a screen shows it, uint8 [H, W, 3]."""
        return images.to_uint8(self.photo.rgb)

    def recolored(self, mode: str) -> Layout:
        """The layout with the paintings in the colours that they are to be painted in."""
        photo = self.pixels[_is_visible(self.photo)]

        def change(painting: Picture) -> Picture:
            return images.without_transparency(_recolored(painting, photo, mode))

        return self.layout.mapped(change)

    def simplified(self, palettes: Palettes, strength: float) -> Picture:
        """The photo as a painter sees it: in the paintings' colours, and without its texture.

        Below a strength of 0.5 it keeps some of both, and the subject keeps its texture.
        """
        recolor = functools.partial(to_nearest_colors, spare=_spare(strength))
        like = self.follows.photo if self.follows else None
        recolored = self._in_palettes(self.pixels, like, palettes, strength, recolor)
        own, photo = (one[np.newaxis].astype(np.float32) / 255 for one in (recolored, self.pixels))
        change = _amount(strength) * (without_texture(own, photo) - own)
        if self.layout.subject is not None:
            change *= 1 - self.layout.subject
        return replace(self.photo, rgb=own + change)

    def in_palettes(self, picture: np.ndarray, palettes: Palettes, strength: float) -> np.ndarray:
        """A picture, uint8 [H, W, 3], with the palettes of the paintings, region by region.

        Below a strength of 0.5 it keeps some of its own.

        Args:
            palettes: of the layout's regions, in the colours that they are painted in.
        """

        def recolor(pixels: np.ndarray, palette: np.ndarray, own: np.ndarray) -> np.ndarray:
            return to_levels(to_palette(pixels, palette, own), palette, own)

        like = self.follows.painted if self.follows else None
        return self._in_palettes(picture, like, palettes, strength, recolor)

    def _in_palettes(
        self,
        picture: np.ndarray,
        like: np.ndarray | None,
        palettes: Palettes,
        strength: float,
        recolor: Recolor,
    ) -> np.ndarray:
        """`picture` recolored as `like` would be, a picture of its size; by itself for None."""
        counts = _is_visible(self.photo)
        if self.layout.kept is not None:
            counts = counts & (self.layout.kept[0, ..., 0] < HALF)

        def of_region(region: Region, palette: np.ndarray) -> np.ndarray:
            own = counts if region.mask is None else counts & (region.mask[0, ..., 0] >= HALF)
            own = own if own.any() else ~own
            if like is None:
                return recolor(picture, palette, own)
            both = np.concatenate([picture, like]), np.concatenate([np.zeros_like(own), own])
            return recolor(both[0], palette, both[1])[: len(picture)]

        there = self._mixed(picture, palettes, of_region)
        if _amount(strength) == 1:
            return there
        change = _amount(strength) * (there.astype(np.float32) - picture)
        return np.rint(picture + change).astype(np.uint8)

    def finished(self, painted: np.ndarray, mode: str) -> np.ndarray:
        """A picture as it is shown, uint8 [H, W, 3]: in its colours, with the photo where kept.

        Raises `SettingsError` for an unknown colour mode.
        """
        recolor, shown = color_mode(mode).picture, painted
        if recolor is not None:
            shown = self._mixed(
                painted,
                self.palettes,
                lambda _, palette: recolor(painted, self.pixels, palette),
            )
        if self.layout.kept is None:
            return shown
        kept = Image.fromarray(images.to_uint8(self.layout.kept)[..., 0])
        return np.asarray(
            Image.composite(Image.fromarray(self.pixels), Image.fromarray(shown), kept)
        )

    @functools.cached_property
    def palettes(self) -> Palettes:
        """Those of the paintings in their own colours."""
        return palettes_of(self.layout)

    def _mixed(
        self,
        picture: np.ndarray,
        palettes: Palettes,
        recolor: Callable[[Region, np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """A picture recolored for each region, by its palette, and mixed as the regions are."""
        if not self.layout.has_masks:
            return recolor(self.layout.regions[0], palettes[0])
        mixed, total = np.zeros_like(picture, np.float32), np.zeros_like(self.photo.rgb[0, ..., :1])
        for region, palette in zip(self.layout.regions, palettes, strict=True):
            assert region.mask is not None  # of several regions all have one
            mixed += region.mask[0] * recolor(region, palette)
            total += region.mask[0]
        in_some = total > 0
        return np.where(in_some, np.rint(mixed / np.where(in_some, total, 1)), picture).astype(
            np.uint8
        )


def palettes_of(layout: Layout) -> Palettes:
    """Of each region visible pixels of its paintings, as many as their shares, uint8 [P, 3]."""
    return tuple(
        np.concatenate(
            [
                _some_visible(painting, round(share * PALETTE_PIXELS))
                for painting, share in region.paintings
            ]
        )
        for region in layout.regions
    )


def _amount(strength: float) -> np.float32:
    """How much of their colours and of their simplicity the photo takes on."""
    return np.float32(min(1.0, 2 * strength))


def _spare(strength: float) -> float:
    """As `to_nearest_colors` takes it: at strength 1 the photo has each colour in its share."""
    return float(min(SPARE, SPARE ** (2 - 2 * strength)))


def load_job(
    content: ImageSource,
    styles: Sequence[Style],
    settings: Settings,
    keep: ImageSource | None,
    objective: Objective,
    plan: Plan | None = None,
    follows: Follows | None = None,
) -> tuple[Job, Plan]:
    """Load everything at the size of the plan, which is settled here unless one is given.

    Raises:
        ImageError: a picture or a mask that cannot be used.
        SettingsError: a size that was asked for does not fit into memory, or a plan that was given
            is for another photo.
    """
    if plan:
        check_tiles(plan, objective)
    size = plan.size if plan else settings.size or DEFAULT_SIZE
    photo, paintings = _load(content, styles, settings, size)
    if plan is None:
        plan = make_plan(photo, paintings, settings, objective)
        if plan.size != max(photo.size):
            photo, paintings = _load(content, styles, settings, plan.size)
            width, height = photo.size
            scales = make_scales(height, width, settings, objective, plan.precision)
            plan = replace(plan, width=width, height=height, scales=scales)
    elif photo.size != (plan.width, plan.height):
        raise SettingsError(
            "The plan is for a picture of {planned} px, but the photo comes to {given}; leave the "
            "plan out.",
            planned=f"{plan.width} x {plan.height}",
            given="{} x {}".format(*photo.size),
        )
    layout = lay_out(styles, paintings, photo, keep, settings.feather)
    if settings.subject:
        layout = replace(layout, subject=find_subject(photo.rgb))
    return Job(photo, layout, follows), plan


def _load(
    content: ImageSource, styles: Sequence[Style], settings: Settings, size: int
) -> tuple[Picture, list[Picture]]:
    photo = images.load(content, size, settings.enlarge)
    side = max(photo.size)
    return photo, [_load_painting(style.image, side, settings.style_scale) for style in styles]


def _load_painting(source: ImageSource, size: int, scale: float) -> Picture:
    """A painting as large as the picture, or what it has, and then `scale` times that."""
    painting = images.load(source, size)
    if scale != 1:
        painting = images.load(source, round(max(painting.size) * scale), enlarge=True)
    if painting.alpha is not None:
        return painting
    return replace(painting, rgb=without_margins(painting.rgb))


# --- At a scale ---------------------------------------------------------------------------------


def layout_at(layout: Layout, scale: Scale, height: int) -> Layout:
    """Paintings and masks shrunk by the same factor as the photo, which has `height` rows."""
    factor = scale.height / height

    def small(region: Region) -> Region:
        paintings = tuple((_shrunk(picture, factor), share) for picture, share in region.paintings)
        return replace(region, paintings=paintings, mask=_mask_at(region.mask, scale))

    kept, subject = (_mask_at(mask, scale) for mask in (layout.kept, layout.subject))
    return Layout(tuple(map(small, layout.regions)), kept, subject)


def _mask_at(mask: np.ndarray | None, scale: Scale) -> np.ndarray | None:
    return None if mask is None else resize(mask, scale.height, scale.width)


def _shrunk(painting: Picture, factor: float) -> Picture:
    height, width = (max(SHORTEST_SIDE, round(side * factor)) for side in painting.rgb.shape[1:3])
    if (width, height) == painting.size:
        return painting
    alpha = painting.alpha
    if alpha is not None:
        shares = resize(alpha[np.newaxis, :, :, np.newaxis] / np.float32(255), height, width)
        alpha = images.to_uint8(shares)[..., 0]
    return Picture(resize(painting.rgb, height, width), alpha)


# --- Colours ------------------------------------------------------------------------------------


def _recolored(painting: Picture, photo: np.ndarray, mode: str) -> Picture:
    """A painting in other colours; where it is transparent, they do not count."""
    recolor = color_mode(mode).painting
    if recolor is None:
        return painting
    pixels, visible = images.to_uint8(painting.rgb), _is_visible(painting)
    pixels[visible] = recolor(pixels[visible], photo)
    return replace(painting, rgb=pixels[np.newaxis].astype(np.float32) / 255)


def _some_visible(painting: Picture, count: int) -> np.ndarray:
    """Pixels of what is visible of a painting, evenly chosen, uint8 [count, 3]."""
    pixels = images.to_uint8(painting.rgb)[_is_visible(painting)]
    return pixels[np.linspace(0, len(pixels) - 1, count).round().astype(int)]


def _is_visible(picture: Picture) -> np.ndarray:
    if picture.alpha is None or picture.alpha.max() < VISIBLE_ALPHA:
        return np.ones(picture.rgb.shape[1:3], bool)
    return picture.alpha >= VISIBLE_ALPHA
