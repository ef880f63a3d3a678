"""Pictures in every form a camera, a phone or an editor writes, against known pixels."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from conftest import example
from PIL import Image, ImageCms

from nst_core import ImageError
from nst_core.pictures import images
from nst_core.pictures.images import load, save, scale_16_bit, to_uint8

# Four flat quarters, so that lossy formats keep their middles: red, green / blue, grey.
COLOURS = np.array([[(200, 30, 40), (20, 160, 60)], [(30, 50, 190), (120, 120, 120)]], np.uint8)
SIDE = 64


@pytest.fixture
def quarters() -> Image.Image:
    return Image.fromarray(COLOURS.repeat(SIDE // 2, axis=0).repeat(SIDE // 2, axis=1))


def middles(rgb: np.ndarray) -> np.ndarray:
    """The colours in the middle of each quarter, uint8 [2, 2, 3]."""
    pixels = to_uint8(rgb)
    height, width, _ = pixels.shape
    return pixels[height // 4 :: height // 2, width // 4 :: width // 2]


def assert_quarters(picture: images.Picture, tolerance: int = 0) -> None:
    difference = middles(picture.rgb).astype(int) - COLOURS
    assert np.abs(difference).max() <= tolerance, middles(picture.rgb)


# --- Formats ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "options", "tolerance"),
    [
        ("jpg", {"quality": 95}, 4),
        ("jpg", {"quality": 95, "progressive": True}, 4),
        ("png", {}, 0),
        ("webp", {"lossless": True}, 0),
        ("avif", {"quality": 95}, 6),
        ("tiff", {}, 0),
        ("tiff", {"compression": "tiff_lzw"}, 0),
        ("bmp", {}, 0),
        ("heic", {"quality": 95}, 8),
    ],
)
def test_formats(ending, options, tolerance, quarters, tmp_path):
    path = tmp_path / f"picture.{ending}"
    quarters.save(path, **options)
    picture = load(path)
    assert picture.rgb.shape == (1, SIDE, SIDE, 3)
    assert picture.rgb.dtype == np.float32
    assert 0 <= picture.rgb.min() <= picture.rgb.max() <= 1
    assert picture.alpha is None
    assert_quarters(picture, tolerance)


def test_the_name_does_not_matter(quarters, tmp_path):
    quarters.save(tmp_path / "picture.gif", "PNG")
    assert_quarters(load(tmp_path / "picture.gif"))


def test_the_first_frame_of_a_gif(quarters, tmp_path):
    others = [Image.new("RGB", quarters.size, "white")] * 3
    quarters.save(tmp_path / "moving.gif", save_all=True, append_images=others)
    assert_quarters(load(tmp_path / "moving.gif"), tolerance=6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "heic"])
def test_exif_rotation(orientation, ending, tmp_path):
    """Written as the camera lay, with the tag that turns it upright."""
    upright = Image.fromarray(COLOURS.repeat(32, axis=0).repeat(48, axis=1))  # 96 x 64
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    lying = upright.transpose(inverse[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying.save(tmp_path / f"turned.{ending}", exif=exif.tobytes(), quality=95)
    picture = load(tmp_path / f"turned.{ending}")
    assert picture.size == (96, 64)
    assert_quarters(picture, tolerance=8)


def test_damaged_exif_is_no_reason_to_refuse(quarters, tmp_path):
    quarters.save(tmp_path / "odd.jpg", quality=95, exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff")
    assert_quarters(load(tmp_path / "odd.jpg"), tolerance=4)


# --- Colours ------------------------------------------------------------------------------------


def test_cmyk_without_a_profile(quarters, tmp_path):
    quarters.convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert_quarters(load(tmp_path / "print.jpg"), tolerance=6)


def test_icc_profile_is_converted(quarters, tmp_path):
    """A picture whose profile swaps red and blue: only a real conversion gives it back."""
    swapped = Image.merge("RGB", quarters.split()[::-1])
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    mixed = bytearray(profile)
    mixed[red : red + 4], mixed[blue : blue + 4] = b"bXYZ", b"rXYZ"
    swapped.save(tmp_path / "swapped.png", icc_profile=bytes(mixed))
    assert_quarters(load(tmp_path / "swapped.png"), tolerance=2)


def test_icc_profile_of_lab(quarters, tmp_path):
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(quarters, to_lab)
    lab.save(tmp_path / "lab.tiff")
    assert_quarters(load(tmp_path / "lab.tiff"), tolerance=8)  # 8 bits of a* and b* are coarse


@pytest.mark.parametrize("profile", [b"", b"no profile at all", bytes(4000)])
def test_a_damaged_profile_is_ignored(profile, quarters, tmp_path):
    quarters.save(tmp_path / "odd.png", icc_profile=profile)
    assert_quarters(load(tmp_path / "odd.png"))


def test_a_grey_profile_on_a_colour_picture_is_ignored(quarters, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    quarters.save(tmp_path / "odd.png", icc_profile=profile)
    assert_quarters(load(tmp_path / "odd.png"))


def test_grey(tmp_path):
    Image.new("L", (40, 30), 77).save(tmp_path / "grey.png")
    assert np.unique(to_uint8(load(tmp_path / "grey.png").rgb)).tolist() == [77]


def test_black_and_white(tmp_path):
    Image.fromarray(np.eye(32) > 0).save(tmp_path / "bits.png")
    assert np.unique(to_uint8(load(tmp_path / "bits.png").rgb)).tolist() == [0, 255]


# --- Depth --------------------------------------------------------------------------------------


def test_16_bit_scaling_is_right_for_every_value():
    values = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(scale_16_bit(values), np.rint(values / 257.0))


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_16_bit_grey_is_not_clipped(ending, tmp_path):
    ramp = np.linspace(0, 65535, 32 * 64).astype(np.uint16).reshape(32, 64)
    Image.fromarray(ramp).save(tmp_path / f"deep.{ending}")
    got = to_uint8(load(tmp_path / f"deep.{ending}").rgb)[:, :, 0]
    np.testing.assert_array_equal(got, np.rint(ramp / 257.0))


def png_16_bit_rgb(pixels: np.ndarray) -> bytes:
    """A 16-bit RGB PNG by hand, since Pillow writes none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


