"""The page, put together and served: `python app.py`.

What there is and where stands in `page/layout.py`, what happens on a click in `page/wiring.py` and
the rooms below it; the engine is `nst_core`. TensorFlow loads in the background, so the page
answers first.
"""

from __future__ import annotations

import copy
import functools
import json
import math
import re
import threading
from pathlib import Path
from typing import Any

import gradio as gr

from nst_core.explain.markup import STYLE
from page import gradio_inside, journal, layout, regions, serving, studio, texts, wiring
from page.gradio_inside import Multilingual
from page.limits import LIMITS

PARTS = Path(__file__).parent / "page"

# The soft theme's own font has other letters in text than in headings; in this one, weight 600
# lacks umlauts, and 700 takes its place.
FONT = (gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif")
# Gradio's soft theme with more contrast, which small text needs, and edges in light colours, too.
THEME = gr.themes.Soft(font=FONT).set(
    body_background_fill="*neutral_100",
    input_border_width="1px",
    input_border_color="*neutral_300",
    input_border_color_dark="*neutral_600",
    checkbox_border_color="*neutral_400",
    button_secondary_border_color="*neutral_300",
    button_border_width="1px",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_label_text_color="*primary_700",
    block_title_text_color="*primary_700",
    checkbox_label_background_fill_selected="*primary_600",
    color_accent="*primary_600",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
)

# The colour of each region beside its name, as the brush paints it.
BRUSHES = "".join(
    f"#brush label:nth-of-type({number}) {{ --brush: {colour}; }}\n"
    for number, colour in enumerate(regions.BRUSHES, start=1)
)


def _named_sources() -> str:
    """Rules that put a word beside each icon of where a picture comes from, in each language."""
    rules = []
    for language in texts.LANGUAGES:
        with texts.speaking(language):
            rules += [
                f'html[lang={language}] .source-selection [aria-label="{label}"]::after '
                f'{{ content: "{word}"; }}\n'
                for label, word in layout.picture_sources().items()
            ]
    return "".join(rules)


# Functions without arguments, which the browser runs once the page is there.
SCRIPTS = "() => {{ {} }}".format(
    " ".join(
        "({})();".format(
            re.sub(r"^//.*\n", "", (PARTS / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
        )
        for name in ("presenter.js", "page.js", "strokes.js", "mirror.js")
    )
)


# What the browser runs before Gradio builds the page.
HEAD = f"<script>{(PARTS / 'storage.js').read_text(encoding='utf-8')}</script>"


def launch_options() -> dict[str, Any]:
    """How the page is served, here and in the tests; Gradio adds to it, so it is made anew."""
    return copy.deepcopy(serving.OPTIONS) | {
        "theme": THEME,
        "css": (PARTS / "page.css").read_text(encoding="utf-8")
        + BRUSHES
        + _named_sources()
        + STYLE,
        "js": SCRIPTS,
        "head": HEAD,
    }


def make_page() -> gr.Blocks:
    """The whole page, not yet served."""
    serving.shut()
    gradio_inside.hand_back_every_output()
    page, *others = gradio_inside.numbered_alike(_lay_out, texts.LANGUAGES)
    page.others = dict(zip(texts.LANGUAGES[1:], others, strict=True))
    page.queue(max_size=math.ceil(LIMITS.events), api_open=False)
    return page


def _lay_out(language: str) -> Multilingual:
    """The page in one language."""
    with texts.speaking(language):
        page = Multilingual(title=texts.say("page.title"), analytics_enabled=False, fill_width=True)
        with page:
            wiring.wire(page, layout.lay_out())
    return page


def main() -> None:
    """Serve the page, and load TensorFlow while the visitor looks around."""
    journal.start()
    gradio_inside.move_in(studio.FOLDER)
    serving.end_when_told()
    page = make_page()
    shown = json.dumps(page.get_config_file(), default=str)
    own = {path for path in studio.files() if str(path) in shown}
    page.launch(prevent_thread_lock=True, **launch_options())
    for work in (serving.warm_up_quietly, functools.partial(serving.keep_tidy, own)):
        threading.Thread(target=work, daemon=True).start()
    page.block_thread()


if __name__ == "__main__":
    main()
