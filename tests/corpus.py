"""Files that nobody should be able to hurt the page with: `python tests/corpus.py FOLDER`.

Each is small on the disk, made here from code alone, and the same every time. What they must do to
a reader stands in `test_attack_pictures.py`.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

FORMATS = ("jpg", "png", "gif", "webp", "tiff", "bmp", "avif", "heic")
PILLOW = {"jpg": "JPEG", "tiff": "TIFF", "heic": "HEIF"}
BOUNDARIES = (1, 2, 3, 4, 7, 8, 11, 12, 16, 20, 24, 28, 32, 33, 41, 64, 100, 128, 256)  # bytes
HUGE = 65_500  # px, what most formats can declare

Files = Iterator[tuple[str, bytes]]


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """A picture with smooth and sharp places, always the same."""
    y, x = np.mgrid[0:height, 0:width]
    values = np.stack([x * 255 // width, y * 255 // height, (x // 8 + y // 8) % 2 * 255], -1)
    return Image.fromarray(values.astype(np.uint8))


def encoded(image: Image.Image, ending: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, PILLOW.get(ending, ending.upper()), **options)
    return buffer.getvalue()


def truncated() -> Files:
    """Cut after every header and in the middle of the pixels."""
    for ending in FORMATS:
        whole = encoded(scene(), ending)
        shares = [round(len(whole) * share) for share in (0.25, 0.5, 0.75, 0.9)]
        for length in sorted({*BOUNDARIES, *shares, len(whole) - 1}):
            if length < len(whole):
                yield f"cut-{length}.{ending}", whole[:length]


def misnamed() -> Files:
    """Right pictures under wrong names, and things that are no pictures."""
    for content, name in zip(FORMATS, FORMATS[1:] + FORMATS[:1], strict=True):
        yield f"really-{content}.{name}", encoded(scene(), content)
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><script>alert(1)</script>'
    for name in ("picture.svg", "svg.png"):
        yield name, f"{svg}</svg>".encode()
    yield "page.jpg", b"<!doctype html><script>alert(1)</script>"
    yield "empty.png", b""
    yield "zeros.png", bytes(4096)
    yield "text.png", b"no picture\n" * 100
    yield (
        "postscript.jpg",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(/etc/passwd) run\n",
    )
    yield "archive.png", b"PK\x03\x04" + bytes(60)


def polyglots() -> Files:
    """One file that two readers take for two things."""
    script = b"<script>alert(1)</script>"
    yield "page-after-picture.png", encoded(scene(), "png") + script
    yield "archive-after-picture.jpg", encoded(scene(), "jpg") + b"PK\x05\x06" + bytes(18)
    gif = encoded(scene(), "gif")
    yield "script-in-comment.gif", gif[:-1] + b"\x21\xfe" + bytes([len(script)]) + script + b"\x00;"
    yield "two-pictures.png", encoded(scene(), "png") + encoded(scene(), "jpg")


# --- Sizes --------------------------------------------------------------------------------------


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, color: int, packed: bytes, *more: bytes) -> bytes:
    """A PNG of these declared properties and this compressed data."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    chunks = [
        png_chunk(b"IHDR", header),
        *more,
        png_chunk(b"IDAT", packed),
        png_chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def zeros(count: int) -> bytes:
    """So many zeros, compressed, without ever holding them: a flushed block may be repeated."""
    packer = zlib.compressobj(9)
    head = packer.compress(bytes(1)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    blocks, rest = divmod(count - 1, 1 << 20)
    end = packer.compress(bytes(rest)) + packer.flush(zlib.Z_FINISH)
    checksum = (count % 65_521 << 16 | 1).to_bytes(4, "big")  # Adler-32 of zeros
    return head + block * blocks + end[:-4] + checksum


def png_bomb(width: int, height: int, depth: int = 8, color: int = 2) -> bytes:
    """A whole PNG of one colour."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    row = 1 + (width * channels * depth + 7) // 8
    palette = [png_chunk(b"PLTE", bytes(6))] if color == 3 else []
    return png(width, height, depth, color, zeros(row * height), *palette)


def tiff(width: int, height: int, tags: dict[int, int], strip: bytes) -> bytes:
    """A little-endian TIFF of one strip."""
    entries = {256: width, 257: height, 273: 8, 277: 1, 278: height, 279: len(strip)} | tags
    start = 8 + len(strip) + len(strip) % 2
    directory = struct.pack("<H", len(entries))
    for tag, value in sorted(entries.items()):
        directory += struct.pack("<HHII", tag, 4, 1, value)
    body = strip + bytes(len(strip) % 2)
    return b"II*\x00" + struct.pack("<I", start) + body + directory + bytes(4)


def bombs() -> Files:
    """Little on the disk, much in memory."""
    yield "bomb-grey.png", png_bomb(30_000, 30_000, 1, 0)
    yield "bomb-rgb.png", png_bomb(12_000, 12_000)
    yield "bomb-palette.png", png_bomb(20_000, 20_000, 8, 3)
    yield "bomb-rows.png", png_bomb(64, 3_000_000, 8, 0)
    # More data than declared, and a text of 200 MB.
    yield "bomb-data.png", png(64, 64, 8, 2, zeros(400_000_000))
    text = png_chunk(b"zTXt", b"Comment\x00\x00" + zeros(200_000_000))
    yield "bomb-text.png", png(64, 64, 8, 0, zeros(65 * 64), text)
    profile = png_chunk(b"iCCP", b"icc\x00\x00" + zeros(200_000_000))
    yield "bomb-profile.png", png(64, 64, 8, 0, zeros(65 * 64), profile)
    frames = [Image.new("L", (4000, 4000), value) for value in (0, 1, 2)]
    yield "bomb.gif", encoded(frames[0], "gif", save_all=True, append_images=frames[1:])
    yield "bomb.webp", encoded(Image.new("RGB", (9000, 9000)), "webp", quality=1, method=0)
    deflated = {258: 8, 259: 8, 262: 1}
    yield "bomb.tiff", tiff(30_000, 30_000, deflated, zeros(900_000_000))


def just_allowed() -> Files:
    """The largest that are accepted by their size, in the modes that cost the most."""
    side = 7070
    for name, depth, color in (("rgb", 8, 2), ("rgba", 8, 6), ("deep", 16, 6), ("bits", 1, 0)):
        yield f"largest-{name}.png", png_bomb(side, side, depth, color)
    yield "largest-palette.png", png_bomb(side, side, 8, 3)
    packed, samples = {259: 8, 262: 1}, zeros(side * side * 4)
    yield "largest-float.tiff", tiff(side, side, packed | {258: 32, 339: 3}, samples)
    yield "largest-int.tiff", tiff(side, side, packed | {258: 32, 339: 2}, samples)
    yield "largest-grey-16.png", png_bomb(side, side, 16, 0)
    smooth = scene(256, 256).resize((8192, 8192))
    for mode in ("RGB", "CMYK"):
        for progressive in (False, True):
            options = {"quality": 50, "progressive": progressive}
            kind = "progressive" if progressive else "baseline"
            whole = encoded(smooth.convert(mode), "jpg", **options)
            yield f"largest-{mode}-{kind}.jpg".lower(), whole
    yield "largest.webp", encoded(smooth.resize((5790, 5790)), "webp", quality=10, method=0)
    yield "largest.avif", encoded(smooth.resize((side, side)), "avif", quality=10, speed=10)


def declared() -> Files:
    """Huge, empty and thin sizes in the header; little or nothing behind it."""
    for width, height in ((HUGE, HUGE), (2**31 - 1, 2**31 - 1), (0, 64), (64, 0), (0, 0)):
        yield f"says-{width}x{height}.png", png(width, height, 8, 2, zeros(100))
        yield (
            f"says-{width}x{height}.tiff",
            tiff(width, height, {258: 8, 259: 1, 262: 1}, bytes(64)),
        )
    for width, height in ((HUGE, HUGE), (0, 0)):
        size = struct.pack("<HH", width, height)
        yield f"says-{width}x{height}.gif", b"GIF89a" + size + encoded(scene(), "gif")[10:]
        whole = bytearray(encoded(scene(), "jpg"))
        frame = whole.index(b"\xff\xc0")
        whole[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
        yield f"says-{width}x{height}.jpg", bytes(whole)
    whole = bytearray(encoded(scene(), "bmp"))
    for width, height in ((HUGE, HUGE), (0, 0), (-64, -64), (64, -(2**31))):
        whole[18:26] = struct.pack("<ii", width, height)
        yield f"says-{width}x{height}.bmp", bytes(whole)
    whole = bytearray(encoded(scene(), "heic"))
    size = whole.index(b"ispe") + 8
    for width, height in ((HUGE, HUGE), (16_000, 16_000), (0, 64)):
        whole[size : size + 8] = struct.pack(">II", width, height)
        yield f"says-{width}x{height}.heic", bytes(whole)
    for width, height in ((1, 1), (1, 4000), (4000, 1), (15, 15), (16, 16), (16, 8000), (8000, 17)):
        for ending in ("png", "jpg", "webp"):
            yield f"is-{width}x{height}.{ending}", encoded(scene(width, height), ending)


# --- Modes and metadata -------------------------------------------------------------------------


def modes() -> Files:
    """Every kind of pixel that a file can hold."""
    rgb = scene()
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):
        image = rgb.convert("L").convert(mode) if mode.startswith("I") else rgb.convert(mode)
        yield f"mode-{mode.replace(';', '-')}.png", encoded(image, "png")
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "LAB", "I", "F", "I;16"):
        image = rgb.convert("L").convert(mode) if mode[0] in "IF" else rgb.convert(mode)
        yield f"mode-{mode.replace(';', '-')}.tiff", encoded(image, "tiff")
    for mode in ("L", "CMYK", "YCbCr"):
        yield f"mode-{mode}.jpg", encoded(rgb.convert(mode), "jpg")
    see_through = rgb.convert("P")
    for ending in ("png", "gif"):
        yield f"palette-transparent.{ending}", encoded(see_through, ending, transparency=3)
    yield "palette-transparency-out-of-range.gif", encoded(see_through, "gif", transparency=255)
    values = np.float32([[np.nan, np.inf, -np.inf, 1e38] * 8] * 32)
    yield "float-nan.tiff", encoded(Image.fromarray(values), "tiff")


def metadata() -> Files:
    """Corrupt and overlong EXIF, colour profiles and texts."""
    picture = scene()
    tiff_header = b"Exif\x00\x00II*\x00\x08\x00\x00\x00"
    exifs = {
        "cut": tiff_header + b"\xff\xff",
        "loop": tiff_header + struct.pack("<HHHII", 1, 0x8769, 4, 1, 8),
        "noise": b"Exif\x00\x00" + bytes(range(256)) * 8,
        "orientation": tiff_header + struct.pack("<HHHII", 1, 0x0112, 3, 1, 0xFFFF),
    }
    for name, exif in exifs.items():
        for ending in ("jpg", "png", "webp"):
            yield f"exif-{name}.{ending}", encoded(picture, ending, exif=exif)
    profiles = {
        "short": b"icc",
        "noise": bytes(range(256)) * 4,
        "long": struct.pack(">I", 2**31) + bytes(200),
    }
    for name, profile in profiles.items():
        for ending in ("jpg", "png", "webp", "tiff"):
            yield f"profile-{name}.{ending}", encoded(picture, ending, icc_profile=profile)


def animated() -> Files:
    """Ten thousand frames, of which one is wanted."""
    frames = [Image.new("P", (32, 32), number % 256) for number in range(10_000)]
    yield "frames.gif", encoded(frames[0], "gif", save_all=True, append_images=frames[1:])
    yield (
        "frames.png",
        encoded(
            frames[0].convert("L"),
            "png",
            save_all=True,
            append_images=[frame.convert("L") for frame in frames[1:]],
        ),
    )
    pages = [Image.new("L", (16, 16), number % 256) for number in range(1000)]
    yield "pages.tiff", encoded(pages[0], "tiff", save_all=True, append_images=pages[1:])


PARTS: tuple[Callable[[], Files], ...] = (
    truncated,
    misnamed,
    polyglots,
    bombs,
    just_allowed,
    declared,
    modes,
    metadata,
    animated,
)


def write(folder: Path) -> list[Path]:
    """All of them, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for part in PARTS:
        for name, content in part():
            path = folder / name
            path.write_bytes(content)
            paths.append(path)
    return paths


if __name__ == "__main__":
    print(f"{len(write(Path(sys.argv[1])))} files")