def test_16_bit_colour_is_not_clipped(tmp_path):
    pixels = (COLOURS.astype(np.uint16) * 257).repeat(32, axis=0).repeat(32, axis=1)
    (tmp_path / "deep.png").write_bytes(png_16_bit_rgb(pixels))
    assert_quarters(load(tmp_path / "deep.png"))


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0, 3e6])
def test_float_tiff(white, tmp_path):
    ramp = np.linspace(0, white, 32 * 32, dtype=np.float32).reshape(32, 32)
    Image.fromarray(ramp).save(tmp_path / "float.tiff")
    got = to_uint8(load(tmp_path / "float.tiff").rgb)[:, :, 0]
    np.testing.assert_allclose(got, ramp * 255 / white, atol=0.51)


def test_float_tiff_with_nan(tmp_path):
    values = np.full((20, 20), 0.5, np.float32)
    values[3, 4], values[5, 6] = np.nan, np.inf
    Image.fromarray(values).save(tmp_path / "holes.tiff")
    got = to_uint8(load(tmp_path / "holes.tiff").rgb)
    assert got[3, 4].tolist() == got[5, 6].tolist() == [0, 0, 0]
    assert got[10, 10].tolist() == [128, 128, 128]


# --- Transparency -------------------------------------------------------------------------------


