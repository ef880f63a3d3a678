"""Pictures in and out: files, PIL images and arrays <-> float32 RGB [1, H, W, 3] in [0, 1].

Whatever a camera, a phone or an image editor writes is brought to one form: upright, sRGB, three
channels, and its transparency aside. Everything that cannot be is an `ImageError` that says what
arrived and what is accepted. The size a file declares is looked at before its pixels are decoded.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageChops, ImageCms, ImageOps, PngImagePlugin

from nst_core.errors import ImageError
from nst_core.files import by_ending, write_whole
from nst_core.sentence import Sentence

ImageSource = str | os.PathLike[str] | Image.Image | np.ndarray

# How many pixels a file may declare, so that reading it stays under 2 s and 600 MB: a JPEG can be
# decoded at a fraction of its size, libwebp holds a picture several times. Phones have 48 million.
MAX_PIXELS = 50_000_000
MAX_PIXELS_OF = {"JPEG": 2**26, "WEBP": 2**25}  # by Pillow's name of the format

MINIMUM_SIDE = 16  # px; the deepest layers of VGG-16 see 16 x 16 blocks
LARGEST_MASK = 2048  # px, long side that a mask is read at
STRIP = 256  # rows that are converted at once
REDUCING_GAP = 3.0  # so many times the wanted size is left for Lanczos after a mean over blocks
REDUCIBLE = {"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F"}  # modes that can be
PAPER = (255, 255, 255)  # what shows through a transparent picture while it is painted
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # shares of R, G and B in luminance (BT.601)

# Pillow's names of the formats that are read. Others that Pillow knows are refused: some of them
# start other programs.
READABLE = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "HEIF")
READABLE_TEXT = Sentence("JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF or HEIC")

# File ending -> format and options of the files that are written.
WRITABLE: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"compress_level": 6}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"quality": 95}),
}

pillow_heif.register_heif_opener()


@dataclass(frozen=True)
class Picture:
    """A picture ready to be painted."""

    rgb: np.ndarray  # float32 [1, H, W, 3] in [0, 1], transparency laid on `PAPER`
    alpha: np.ndarray | None = None  # uint8 [H, W], None when nothing is transparent

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        _, height, width, _ = self.rgb.shape
        return width, height

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.rgb.nbytes + (0 if self.alpha is None else self.alpha.nbytes)

    @functools.cached_property
    def checksum(self) -> str:
        """The same for equal pictures only, so that what is computed of them can be cached."""
        return checksum(self.rgb, self.alpha)


def checksum(*arrays: np.ndarray | None) -> str:
    """The same for equal arrays of equal shapes only, in hexadecimal digits."""
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        if array is not None:
            found.update(repr(array.shape).encode())
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def load(source: ImageSource, size: int | None = None, enlarge: bool = False) -> Picture:
    """Read a picture from a file, a PIL image or an array.

    Args:
        source: a path; a PIL image; or an array [H, W], [H, W, 1 or 3 or 4] (grey, RGB or RGBA)
            of uint8, uint16 or floats in [0, 1].
        size: long side of the result in pixels; None keeps the picture's own.
        enlarge: whether a picture smaller than `size` is enlarged.

    Raises:
        ImageError: not a picture, truncated, empty, too large or too small.
    """
    if isinstance(source, np.ndarray):
        image = _from_array(source)
        return _to_picture(image, _target(image.size, size, enlarge))
    if isinstance(source, Image.Image):
        return _decode(source, _checked_target(source, size, enlarge))
    if not isinstance(source, (str, os.PathLike)):
        raise ImageError(
            "A {kind} is not a picture; give a path, a PIL image or an array.",
            kind=type(source).__name__,
        )
    with _open(Path(source)) as image:
        target = _checked_target(image, size, enlarge)
        _draft(image, target)
        return _decode(image, target)


def load_mask(source: ImageSource, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a mask as float32 [H, W] in [0, 1], stretched to `size`, width and height in pixels.

    White is 1; black, and whatever is transparent, is 0; colours count by their luma. An array may
    also be of booleans. Raises `ImageError` as `load` does.
    """
    if isinstance(source, np.ndarray) and source.dtype == np.bool_:
        source = source.astype(np.uint8) * np.uint8(255)
    picture = load(source, LARGEST_MASK)
    grey = Image.fromarray(to_uint8(picture.rgb)).convert("L")
    if picture.alpha is not None:
        grey = ImageChops.multiply(grey, Image.fromarray(picture.alpha))
    fitted = grey.resize(size or grey.size, Image.Resampling.BILINEAR)
    return np.asarray(fitted, np.float32) / 255


