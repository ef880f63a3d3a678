"""What is painted, whatever the settings of the steps: pictures, places, and targets at a scale."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from nst_core import images, memory, tiles
from nst_core.color import COLOR_MODES
from nst_core.device import PRECISION_CHOICES
from nst_core.features import Extractor, at_layers
from nst_core.images import ImageSource, Picture
from nst_core.lazy import tf
from nst_core.losses import make_guide
from nst_core.memory import Need
from nst_core.pyramid import resize
from nst_core.regions import Layout, Region, Style, lay_out
from nst_core.schedule import SHORTEST_SIDE, Scale
from nst_core.settings import DEFAULTS, SPECS, Settings, SettingsError
from nst_core.step import Kept, StyleTargets, Targets

ALPHA_SEEN = 128  # of 0 to 255: pixels from here on count when colours are matched


@dataclass(frozen=True)
class Job:
    """The pictures of a run, loaded and checked."""

    photo: Picture  # at the size that it is painted at
    layout: Layout  # the paintings in their own colours
    tile: int | None  # side of the tiles that it is painted in, pixels; None for no tiles
    notice: str = ""  # what was done otherwise than asked for, in words

    def tile_at(self, scale: Scale) -> int | None:
        """The same at a scale; one that is as small as a tile needs none."""
        is_small = max(scale.height, scale.width) <= (self.tile or 0)
        return None if is_small else self.tile

    @property
    def has_places(self) -> bool:
        """Whether there are masks, something kept or transparency: anything but one style."""
        return self.layout.regions[0].place is not None

    @property
    def regions(self) -> int:
        """How many regions the compiled step has to know; 0 for one style everywhere."""
        return len(self.layout.regions) if self.has_places else 0

    def check_memory(self, scale: Scale, precision: str) -> None:
        """Raise `MemoryError` when a scale has come to need more than there is by now.

        Better than to try it: libraries below TensorFlow end the process where they get no memory.
        """
        share = scale.pixels / math.prod(self.photo.size)
        painting = max(
            math.prod(picture.size)
            for region in self.layout.regions
            for picture, _ in region.paintings
        )
        need = _need(scale.pixels, round(share * painting), self.tile_at(scale), precision)
        # What a run takes whatever its size, it has taken already.
        if need.total - memory.BYTES_PER_RUN > memory.available():
            raise MemoryError(f"{need.total:.0f} bytes")

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """The photo as a screen shows it, uint8 [H, W, 3]."""
        return images.to_uint8(self.photo.rgb)

    def recolored(self, mode: str) -> Layout:
        """The layout with the paintings in the colours that they are to be painted in."""
        photo = _seen(self.pixels, self.photo)

        def change(painting: Picture) -> Picture:
            return images.without_transparency(_recolored(painting, photo, mode))

        return self.layout.mapped(change)

    def finished(self, painted: np.ndarray, mode: str) -> np.ndarray:
        """A picture as it is shown, uint8 [H, W, 3]: in its colours, with the photo where kept."""
        recolor = COLOR_MODES[mode].picture
        shown = painted if recolor is None else recolor(painted, self.pixels)
        if self.layout.kept is None:
            return shown
        kept = Image.fromarray(images.to_uint8(self.layout.kept)[..., 0])
        return np.asarray(
            Image.composite(Image.fromarray(self.pixels), Image.fromarray(shown), kept)
        )


def make_job(
    content: ImageSource, styles: Sequence[Style], settings: Settings, keep: ImageSource | None
) -> Job:
    """Load everything, at a size that fits into memory.

    Raises:
        ImageError: a picture or a mask that cannot be used.
        SettingsError: a size that was asked for does not fit.
    """
    photo, paintings = _load(content, styles, settings, settings.size)
    (size, tile), notice = _fitting(photo, paintings, settings), ""
    if size != settings.size:
        notice = f"There is not enough free memory for {settings.size} px: painted at {size} px."
        photo, paintings = _load(content, styles, settings, size)
    return Job(photo, lay_out(styles, paintings, photo, keep, settings.feather), tile, notice)


def _load(
    content: ImageSource, styles: Sequence[Style], settings: Settings, size: int
) -> tuple[Picture, list[Picture]]:
    paintings = [_load_painting(style.image, size, settings.style_scale) for style in styles]
    return images.load(content, size, settings.enlarge), paintings


def _load_painting(source: ImageSource, size: int, scale: float) -> Picture:
    """A painting as large as the picture, or what it has, and then `scale` times that."""
    painting = images.load(source, size)
    if scale == 1:
        return painting
    return images.load(source, round(max(painting.size) * scale), enlarge=True)


def _fitting(
    photo: Picture, paintings: Sequence[Picture], settings: Settings
) -> tuple[int, int | None]:
    """Size, and side of tiles: what was asked for, or what fits if that was only the default."""
    precision, room = PRECISION_CHOICES[settings.precision](), memory.available()
    pixels = math.prod(photo.size)
    largest_painting = max(math.prod(painting.size) for painting in paintings)
    tile, need = settings.tile, _need(pixels, largest_painting, settings.tile, precision)
    if tile is None and (pixels > tiles.MOST_AT_ONCE or need.total > room):
        in_tiles = _need(pixels, largest_painting, tiles.SIDE, precision)
        if in_tiles.total < need.total:
            tile, need = tiles.SIDE, in_tiles
    factor = need.fitting_factor(room)
    if factor >= 1:
        return settings.size, tile
    largest = int(max(photo.size) * factor) // 16 * 16
    smallest = SPECS["size"].minimum or 0
    if settings.size == DEFAULTS["size"] and largest >= smallest:
        return largest, tile
    remedy = f"try size={largest}" if largest >= smallest else "close other programs"
    raise SettingsError(
        f"size is {settings.size}, which needs {need.total / 1e9:.1f} GB of memory here, but "
        f"{room / 1e9:.1f} GB are free; {remedy}."
    )


def _need(photo: int, painting: int, tile: int | None, precision: str) -> Need:
    """What a run needs, from the pixels of photo and largest painting, and the side of tiles."""
    if tile is None:
        return memory.of_whole(photo, painting, precision)
    return memory.of_tiles(max(photo, painting), tiles.most_held(tile), precision)


# --- Colours ------------------------------------------------------------------------------------


def _recolored(painting: Picture, photo: np.ndarray, mode: str) -> Picture:
    """A painting in other colours; where it is transparent, they do not count."""
    recolor = COLOR_MODES[mode].painting
    if recolor is None:
        return painting
    pixels, seen = images.to_uint8(painting.rgb), _is_seen(painting)
    pixels[seen] = recolor(pixels[seen], photo)
    return replace(painting, rgb=pixels[np.newaxis].astype(np.float32) / 255)


def _seen(pixels: np.ndarray, picture: Picture) -> np.ndarray:
    """The visible pixels, uint8 [K, 3]."""
    return pixels[_is_seen(picture)]


def _is_seen(picture: Picture) -> np.ndarray:
    if picture.alpha is None or picture.alpha.max() < ALPHA_SEEN:
        return np.ones(picture.rgb.shape[1:3], bool)
    return picture.alpha >= ALPHA_SEEN


# --- Targets ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """What a run solves at one scale."""

    photo: np.ndarray  # float32 [1, H, W, 3] in [0, 1], of the scale's size
    targets: Targets


def make_problem(
    extractor: Extractor, job: Job, layout: Layout, settings: Settings, scale: Scale
) -> Problem:
    """Photo, paintings and places shrunk by the same factor, and their features.

    Args:
        layout: the job's, with the paintings in the colours that they are painted in.
    """
    small = resize(job.photo.rgb, scale.height, scale.width)
    tile = job.tile_at(scale)
    content = tiles.features_of(extractor, small, settings.content_layer, tile)
    layers = tuple(layer for layer, _ in settings.style_layers)
    factor = scale.height / job.photo.rgb.shape[1]
    styles = []
    for region in layout.regions:
        grams = _mixed_grams(extractor, region.paintings, layers, factor, tile)
        styles.append(_style_targets(region, grams, scale))
    if not job.has_places:
        return Problem(small, Targets(content, tuple(styles)))
    place = np.zeros_like(job.photo.rgb[..., :1]) if layout.kept is None else layout.kept
    kept = Kept(tf.constant(small), tf.constant(resize(place, scale.height, scale.width)))
    return Problem(small, Targets(content, tuple(styles), kept))


def _style_targets(region: Region, grams: dict[str, tf.Tensor], scale: Scale) -> StyleTargets:
    if region.place is None:
        return StyleTargets(grams, tf.constant(1.0), {})
    place = resize(region.place, scale.height, scale.width)
    guides = {layer: make_guide(part) for layer, part in at_layers(place, grams).items()}
    return StyleTargets(grams, tf.constant(place.mean()), guides)


def _mixed_grams(
    extractor: Extractor,
    paintings: Sequence[tuple[Picture, float]],
    layers: tuple[str, ...],
    factor: float,
    tile: int | None,
) -> dict[str, tf.Tensor]:
    """The paintings' Gram matrices at a scale, each by its share."""
    found = [
        (_grams(extractor, painting, layers, factor, tile), share) for painting, share in paintings
    ]
    return {layer: tf.add_n([share * grams[layer] for grams, share in found]) for layer in layers}


def _grams(
    extractor: Extractor,
    painting: Picture,
    layers: tuple[str, ...],
    factor: float,
    tile: int | None,
) -> dict[str, tf.Tensor]:
    """The painting's Gram matrices at a scale; what is transparent of it does not count."""
    height, width = (max(SHORTEST_SIDE, round(side * factor)) for side in painting.rgb.shape[1:3])
    small, guides = resize(painting.rgb, height, width), {}
    if painting.alpha is not None:
        alpha = painting.alpha[np.newaxis, :, :, np.newaxis] / np.float32(255)
        places = at_layers(resize(alpha, height, width), layers)
        guides = {layer: make_guide(place) for layer, place in places.items()}
    return tiles.gram_matrices(extractor, small, layers, guides, tile)
