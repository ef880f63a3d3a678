"""One picture or film of a batch that is to be painted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nst_core.films.painter import QUICK
from nst_core.settings import Settings

# Endings of what is taken for a picture in a folder: those of `images.READABLE`.
PICTURES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".heif")
)
# And for a clip, of which a film is painted.
CLIPS = frozenset((".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi"))


@dataclass(frozen=True)
class Task:
    """One picture, or one clip, to be painted."""

    content: Path
    style: tuple[tuple[Path, float], ...]  # paintings and their weights
    settings: Settings
    output: Path  # a PNG or MP4, which can keep its recipe
    quality: str = QUICK  # of a film

    @property
    def is_clip(self) -> bool:
        """Whether its outcome is a film."""
        return is_clip(self.content)


def is_clip(content: Path) -> bool:
    """Whether a file is taken for a clip."""
    return content.suffix.lower() in CLIPS
