"""What is on the page, and where; what happens on a click is wired to it in `wiring.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from nst_core import __version__
from nst_core.pictures import film
from nst_core.presets import PRESETS
from page import choose, controls, examples, gradio_inside, looks, regions
from page.choice import FIELDS, MASKS, NUMBERS, STYLES, WEIGHTS
from page.components import Board, PictureInput
from page.paint import Tools
from page.stage import Shown

NOTHING_YET = "Nothing was painted yet: press **Paint**, then look here, also during the run."


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
    picked: gr.Textbox  # the number of the pair that was clicked
    photos: gr.Gallery
    paintings: gr.Gallery  # each as the photo looks in it, as soon as one was chosen
    which: gr.Radio  # the number of the painting that a click fills


@dataclass(frozen=True)
class Regions:
    """Where regions are drawn."""

    accordion: gr.Accordion
    keep_people: gr.Button
    brush: gr.Radio
    board: Board
    on_board: gr.Textbox  # the photo that is there


@dataclass(frozen=True)
class Sharing:
    """The link, and where a recipe is taken from."""

    link: gr.Button
    address: gr.Textbox
    recipe: gr.UploadButton


@dataclass(frozen=True)
class Comparison:
    """Photo and picture, under a slider between them."""

    tab: gr.Tab
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
class Film:
    """The run as a film, and a button that saves it in a format of choice."""

    tab: gr.Tab
    nothing_yet: gr.Markdown
    screen: gr.Column
    video: gr.Video
    ending: gr.Radio
    save: gr.DownloadButton


@dataclass(frozen=True)
class Stage:
    """What a run shows itself on; presenter mode shows nothing else."""

    views: gr.Tabs
    comparison: Comparison
    moments: Moments
    film: Film
    shown: Shown  # what a run changes, but for the losses


@dataclass(frozen=True)
class Page:
    """All components that something is wired to."""

    remembered: gr.BrowserState  # `share.Kept` of the last picture painted in this browser
    present: gr.Button
    fields: Fields
    preset: gr.Radio
    pickers: Pickers
    regions: Regions
    sharing: Sharing
    stage: Stage
    tools: Tools
    shown: Shown  # what a run changes on the stage


def lay_out() -> Page:
    """The whole page, inside of a `gr.Blocks`."""
    remembered = gr.BrowserState(
        None, storage_key="neural-style-transfer", secret="it names no secret"
    )
    present = _head()
    pairs = _pairs()
    with gr.Row(elem_id="main"):
        with gr.Column(elem_id="choose"):
            subject, pickers, regions_ = _pictures(pairs)
        with gr.Column(elem_id="set"):
            preset, settings = _settings()
            sharing = _sharing()
        with gr.Column(elem_id="watch"):
            stage = _stage()
            tools, losses = _tools()
    gr.Markdown(
        f"Version {__version__}. After Gatys, Ecker and Bethge, "
        "*A Neural Algorithm of Artistic Style* (2015)."
    )
    shown = stage.shown._replace(losses=losses)
    fields = Fields(subject | settings)
    return Page(
        remembered, present, fields, preset, pickers, regions_, sharing, stage, tools, shown
    )


# --- Head and pairs -----------------------------------------------------------------------------


def _head() -> gr.Button:
    """The heading, and the button for presenter mode."""
    with gr.Row(elem_id="head"):
        gr.Markdown(
            "# Neural Style Transfer\n"
            "Choose a pair, or your own photo and painting. Press **Paint** and watch."
        )
        return gr.Button("Present", size="sm", scale=0, min_width=110, elem_id="present")


def _pairs() -> gr.Gallery:
    """The pairs, each as its finished picture."""
    return gr.Gallery(
        [(examples.pair_card(*pair), examples.pair_caption(*pair)) for pair in examples.PAIRS],
        label="Pairs to try",
        show_label=False,
        height="auto",
        allow_preview=False,
        elem_id="pairs",
        elem_classes="picker",
        format="jpeg",
        buttons=[],
    )


# --- Pictures and settings ----------------------------------------------------------------------


def _pictures(pairs: gr.Gallery) -> tuple[dict[str, Any], Pickers, Regions]:
    """The fields of `choice.SUBJECT`, and the examples to fill them with."""
    with gr.Row(elem_id="inputs"):
        made = {
            "content": _picture_input("Photo", "content"),
            "style": _picture_input("Painting", "style"),
        }
    with gr.Tabs():
        with gr.Tab("Photos"):
            photos = _picker("content", "Photos", examples.thumbnails("content"))
        with gr.Tab("Paintings"):
            which = gr.Radio(
                [(f"Painting {number}", number) for number in NUMBERS],
                value=1,
                label="A click chooses",
                visible=False,
                elem_id="which",
            )
            paintings = _picker("style", "Paintings", looks.paintings())
    keep_people = gr.Button("Keep the people as in the photo", size="sm", elem_id="keep-people")
    with gr.Accordion("More paintings and regions", open=False, elem_id="more") as accordion:
        made |= _paintings()
        brush, board, masks = _regions()
    on_board = _hidden()
    pickers = Pickers(pairs, _hidden(), photos, paintings, which)
    return made | masks, pickers, Regions(accordion, keep_people, brush, board, on_board)


def _paintings() -> dict[str, Any]:
    """Paintings 2 to 4, and the weights of all."""
    made: dict[str, Any] = {}
    with gr.Row(elem_classes="few"):
        for number, name in zip(NUMBERS[1:], STYLES[1:], strict=True):
            made[name] = _picture_input(f"Painting {number}", name, 130)
    with gr.Row(elem_classes="few"):
        for number, name in zip(NUMBERS, WEIGHTS, strict=True):
            weight = gr.Slider(
                0, 1, value=1.0, step=0.05, label=f"Weight {number}", elem_id=name, min_width=100
            )
            made[name] = gradio_inside.take_anything(weight)
    return made


def _regions() -> tuple[gr.Radio, Board, dict[str, Any]]:
    """Where each painting rules: drawn on the photo, or as pictures."""
    names = [*(f"Painting {number}" for number in NUMBERS), "Keep the photo here"]
    brush = gr.Radio(
        [(name, number) for number, name in enumerate(names)],
        value=0,
        label="Regions: draw on the photo where this rules",
        info="A painting without a region rules wherever no other does. If all have one, the rest "
        "stays as in the photo.",
        elem_id="brush",
    )
    board = Board(
        label="Regions",
        show_label=False,
        brush=regions.brush(0),
        eraser=gr.Eraser(default_size=40),
        layers=False,
        sources=(),
        transforms=(),
        format="png",
        canvas_size=(640, 430),
        height=360,
        elem_id="board",
    )
    with gr.Accordion("Regions as pictures, white inside", open=False), gr.Row(elem_classes="few"):
        masks = {
            field: _picture_input(name, field, 110)
            for field, name in zip(MASKS, names, strict=True)
        }
    return brush, board, masks


def _settings() -> tuple[gr.Radio, dict[str, Any]]:
    """Presets, and the controls of all settings."""
    preset = gr.Radio(
        [(preset.label, name) for name, preset in PRESETS.items()],
        value=choose.OPENING,
        label="Preset",
        info=" · ".join(f"{p.label.split(' · ')[0]}: {p.help}" for p in PRESETS.values()),
        elem_id="preset",
    )
    made = {name: controls.make(name) for name in controls.FOREMOST}
    with gr.Accordion("Advanced", open=False, elem_id="settings"), gr.Row(elem_id="controls"):
        made |= {
            name: controls.make(name) for name in controls.NAMES if name not in controls.FOREMOST
        }
    return preset, made


def _sharing() -> Sharing:
    """The link, where it appears when its button was pressed, and the way back from a PNG."""
    with gr.Row():
        link = gr.Button("Copy link", size="sm", elem_id="link")
        # Of any type: whatever is dropped on the page arrives here, and is told what is missing.
        recipe = gr.UploadButton("Settings from a PNG", size="sm", elem_id="recipe")
    address = gr.Textbox(
        label="Link to this pair and these settings",
        interactive=False,
        visible=False,
        buttons=["copy"],
        elem_id="address",
    )
    return Sharing(link, address, recipe)


# --- The stage, and what stands under it --------------------------------------------------------


def _stage() -> Stage:
    """The picture, and what can be seen of its run afterwards."""
    opening = choose.opening_stage()
    with gr.Column(elem_id="stage"):
        title = gr.Markdown(opening.title, elem_id="title")
        with gr.Tabs(elem_id="views") as views:
            with gr.Tab("Picture", id="picture"):
                result = _picture_output("Result", "result", 410, opening.picture)
            comparison = _comparison()
            moments = _moments()
            run_film = _film()
        status = gr.Markdown(opening.status, elem_id="status")
    shown = Shown(result, status, token=_hidden(), title=title)
    return Stage(views, comparison, moments, run_film, shown)


def _comparison() -> Comparison:
    with gr.Tab("Before and after", id="compare") as tab:
        slider = gr.ImageSlider(
            choose.painted_pair(*choose.OPENING_PAIR),
            label="Before and after",
            show_label=False,
            format="jpeg",
            interactive=False,
            buttons=["fullscreen"],
            elem_id="comparison",
            max_height=410,
        )
    return Comparison(tab, slider)


def _moments() -> Moments:
    with gr.Tab("The run", id="run") as tab:
        nothing_yet = gr.Markdown(NOTHING_YET)
        with gr.Column(visible=False) as screen:
            picture = _picture_output("Picture on the way", "moment", 330)
            # Up to all that may be: what is told to the page later, the server may have forgotten.
            number = gr.Slider(
                1, film.MAX_PICTURES, step=1, label="Moment of the run", elem_id="number"
            )
    return Moments(tab, nothing_yet, screen, picture, number)


def _film() -> Film:
    with gr.Tab("Film", id="film") as tab:
        nothing_yet = gr.Markdown(NOTHING_YET)
        with gr.Column(visible=False) as screen:
            video = gr.Video(
                label="The run as a film",
                show_label=False,
                interactive=False,
                autoplay=True,
                loop=True,
                buttons=[],
                elem_id="video",
                height=350,
            )
            with gr.Row(equal_height=True):
                ending = gr.Radio(
                    [(ending[1:].upper(), ending) for ending in film.FORMATS],
                    value=".mp4",
                    label="Format of the film",
                    show_label=False,
                    container=False,
                    elem_id="ending",
                )
                save = gr.DownloadButton("Save film", interactive=False, elem_id="save-film")
    return Film(tab, nothing_yet, screen, video, ending, save)


def _tools() -> tuple[Tools, gr.LinePlot]:
    """What a run is steered with, what is kept of it, and the plot of its losses."""
    with gr.Row(elem_id="buttons"):
        paint = gr.Button("Paint", variant="primary", elem_id="paint")
        stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop")
        go_on = gr.Button("Continue", interactive=False, elem_id="continue")
    with gr.Row():
        blend = gr.Slider(
            0,
            100,
            value=100,
            step=1,
            label="Blend (%)",
            info="After the run: how much of the painting lies over the photo",
            interactive=False,
            scale=2,
            elem_id="blend",
        )
        save = gr.DownloadButton("Save PNG", interactive=False, elem_id="save")
    with gr.Column(visible=False) as chart:
        losses = _losses()
    return Tools(paint, stop, go_on, save, blend, chart), losses


def _losses() -> gr.LinePlot:
    return gr.LinePlot(
        elem_id="losses",
        x="step",
        y="loss",
        color="term",
        x_title="Step",
        y_title="Loss (power of ten)",
        color_title=" ",
        label="Losses",
        show_label=True,
    )


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
        alt_text=f"{label}: the photo, painted in the style of the painting",
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


def _picker(kind: str, label: str, cards: Sequence[tuple[Any, str]]) -> gr.Gallery:
    """A gallery of example pictures with their captions."""
    return gr.Gallery(
        list(cards),
        label=label,
        show_label=False,
        height=300,
        allow_preview=False,
        object_fit="cover",
        elem_id=f"pick-{kind}",
        elem_classes="picker",
        format="jpeg",
        buttons=[],
    )
