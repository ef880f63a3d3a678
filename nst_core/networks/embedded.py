"""The weights that come with the package, held against their checksums before they are loaded.

`SHA256SUMS` beside them is what `sha256sum` writes, and `sha256sum -c SHA256SUMS` reads. After a
script has made weights anew: `sha256sum $(cut -c67- SHA256SUMS) > new && mv new SHA256SUMS`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from nst_core.sentence import Sentence

FOLDER = Path(__file__).parents[1] / "weights"
SUMS = "SHA256SUMS"
REMEDY = Sentence("Restore nst_core/weights, for example with `git checkout -- nst_core/weights`.")


def damaged(name: str, folder: Path = FOLDER) -> Path | None:
    """The first of a net's files, or the list itself, that is missing or not as it was shipped.

    Args:
        name: what its files' names begin with, like "vgg16" or "preview/".
    """
    sums = folder / SUMS
    if not sums.is_file():
        return sums
    for line in sums.read_text().splitlines():
        checksum, file = line.split("  ", 1)
        path = folder / file
        if file.startswith(name) and (not path.is_file() or _sha256(path) != checksum):
            return path
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