def test_alpha_is_laid_on_paper_and_kept_aside(quarters, tmp_path):
    alpha = np.full((SIDE, SIDE), 255, np.uint8)
    alpha[:, SIDE // 2 :] = 0
    clear = quarters.copy()
    clear.putalpha(Image.fromarray(alpha))
    clear.save(tmp_path / "clear.png")
    picture = load(tmp_path / "clear.png")
    np.testing.assert_array_equal(picture.alpha, alpha)
    got = middles(picture.rgb)
    assert got[:, 1].tolist() == [[255, 255, 255]] * 2  # the hidden green and grey do not show
    np.testing.assert_array_equal(got[:, 0], COLOURS[:, 0])


def test_half_transparent_mixes_with_paper(tmp_path):
    Image.new("RGBA", (32, 32), (0, 100, 200, 128)).save(tmp_path / "half.png")
    got = to_uint8(load(tmp_path / "half.png").rgb)[5, 5]
    np.testing.assert_allclose(got, [127, 177, 227], atol=1)


def test_opaque_alpha_is_no_alpha(quarters, tmp_path):
    quarters.convert("RGBA").save(tmp_path / "opaque.png")
    assert load(tmp_path / "opaque.png").alpha is None


def test_palette_with_transparency(tmp_path):
    palette = Image.new("P", (32, 32), 1)
    palette.putpalette([255, 0, 0, 10, 200, 30])
    palette.paste(0, (0, 0, 16, 32))
    palette.save(tmp_path / "palette.png", transparency=0)
    picture = load(tmp_path / "palette.png")
    assert picture.alpha is not None
    assert np.unique(picture.alpha).tolist() == [0, 255]
    assert to_uint8(picture.rgb)[5, 20].tolist() == [10, 200, 30]
    assert to_uint8(picture.rgb)[5, 5].tolist() == [255, 255, 255]


def test_grey_with_alpha(tmp_path):
    Image.new("LA", (32, 32), (60, 0)).save(tmp_path / "grey.png")
    picture = load(tmp_path / "grey.png")
    assert picture.alpha is not None
    assert picture.alpha.max() == 0
    assert picture.rgb.min() == 1


# --- Size ---------------------------------------------------------------------------------------


def test_the_long_side_is_scaled_down():
    assert load(example("content/castle"), 256).size == (256, 171)
    assert load(example("style/mona-lisa"), 256).size == (165, 256)


def test_nothing_is_enlarged_without_being_asked():
    assert load(example("content/cat"), 2048).size == (451, 300)
    assert load(example("content/cat"), 902, enlarge=True).size == (902, 600)


def test_scaling_down_keeps_the_mean():
    whole = load(example("content/castle")).rgb.mean(axis=(0, 1, 2))
    small = load(example("content/castle"), 64).rgb.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(small, whole, atol=0.01)


def test_too_narrow_for_the_size():
    strip = Image.new("RGB", (2000, 40))
    assert load(strip).size == (2000, 40)
    with pytest.raises(ImageError, match="too narrow: 2000 x 40 pixels become 256 x 5"):
        load(strip, 256)


# --- Other sources ------------------------------------------------------------------------------


def test_pil_image(quarters):
    assert_quarters(load(quarters))


@pytest.mark.parametrize(
    "convert",
    [
        lambda a: a,
        lambda a: a.astype(np.uint16) * 257,
        lambda a: a / 255.0,
        lambda a: (a / 255.0).astype(np.float32),
        lambda a: np.dstack([a, np.full(a.shape[:2], 255, np.uint8)]),
        lambda a: a[::-1][::-1],
    ],
)
def test_arrays(convert, quarters):
    assert_quarters(load(convert(np.asarray(quarters))))


@pytest.mark.parametrize("shape", [(32, 32), (32, 32, 1)])
def test_grey_arrays(shape):
    assert np.unique(to_uint8(load(np.full(shape, 99, np.uint8)).rgb)).tolist() == [99]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((32, 32, 2), np.uint8), r"\[32, 32, 2\]"),
        (np.zeros((1, 32, 32, 3), np.uint8), "shape"),
        (np.zeros((0, 32, 3), np.uint8), "0 pixels"),
        (np.zeros((32, 1, 3), np.uint8), "1 x 32"),
        (np.full((32, 32, 3), 2.0), r"\[0, 1\]"),
        (np.full((32, 32, 3), np.nan), r"\[0, 1\]"),
        (np.zeros((32, 32, 3), np.int64), "int64"),
        (np.zeros((32, 32, 3), complex), "complex"),
    ],
)
def test_arrays_that_are_no_pictures(array, message):
    with pytest.raises(ImageError, match=message):
        load(array)


