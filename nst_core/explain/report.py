"""One HTML file that explains a photo and a painting, for a course: no server, no other file.

    write("photo.jpg", "painting.jpg", Path("report"))

What stands in it is made in `sections.py`, and what it looks like in `markup.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from nst_core.explain.explore import VGG_16
from nst_core.explain.markup import STYLE, section_html
from nst_core.explain.parts import Paragraph, Section, Words
from nst_core.explain.sections import TOPICS, grow, originals
from nst_core.files import write_whole
from nst_core.pictures.images import ImageSource
from nst_core.sentence import Sentence
from nst_core.stop import StopToken

NAME = "index.html"


INTRODUCTION = Words(
    Sentence("Inside neural style transfer"),
    Sentence(
        "A photo and a painting go in, and a third picture comes out. Step by step it is changed, "
        "until a network, VGG-16, sees the things of the photo in it, and the marks of the "
        "painting."
    ),
    Sentence("Gatys, Ecker and Bethge 2015, arXiv:1508.06576"),
)

Tell = Callable[[str], None]


def write(
    photo: ImageSource,
    painting: ImageSource,
    folder: Path,
    stop: StopToken | None = None,
    tell: Tell = lambda _title: None,
) -> Path | None:
    """Write the report into a folder, which is made where it is missing.

    Args:
        photo, painting: as `images.load` takes them.
        stop: ends the work within a step; nothing is written then.
        tell: is called with the title of each section when it is done.

    Returns the file, or None where it was stopped.
    Raises `ImageError` for pictures that cannot be used, `OSError` where nothing can be written.
    """
    stop = stop or StopToken()
    sections = [_pictures(photo, painting)]  # loaded before anything takes time
    folder.mkdir(parents=True, exist_ok=True)
    for name, topic in TOPICS.items():
        sections += deque(grow(name, photo, painting, stop), maxlen=1)
        if stop.is_set():
            return None
        tell(topic.words.title)
    file = folder / NAME
    write_whole(_page(sections).encode(), file)
    return file


def _pictures(photo: ImageSource, painting: ImageSource) -> Section:
    return Section(INTRODUCTION, (originals(photo, painting), Paragraph(VGG_16)))


def _page(sections: Iterable[Section]) -> str:
    body = "font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem"
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>Inside neural style transfer</title><style>body{{{body}}}{STYLE}</style>"
        f"{''.join(map(section_html, sections))}</html>"
    )
