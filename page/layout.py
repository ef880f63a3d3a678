"""What is on the page, and where; what happens on a click is wired to it in `wiring.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from nst_core import __version__
from nst_core.pictures import film
from nst_core.presets import PRESETS
from page import (
    choose,
    controls,
    examples,
    film_tab,
    gradio_inside,
    inside_tab,
    looks,
    mirror,
    mirror_tab,
    regions,
    views,
)
from page.choice import FIELDS, MASKS, NUMBERS, STYLES, WEIGHTS
from page.components import Board, Download, PictureInput
from page.film_tab import FilmTab
from page.inside_tab import InsideTab
from page.mirror_tab import MirrorTab
from page.paint import Tools
from page.stage import Shown
from page.texts import say

QUEUE_SECONDS = 10  # between two looks at how many wait

# What a browser keeps the last picture, the last film, and which of them was begun last under.
REMEMBERED = ("neural-style-transfer", "neural-style-transfer-film", "neural-style-transfer-last")


@dataclass(frozen=True)
class Fields:
    """What a `Choice` is made of: a component for each of `choice.FIELDS`."""

    of: dict[str, Any]

    def row(self, names: Iterable[str] = FIELDS) -> list[Any]:
        """Components in the order of these fields, as `Choice.from_row` and `to_row` have them."""
        return [self.of[name] for name in names]


@dataclass(frozen=True)
class Pickers:
    """Examples to fill the fields with."""

    pairs: gr.Gallery
    picked: gr.Textbox  # always empty: a click sends the pair's number in its place
    tabs: gr.Tabs
    photos: gr.Gallery
    paintings: gr.Gallery  # each as the photo looks in it, as soon as one was chosen
    clip: FilmTab
    which: gr.Radio  # the number of the painting that a click fills
    at_once: gr.Textbox  # whether the painting that was clicked is painted
    uploads: dict[str, gr.UploadButton]  # that the fields' own upload buttons press


@dataclass(frozen=True)
class Door:
    """What is behind "More", beside fields of the choice."""

    accordion: gr.Accordion
    keep_people: gr.Button
    drawn: gr.Markdown  # that it was taken
    brush: gr.Radio
    board: Board
    on_board: gr.Textbox  # the photo that is there
    mixing: gr.Tab
    weights: gr.Row


@dataclass(frozen=True)
class Sharing:
    """The link, and where a recipe is taken from."""

    link: gr.Button
    address: gr.Textbox
    code: gr.HTML  # the address as phones scan it
    take: gr.Button  # opens the file dialog of the next
    recipe: gr.UploadButton  # takes a painted picture, also one that is dropped on the page


@dataclass(frozen=True)
class Comparison:
    """Photo and picture, under a slider between them."""

    tab: gr.Tab
    against: gr.Radio  # the photo, or the picture before
    slider: gr.ImageSlider


@dataclass(frozen=True)
class Moments:
    """Every picture of the run, under a slider."""

    tab: gr.Tab
    nothing_yet: gr.Markdown
    screen: gr.Column
    picture: gr.Image
    number: gr.Slider


@dataclass(frozen=True)
class Strokes:
    """Where each stroke comes from."""

    tab: gr.Tab
    nothing_yet: gr.Markdown
    screen: gr.HTML


@dataclass(frozen=True)
class Film:
    """The run as a film, and in which format it is saved."""

    tab: gr.Tab
    nothing_yet: gr.Markdown
    screen: gr.Column
    video: gr.Video
    ending: gr.Radio
    save: gr.Button  # as the one under the stage, where it is looked for; also during a run
    file: Download  # what was made to be saved


@dataclass(frozen=True)
class Stage:
    """What a run shows itself on; presenter mode shows nothing else."""

    views: gr.Tabs
    comparison: Comparison
    moments: Moments
    strokes: Strokes
    film: Film
    mirror: MirrorTab | None  # None where the host has switched it off
    shown: Shown  # what a run changes, but for the losses


@dataclass(frozen=True)
class Page:
    """All components that something is wired to."""

    remembered: gr.BrowserState  # `share.Kept` of the last picture painted in this browser
    film_remembered: gr.BrowserState  # the token of the last film
    last_begun: gr.BrowserState  # `share.PICTURE` or `share.FILM`
    present: gr.Button
    fields: Fields
    preset: gr.Radio
    until: gr.Radio  # whether it is painted for a time or a number of steps
    pickers: Pickers
    door: Door
    sharing: Sharing
    stage: Stage
    inside: InsideTab
    tools: Tools
    shown: Shown  # what a run changes on the stage
    clock: gr.Timer  # asks now and then how many are waiting


def lay_out() -> Page:
    """The whole page, inside of a `gr.Blocks`."""
    remembered, film_remembered, last_begun = (
        gr.BrowserState(None, storage_key=key, secret="it names no secret") for key in REMEMBERED
    )
    present = _head()
    with gr.Row(elem_id="main"):
        with gr.Column(elem_id="finished"):
            pairs = _pairs()
        with gr.Column(elem_id="choose"):
            pictures, pickers = _pictures(pairs)
        with gr.Column(elem_id="watch"):
            stage = _stage()
            paint, stop, go_on = _steering()
            foremost = _foremost()
            save, save_film, link, address, code = _keeping()
            preset = _preset()
        with gr.Column(elem_id="doors"):
            more, blend, door = _more()
            settings, until, take = _expert()
            chart, losses = _losses()
            inside = inside_tab.lay_out()
    gr.Markdown(say("page.about", version=__version__))
    return Page(
        remembered=remembered,
        film_remembered=film_remembered,
        last_begun=last_begun,
        present=present,
        fields=Fields(pictures | more | foremost | settings),
        preset=preset,
        until=until,
        pickers=pickers,
        door=door,
        sharing=Sharing(link, address, code, take, _recipe()),
        stage=stage,
        inside=inside,
        tools=Tools(paint, stop, go_on, save, save_film, blend, chart),
        shown=stage.shown._replace(losses=losses),
        clock=gr.Timer(QUEUE_SECONDS),
    )


# --- Head and pairs -----------------------------------------------------------------------------


def _head() -> gr.Button:
    """The heading, and the button for presenter mode."""
    with gr.Row(elem_id="head"):
        gr.Markdown(f"# {say('page.title')}\n{say('page.intro')}")
        return gr.Button(say("page.present"), size="sm", scale=0, min_width=110, elem_id="present")


def _pairs() -> gr.Gallery:
    """The pairs, each as its finished picture."""
    return gr.Gallery(
        [(examples.pair_card(*pair), examples.pair_caption(*pair)) for pair in examples.PAIRS],
        label=say("pictures.pairs"),
        show_label=False,
        height="auto",
        allow_preview=False,
        elem_id="pairs",
        elem_classes="picker",
        format="jpeg",
        buttons=[],
    )


# --- Pictures -----------------------------------------------------------------------------------


def _pictures(pairs: gr.Gallery) -> tuple[dict[str, Any], Pickers]:
    """Photo and painting, and the examples to fill both with."""
    with gr.Row(elem_id="inputs"):
        made = {
            "content": _picture_input(say("pictures.photo"), "content"),
            "style": _picture_input(say("pictures.painting"), "style"),
        }
    with gr.Tabs(elem_id="pick", selected="style") as tabs:  # in the order of the fields above
        with gr.Tab(say("pictures.photos"), id="content"):
            photos = _picker("content", say("pictures.photos"), examples.thumbnails("content"))
        with gr.Tab(say("pictures.paintings"), id="style"):
            which = gr.Radio(
                [(_painting(number), number) for number in NUMBERS],
                value=1,
                label=say("pictures.which"),
                visible=False,
                elem_id="which",
            )
            paintings = _picker("style", say("pictures.paintings"), looks.paintings())
        with gr.Tab(say("films.tab"), id="clip", elem_id="film-tab"):
            clip = film_tab.lay_out()
    uploads = {name: _upload(name) for name in made}
    return made, Pickers(pairs, _hidden(), tabs, photos, paintings, clip, which, _hidden(), uploads)


# --- Behind the doors ---------------------------------------------------------------------------


def _more() -> tuple[dict[str, Any], gr.Slider, Door]:
    """What is not needed at first: parts of the photo, several paintings, colours and size."""
    with (
        gr.Accordion(say("more.door"), open=False, elem_id="more") as accordion,
        gr.Tabs(),
    ):
        with gr.Tab(say("more.keep")):
            keep_people, drawn, brush, board = _drawing()
        with gr.Tab(say("more.mix")) as mixing:
            paintings, weights = _paintings()
        with gr.Tab(say("more.colours")), gr.Row(elem_classes="controls"):
            settings = {name: controls.make(name) for name in controls.MORE}
            blend = _blend()
    door = Door(accordion, keep_people, drawn, brush, board, _hidden(), mixing, weights)
    return paintings | settings, blend, door


def _drawing() -> tuple[gr.Button, gr.Markdown, gr.Radio, Board]:
    """Where the photo stays as it is, or where each of several paintings applies."""
    gr.Markdown(say("more.draw"))
    keep_people = gr.Button(say("more.keep_people"), size="sm", elem_id="keep-people")
    drawn = gr.Markdown(elem_id="drawn")
    *paintings, kept = enumerate(_regions())
    brush = gr.Radio(
        [(name, number) for number, name in (kept, *paintings)],
        value=kept[0],
        label=say("more.brush"),
        info=say("more.brush_hint"),
        visible=False,  # with one painting there is nothing to choose
        elem_id="brush",
    )
    board = Board(
        label=say("more.regions"),
        show_label=False,
        brush=regions.brush(kept[0]),
        eraser=gr.Eraser(default_size=40),
        layers=False,
        sources=(),
        transforms=(),
        format="png",
        canvas_size=(640, 430),
        height=360,
        elem_id="board",
    )
    return keep_people, drawn, brush, board


def _paintings() -> tuple[dict[str, Any], gr.Row]:
    """Paintings 2 to 4, and the weights of all, to be seen as soon as there is a second."""
    made: dict[str, Any] = {}
    with gr.Row(elem_classes="few"):
        for number, name in zip(NUMBERS[1:], STYLES[1:], strict=True):
            made[name] = _picture_input(_painting(number), name, 130)
    with gr.Row(elem_classes="few", visible=False) as weights:
        for number, name in zip(NUMBERS, WEIGHTS, strict=True):
            label = say("more.weight", number=number)
            weight = gr.Slider(0, 1, value=1.0, step=0.05, label=label, elem_id=name, min_width=100)
            made[name] = gradio_inside.take_anything(weight)
    return made, weights


def _blend() -> gr.Slider:
    return gr.Slider(
        0,
        100,
        value=100,
        step=1,
        label=say("more.blend"),
        info=say("more.blend_hint"),
        interactive=False,
        elem_id="blend",
    )


def _expert() -> tuple[dict[str, Any], gr.Radio, gr.Button]:
    """All other settings, regions as pictures, and the way back from a painted picture."""
    with gr.Accordion(say("expert.door"), open=False, elem_id="settings"):
        until = gr.Radio(
            [(say("expert.for_time"), choose.TIME), (say("expert.for_steps"), choose.STEPS)],
            value=choose.TIME,
            label=say("expert.until"),
            elem_id="until",
        )
        with gr.Row(elem_classes="controls"):
            made = {name: controls.make(name) for name in controls.EXPERT}
        with gr.Accordion(say("expert.regions"), open=False):
            gr.Markdown(say("expert.regions_hint"))
            with gr.Row(elem_classes="few"):
                made |= {
                    field: _picture_input(name, field, 110)
                    for field, name in zip(MASKS, _regions(), strict=True)
                }
        take = gr.Button(say("expert.take_recipe"), size="sm")
    return made, until, take


def _losses() -> tuple[gr.Accordion, gr.LinePlot]:
    """How the losses fall, folded away."""
    with gr.Accordion(say("losses.door"), open=False, visible=False, elem_id="chart") as chart:
        gr.Markdown(say("losses.hint"))
        plot = gr.LinePlot(
            elem_id="losses",
            x="step",
            y="loss",
            color="term",
            x_title=say("losses.step"),
            y_title=say("losses.loss"),
            color_title=" ",
            label=say("losses.plot"),
            show_label=False,
        )
    return chart, plot


# --- The stage, and what stands under it --------------------------------------------------------


def _stage() -> Stage:
    """The picture, and what can be seen of its run afterwards."""
    opening = choose.opening_stage()
    with gr.Column(elem_id="stage"):
        title = gr.Markdown(opening.title, elem_id="title")
        with gr.Tabs(elem_id="views") as tabs:
            with gr.Tab(say("stage.picture"), id="picture"):
                result = _picture_output(say("stage.result"), "result", 410, opening.picture)
            comparison = _comparison()
            moments = _moments()
            strokes = _strokes()
            run_film = _film()
            live = mirror_tab.lay_out() if mirror.MAX_CAMERAS else None
        status = gr.Markdown(opening.status, elem_id="status")
        gr.Markdown(say("stage.keys"), elem_id="keys")
    progress = gr.JSON(visible=False)
    shown = Shown(result, status, token=_hidden(), title=title, progress=progress)
    return Stage(tabs, comparison, moments, strokes, run_film, live, shown)


def _comparison() -> Comparison:
    with gr.Tab(say("stage.compare"), id="compare") as tab:
        against = gr.Radio(
            [(say("stage.photo"), views.PHOTO), (say("stage.earlier"), views.EARLIER)],
            value=views.PHOTO,
            label=say("stage.against"),
            visible=False,  # until there was a picture before
            elem_id="against",
        )
        slider = gr.ImageSlider(
            choose.painted_pair(*choose.OPENING_PAIR),
            label=say("stage.compare"),
            show_label=False,
            format="jpeg",
            interactive=False,
            buttons=["fullscreen"],
            elem_id="comparison",
            max_height=410,
        )
    return Comparison(tab, against, slider)


def _moments() -> Moments:
    with gr.Tab(say("stage.run"), id="run") as tab:
        nothing_yet = gr.Markdown(say("stage.nothing_yet"))
        with gr.Column(visible=False) as screen:
            picture = _picture_output(say("stage.moment"), "moment", 330)
            # Up to all that may be: what is told to the page later, the server may have forgotten.
            number = gr.Slider(
                1, film.MAX_PICTURES, step=1, label=say("stage.number"), elem_id="number"
            )
    return Moments(tab, nothing_yet, screen, picture, number)


def _strokes() -> Strokes:
    with gr.Tab(say("stage.strokes"), id="strokes") as tab:
        nothing_yet = gr.Markdown(say("stage.nothing_yet"))
        screen = gr.HTML(visible=False, elem_id="strokes")
        gr.Markdown(say("stage.strokes_hint"), elem_classes="note")
    return Strokes(tab, nothing_yet, screen)


def _film() -> Film:
    with gr.Tab(say("stage.film"), id="film") as tab:
        nothing_yet = gr.Markdown(say("stage.nothing_yet"))
        with gr.Column(visible=False) as screen:
            video = gr.Video(
                label=say("stage.film_described"),
                show_label=False,
                interactive=False,
                autoplay=True,
                loop=True,
                buttons=[],
                elem_id="video",
                height=350,
            )
            ending = gr.Radio(
                controls.choices("film", film.FORMATS),
                value=".mp4",
                label=say("stage.film_format"),
                elem_id="ending",
            )
            save = gr.Button(say("tools.save_film"), size="md", elem_id="save-this-film")
        file = Download(visible="hidden")
    return Film(tab, nothing_yet, screen, video, ending, save, file)


def _steering() -> tuple[gr.Button, gr.Button, gr.Button]:
    """What a run is steered with."""
    with gr.Row(elem_id="buttons"):
        return (
            gr.Button(say("tools.paint"), variant="primary", elem_id="paint"),
            gr.Button(say("tools.stop"), variant="stop", interactive=False, elem_id="stop"),
            gr.Button(say("tools.continue"), interactive=False, elem_id="continue"),
        )


def _foremost() -> dict[str, Any]:
    """How strong, and whether faces are kept."""
    with gr.Row(elem_id="foremost"):
        return {name: controls.make(name) for name in controls.FOREMOST}


def _preset() -> gr.Radio:
    """How long, and in which of the two looks."""
    return gr.Radio(
        [(say(f"presets.{name}.label"), name) for name in PRESETS],
        value=choose.OPENING,
        label=say("look.preset"),
        info=say("look.preset_hint"),
        elem_id="preset",
    )


def _keeping() -> tuple[Download, gr.Button, gr.Button, gr.Textbox, gr.HTML]:
    """What can be taken along: picture, film, and the link, which appears when it was asked for."""
    with gr.Row(elem_id="keeping"):
        save = Download(say("tools.save"), interactive=False, size="md", elem_id="save")
        film = gr.Button(say("tools.save_film"), interactive=False, size="md", elem_id="save-film")
        link = gr.Button(say("tools.link"), size="md", elem_id="link")
    address = gr.Textbox(
        label=say("tools.address"),
        interactive=False,
        visible=False,
        buttons=["copy"],
        elem_id="address",
    )
    code = gr.HTML(visible=False, elem_id="code")
    return save, film, link, address, code


# --- Names --------------------------------------------------------------------------------------


def _painting(number: int) -> str:
    return say("pictures.painting_number", number=number)


def _regions() -> list[str]:
    """What is drawn or given for each of `MASKS`."""
    return [*map(_painting, NUMBERS), say("more.keep_photo")]


# --- Parts --------------------------------------------------------------------------------------


def _hidden() -> gr.Textbox:
    """A value that the page keeps and nobody sees.

    Not a `gr.State`, which the server keeps: for so many sessions only, and every call of another
    program is one. The visitors who came first would lose their pictures.
    """
    return gr.Textbox(visible="hidden")


def _picture_output(label: str, name: str, height: int, value: str | None = None) -> gr.Image:
    """A picture on the stage."""
    return gr.Image(
        value,
        label=label,
        show_label=False,
        format="jpeg",
        interactive=False,
        buttons=["fullscreen"],
        alt_text=say("stage.described", picture=label),
        elem_id=name,
        height=height,
    )


def _picture_input(label: str, name: str, height: int = 220) -> PictureInput:
    """An upload field for a picture; small ones take files only."""
    is_large = height > 150
    return PictureInput(
        label=label,
        type="filepath",
        image_mode=None,
        height=height,
        sources=["upload", "webcam", "clipboard"] if is_large else ["upload"],
        buttons=[],
        alt_text=label,
        elem_id=name,
        min_width=100,
    )


def _upload(name: str) -> gr.UploadButton:
    """Opens the browser's file dialog at once, where the field would first have to be emptied."""
    return gr.UploadButton(
        say("pictures.upload"), file_types=["image"], elem_id=f"upload-{name}", elem_classes="away"
    )


def _recipe() -> gr.UploadButton:
    """Not behind a door: what is not open is not in the browser, and nothing could be dropped."""
    with gr.Row(elem_classes="away"):  # by itself, for `page.js` to find its input
        # Of any type: whatever is dropped on the page arrives here, and is told what is missing.
        return gr.UploadButton(say("tools.recipe"), elem_id="recipe")


def picture_sources() -> dict[str, str]:
    """A word for each of Gradio's icons of where a picture comes from, by the icon's label."""
    return {
        "Upload file": say("pictures.file"),
        "Capture from camera": say("pictures.camera"),
        "Paste from clipboard": say("pictures.clipboard"),
    }


def _picker(kind: str, label: str, cards: Sequence[tuple[Any, str]]) -> gr.Gallery:
    """A gallery of example pictures with their captions."""
    return gr.Gallery(
        list(cards),
        label=label,
        show_label=False,
        height="auto",
        allow_preview=False,
        object_fit="cover",
        elem_id=f"pick-{kind}",
        elem_classes="picker",
        format="jpeg",
        buttons=[],
    )
