"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from nst_core import ImageError
from nst_core.files import by_ending, replacing, write_whole


@pytest.fixture
def umask(monkeypatch):
    """Set the umask of the process; from then on, nobody else may."""
    before = os.umask(0)
    os.umask(before)
    set_umask = os.umask

    def install(mask: int) -> None:
        set_umask(mask)
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the process' umask is changed"))

    yield install
    set_umask(before)


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o002])
def test_a_file_has_the_permissions_that_the_umask_leaves(mask, umask, tmp_path):
    """Without ever changing the umask, which is the whole process' and not a thread's."""
    umask(mask)
    path = tmp_path / "result.png"
    write_whole(b"pixels", path)
    assert path.read_bytes() == b"pixels"
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_file_is_replaced_at_the_end_and_not_before(tmp_path):
    path = tmp_path / "result.png"
    path.write_bytes(b"old")
    with replacing(path) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_failure_leaves_no_trace(error, before, tmp_path):
    path = tmp_path / "result.png"
    if before is not None:
        path.write_bytes(before)

    def write_half():
        with replacing(path) as part:
            part.write_bytes(b"half of it")
            raise error

    with pytest.raises(error):
        write_half()
    assert [file.name for file in tmp_path.iterdir()] == ([] if before is None else [path.name])
    assert before is None or path.read_bytes() == before


def test_what_cannot_be_replaced_leaves_no_trace(tmp_path):
    path = tmp_path / "folder.png"
    path.mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(b"pixels", path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(b"pixels", tmp_path / "absent" / "result.png")


@pytest.mark.parametrize("letter", ["a", "ü", "画", "🎨"])
def test_the_longest_names_that_the_system_takes(letter, tmp_path):
    """255 bytes are the limit, and the part that is being written has a name, too."""
    path = tmp_path / (letter * (251 // len(letter.encode())) + ".png")
    write_whole(b"pixels", path)
    assert list(tmp_path.iterdir()) == [path]


def test_two_threads_that_write_at_once_leave_one_whole_file(tmp_path):
    """Both have written their halves before either begins with the rest."""
    path, both = tmp_path / "result.png", threading.Barrier(2)

    def write(letter: bytes) -> None:
        with replacing(path) as part, part.open("wb") as file:
            file.write(letter * 5000)
            file.flush()
            both.wait()
            file.write(letter * 5000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in (b"a" * 10_000, b"b" * 10_000)
    assert list(tmp_path.iterdir()) == [path]


def test_by_ending(tmp_path):
    table = {".png": "PNG", ".jpg": "JPEG"}
    assert by_ending(table, tmp_path / "a.PNG", "A picture", ImageError) == "PNG"
    for name in ("a.gif", "a", ".png"):
        with pytest.raises(ImageError, match=rf"A picture.*'{name}'.*one of \.jpg, \.png"):
            by_ending(table, tmp_path / name, "A picture", ImageError)