@pytest.mark.parametrize("source", [None, 5, b"bytes", ["a"]])
def test_things_that_are_no_pictures(source):
    with pytest.raises(ImageError, match="is not a picture; give a path"):
        load(source)


# --- Bad files ----------------------------------------------------------------------------------


def test_a_missing_file(tmp_path):
    with pytest.raises(ImageError, match=r"no picture file .*absent\.jpg"):
        load(tmp_path / "absent.jpg")


def test_a_folder(tmp_path):
    with pytest.raises(ImageError, match="no picture file"):
        load(tmp_path)


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"'empty\.jpg' is empty"):
        load(tmp_path / "empty.jpg")


@pytest.mark.parametrize(
    "content",
    [
        b"<html><body>Not found</body></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        np.random.default_rng(1).bytes(4096),
    ],
)
def test_files_that_are_no_pictures(content, tmp_path):
    path = tmp_path / "page.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"page\.jpg.*JPEG, PNG, WebP"):
        load(path)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif", "tiff", "bmp", "gif", "heic"])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_truncated_files(ending, share, tmp_path, rng):
    noise = Image.fromarray(rng.integers(0, 256, (80, 80, 3)).astype(np.uint8))
    noise.save(tmp_path / f"whole.{ending}")
    whole = (tmp_path / f"whole.{ending}").read_bytes()
    (tmp_path / f"cut.{ending}").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ImageError, match="JPEG, PNG, WebP"):
        load(tmp_path / f"cut.{ending}")


def test_one_pixel_wide(tmp_path):
    Image.new("RGB", (1, 500)).save(tmp_path / "line.png")
    with pytest.raises(ImageError, match="is 1 x 500 pixels; every side needs 16"):
        load(tmp_path / "line.png")


@pytest.mark.parametrize(("width", "height"), [(9000, 9000), (100_000, 100_000), (2**31 - 1, 16)])
def test_a_declared_size_is_refused_before_it_is_allocated(width, height, tmp_path):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IHDR" + header
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    idat = b"IDAT" + zlib.compress(b"")
    rest = struct.pack(">I", len(idat) - 4) + idat + struct.pack(">I", zlib.crc32(idat))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + rest)
    before = peak_memory()
    with pytest.raises(ImageError, match="more than 50 million"):
        load(tmp_path / "bomb.png")
    assert peak_memory() - before < 20e6


def peak_memory() -> float:
    """Bytes at most used so far by this process."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# --- Out ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", images.WRITABLE)
def test_written_pictures_are_read_back(ending, quarters, tmp_path):
    save(quarters, tmp_path / f"out{ending}")
    assert_quarters(load(tmp_path / f"out{ending}"), tolerance=6)
    assert [path.name for path in tmp_path.iterdir()] == [f"out{ending}"]


def test_jpeg_has_no_alpha_but_paper(tmp_path):
    save(Image.new("RGBA", (32, 32), (0, 0, 0, 0)), tmp_path / "out.jpg")
    assert to_uint8(load(tmp_path / "out.jpg").rgb).min() > 250


def test_an_unknown_ending_is_refused(quarters, tmp_path):
    with pytest.raises(ImageError, match=r"'out\.xyz'; its ending must be one of \.jpeg, \.jpg"):
        save(quarters, tmp_path / "out.xyz")


def test_a_failed_write_leaves_the_old_file_and_no_other(quarters, tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(images.Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        save(quarters, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


def test_a_written_file_can_be_read_by_others(quarters, tmp_path):
    mask = os.umask(0o022)
    try:
        save(quarters, tmp_path / "out.png")
    finally:
        os.umask(mask)
    assert (tmp_path / "out.png").stat().st_mode & 0o777 == 0o644


def test_uint8_rounds_to_the_nearest():
    rgb = np.array([0, 0.49 / 255, 0.51 / 255, 254.6 / 255, 1]).reshape(1, 1, 5, 1)
    assert to_uint8(rgb).ravel().tolist() == [0, 0, 1, 255, 255]