def without_transparency(picture: Picture) -> Picture:
    """A picture whose transparent parts have the mean colour of the others instead of `PAPER`'s.

    Raises `ImageError` when nothing of it is visible.
    """
    if picture.alpha is None:
        return picture
    hidden = 1 - picture.alpha[np.newaxis, :, :, np.newaxis] / np.float32(255)
    visible = (1 - hidden).sum()
    if visible < 1:
        raise ImageError("The painting is transparent everywhere; give one that shows something.")
    mean = (picture.rgb - hidden).sum(axis=(0, 1, 2)) / visible  # `PAPER` is 1
    return replace(picture, rgb=np.clip(picture.rgb + hidden * (mean - 1), 0, 1))


def to_uint8(rgb: np.ndarray) -> np.ndarray:
    """Float RGB [1, H, W, 3] in [0, 1] to the uint8 pixels [H, W, 3] that a screen shows."""
    picture = np.asarray(rgb)[0]
    pixels = np.empty(picture.shape, np.uint8)
    for top in range(0, len(picture), STRIP):  # not a second picture of floats beside a large one
        levels = picture[top : top + STRIP] * np.float32(255)
        pixels[top : top + STRIP] = np.rint(levels, out=levels).clip(0, 255, out=levels)
    return pixels


def to_pil(pixels: np.ndarray, alpha: np.ndarray | None = None) -> Image.Image:
    """Pixels uint8 [H, W, 3] as an RGB image, or as RGBA with `alpha`, uint8 [H, W]."""
    return Image.fromarray(pixels if alpha is None else np.dstack([pixels, alpha]))


def blend(photo: np.ndarray, picture: np.ndarray, share: float) -> np.ndarray:
    """`share` of the picture over the rest of the photo; all uint8 [H, W, 3], 0 <= share <= 1."""
    mixed = Image.blend(Image.fromarray(photo), Image.fromarray(picture), share)
    return np.asarray(mixed)


def save(
    image: Image.Image, path: str | os.PathLike[str], notes: Mapping[str, str] | None = None
) -> None:
    """Write a picture in the format of its ending; the file is there whole or not at all.

    Formats without transparency get the picture laid on `PAPER`. `notes` are texts under names
    that a PNG keeps and other formats do not. Raises `ImageError` when the ending is none of
    `WRITABLE`, `OSError` when the folder cannot be written.
    """
    path = Path(path)
    name, options = writable_format(path)
    if name == "JPEG":
        image = _flatten(image)
    if name == "PNG":
        options = {**options, "pnginfo": _png_texts(notes or {})}
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    write_whole(buffer.getvalue(), path)


