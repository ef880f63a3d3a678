"""Files that are there whole or not at all, and what the ending of a file's name says."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from nst_core.errors import NSTError
from nst_core.sentence import Sentence

Entry = TypeVar("Entry")


def by_ending(
    table: Mapping[str, Entry], path: Path, what: Sentence, error: type[NSTError]
) -> Entry:
    """The entry of `table` for a file's ending, or an `error` that names the known ones."""
    try:
        return table[path.suffix.lower()]
    except KeyError:
        raise error(
            "{what} cannot be written as {name!r}; its ending must be one of {endings}.",
            what=what,
            name=path.name,
            endings=", ".join(sorted(table)),
        ) from None


def write_whole(data: bytes, path: Path) -> None:
    """Write a file that is there whole or not at all; raises `OSError` when it cannot be."""
    with replacing(path) as part:
        part.write_bytes(data)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which becomes `path` at the end, or leaves no trace on failure."""
    part = path.parent / f".{path.name}-{secrets.token_hex(6)}.part"
    part.mkdir()
    try:
        yield part
        part.replace(path)
    except BaseException:
        shutil.rmtree(part)
        raise


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty file to write, which replaces `path` at the end, or leaves no trace on failure."""
    part = path.parent / f".{path.stem[:50]}-{secrets.token_hex(6)}.part"
    # The system applies the process' umask to this mode; nothing of the process is changed.
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink()
        raise