def read_notes(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts that `save` kept in a PNG, none for other formats. Raises `ImageError`."""
    with _open(Path(path)) as image:
        # Texts stand before the pixels, which need not be decoded.
        return {str(name): text for name, text in image.info.items() if isinstance(text, str)}


def _png_texts(notes: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    for name, text in notes.items():
        texts.add_itxt(name, text)
    return texts


def writable_format(path: Path) -> tuple[str, dict[str, Any]]:
    """Pillow's format and options for a file ending, or an `ImageError` with the known ones."""
    return by_ending(WRITABLE, path, Sentence("Pictures"), ImageError)


# --- Reading ------------------------------------------------------------------------------------


def _open(path: Path) -> Image.Image:
    """Open a file as an image, its pixels not yet decoded."""
    if not path.is_file():
        raise ImageError("There is no picture file {path!r}.", path=str(path))
    if path.stat().st_size == 0:
        raise ImageError(
            "{name!r} is empty; a picture in {formats} is needed.",
            name=path.name,
            formats=READABLE_TEXT,
        )
    try:
        return Image.open(path, formats=READABLE)
    except Image.DecompressionBombError:
        raise ImageError(
            "{name!r} declares more than {millions} million pixels; make it smaller and try again.",
            name=path.name,
            millions=MAX_PIXELS // 10**6,
        ) from None
    except Exception as error:  # decoders raise whatever the bytes lead them to
        raise ImageError(
            "{name!r} is not a picture that can be read; {formats} is needed.",
            name=path.name,
            formats=READABLE_TEXT,
        ) from error


def _checked_target(image: Image.Image, size: int | None, enlarge: bool) -> tuple[int, int]:
    """The size to read an image at, or `ImageError` for one that declares too many pixels."""
    _check_sides(*image.size, MAX_PIXELS_OF.get(image.format or "", MAX_PIXELS))
    return _target(image.size, size, enlarge)


def _draft(image: Image.Image, target: tuple[int, int]) -> None:
    """Let a JPEG be decoded at a fraction of its size. Not for the caller's own PIL images."""
    if not isinstance(image, pillow_heif.HeifImageFile):
        with _decoding_errors():
            image.draft(None, (2 * target[0], 2 * target[1]))


def _decode(image: Image.Image, target: tuple[int, int]) -> Picture:
    """Decode, and bring to upright sRGB of the target size."""
    with _decoding_errors():
        image.load()
    reduced = _reduced(image, target)
    upright = _upright(_to_8_bit(reduced))
    is_turned = (upright.width > upright.height) != (reduced.width > reduced.height)
    profile = image.info.get("icc_profile")
    return _to_picture(upright, target[::-1] if is_turned else target, profile)


@contextlib.contextmanager
def _decoding_errors() -> Iterator[None]:
    """Whatever a decoder raises, as an `ImageError`."""
    try:
        yield
    except Exception as error:
        raise ImageError(
            "The picture is truncated or damaged; export it again, "
            "as {formats}, and give the new file.",
            formats=READABLE_TEXT,
        ) from error


def _to_picture(
    image: Image.Image, target: tuple[int, int], profile: bytes | None = None
) -> Picture:
    """Resize, then convert the colours, which is cheaper in this order."""
    if image.size != target:
        image = image.resize(target, Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
    image = _to_srgb(image, profile)
    alpha = np.asarray(image.getchannel("A")) if image.mode == "RGBA" else None
    if alpha is not None and alpha.min() == 255:
        alpha = None
    rgb = np.asarray(_flatten(image), dtype=np.float32)[np.newaxis] / 255.0
    return Picture(rgb, alpha)


def _reduced(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    """A first coarse step towards a much smaller size, before anything holds the pixels twice."""
    factor = int(min(image.width / target[0], image.height / target[1]) / REDUCING_GAP)
    if factor < 2 or image.mode not in REDUCIBLE:
        return image
    return image.reduce(factor)


def _upright(image: Image.Image) -> Image.Image:
    """Turn the picture as its EXIF orientation says."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF: the picture itself is fine as it lies
        return image


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Bring deep, palette and rare modes to L, LA, RGB, RGBA, CMYK or LAB of 8 bits."""
    convert = _TO_8_BIT.get(image.mode)
    if convert is None:
        return image
    converted = convert(image)
    converted.info = dict(image.info)
    return converted


def _from_palette(image: Image.Image) -> Image.Image:
    has_transparency = image.mode == "PA" or "transparency" in image.info
    return image.convert("RGBA" if has_transparency else "RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    return Image.fromarray(scale_16_bit(np.asarray(image).astype(np.uint16)))


def _from_wide(image: Image.Image) -> Image.Image:
    """32-bit integers and floats have no agreed white: take the smallest usual one that fits."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    peak = values.max()
    usual = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    white = next((white for white in usual if peak <= white), peak)
    return Image.fromarray(np.rint(values.clip(0) * (255.0 / white)).astype(np.uint8))


# Mode of Pillow -> its 8-bit form.
_TO_8_BIT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "1": lambda image: image.convert("L"),
    "P": _from_palette,
    "PA": _from_palette,
    "La": lambda image: image.convert("LA"),
    "RGBa": lambda image: image.convert("RGBA"),
    "RGBX": lambda image: image.convert("RGB"),
    "YCbCr": lambda image: image.convert("RGB"),
    "HSV": lambda image: image.convert("RGB"),
    "I;16": _from_16_bit,
    "I;16L": _from_16_bit,
    "I;16B": _from_16_bit,
    "I;16N": _from_16_bit,
    "I": _from_wide,
    "F": _from_wide,
}


def scale_16_bit(values: np.ndarray) -> np.ndarray:
    """uint16 to the nearest uint8, 65535 to 255: round(v / 257) without wider intermediates."""
    return (values // 257 + (values % 257 > 128)).astype(np.uint8)


def _from_array(array: np.ndarray) -> Image.Image:
    """An array of any accepted shape and type as an 8-bit image."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            "The array has shape {shape}; [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] is needed.",
            shape=list(array.shape),
        )
    _check_sides(array.shape[1], array.shape[0])
    if array.dtype == np.uint16:
        array = scale_16_bit(array)
    elif np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ImageError(
                "The array's values go from {least:g} to {most:g}; floats must lie in [0, 1].",
                least=array.min(),
                most=array.max(),
            )
        array = np.rint(array * 255.0).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ImageError(
            "The array is {dtype}; uint8, uint16 or floats are needed.", dtype=array.dtype
        )
    return Image.fromarray(np.ascontiguousarray(array))


# --- Size and colour ----------------------------------------------------------------------------


def _target(sides: tuple[int, int], size: int | None, enlarge: bool) -> tuple[int, int]:
    """Width and height so that the long side is `size`; `_check_sides` holds for them."""
    long_side = max(sides)
    if size is None or size == long_side or (size > long_side and not enlarge):
        return sides
    width, height = (max(1, round(side * size / long_side)) for side in sides)
    if min(width, height) < MINIMUM_SIDE:
        raise ImageError(
            "The picture is too narrow: {before} pixels become {after} at size {size}, and every "
            "side needs {least}. Crop it, or choose a larger size.",
            before="{} x {}".format(*sides),
            after=f"{width} x {height}",
            size=size,
            least=MINIMUM_SIDE,
        )
    return width, height


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Bring the colours to sRGB by the embedded ICC profile; the mode becomes RGB or RGBA."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = image.convert(image.mode.removesuffix("A")) if alpha else image
    rgb = _by_profile(colours, profile)
    if alpha:
        rgb.putalpha(alpha)
    return rgb


def _by_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode == "LAB":  # Pillow converts it through a profile only
        source: Any = ImageCms.createProfile("LAB")
    elif profile:
        source = io.BytesIO(profile)
    else:
        return image.convert("RGB")
    try:
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        converted = None  # a damaged profile, or one for another kind of picture
    return converted or image.convert("RGB")


def _flatten(image: Image.Image) -> Image.Image:
    """Lay a transparent image on `PAPER`; the result is RGB."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    paper = Image.new("RGBA", image.size, (*PAPER, 255))
    return Image.alpha_composite(paper, image).convert("RGB")


def _check_sides(width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    if min(width, height) < MINIMUM_SIDE:
        raise ImageError(
            "The picture is {width} x {height} pixels; every side needs {least} or more.",
            width=width,
            height=height,
            least=MINIMUM_SIDE,
        )
    if width * height > max_pixels:
        raise ImageError(
            "The picture has {width} x {height} pixels, that is more than {millions} million; make "
            "it smaller and try again.",
            width=width,
            height=height,
            millions=max_pixels // 10**6,
        )
