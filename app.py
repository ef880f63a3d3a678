"""The page: how it is laid out, and what is wired to what.

What happens on a click is in `page/actions.py`, the controls in `page/controls.py`, the example
pictures in `page/examples.py`, how it is served in `page/serving.py`; the engine is `nst_core`.
TensorFlow loads in the background, so the page answers first.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from nst_core import __version__
from nst_core.pictures import film
from nst_core.presets import PRESETS
from page import actions, controls, examples, journal, looks, mixing, serving, studio
from page.components import Board, PictureInput
from page.turns import MAX_WAITING

PARTS = Path(__file__).parent / "page"

# Gradio's soft theme with more contrast, which small text needs.
THEME = gr.themes.Soft().set(
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
    for number, colour in enumerate(mixing.BRUSHES, start=1)
)

# How the page is served, here and in the tests.
LAUNCH: dict[str, Any] = serving.OPTIONS | {
    "theme": THEME,
    "css": (PARTS / "page.css").read_text(encoding="utf-8") + BRUSHES,
    "js": (PARTS / "presenter.js").read_text(encoding="utf-8"),
}

MAX_EVENTS = 500  # that wait at once for anything, most of them for a moment only

# For events that are the page's own affair.
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

# Runs wait for their turn by themselves, see `page/turns.py`, each in a thread.
RUNS: dict[str, Any] = {
    "show_progress": "hidden",
    "concurrency_id": "runs",
    "concurrency_limit": 2 * MAX_WAITING,  # those that are refused have to be told
}

# Looks are computed for two visitors at once at most: for more, each would take longer.
LOOKS: dict[str, Any] = PRIVATE | {"concurrency_id": "looks", "concurrency_limit": 2}

# Presses Paint as soon as it can be pressed, and brings the picture into view on phones. Only for
# the first painting: who mixes several has more to choose.
PAINT_NOW = """(number) => {
    if (number !== 1) return;
    const press = (patience) => {
        const button = document.querySelector("#paint");
        if (!button.disabled) button.click();
        else if (patience) setTimeout(press, 50, patience - 1);
    };
    press(200);
    const stage = document.querySelector("#stage");
    if (stage.getBoundingClientRect().top > innerHeight / 2) stage.scrollIntoView();
}"""

NOTHING_YET = "Nothing was painted yet: press **Paint**, then look here, also during the run."

HERE = "(_, ...rest) => [location.origin + location.pathname, ...rest]"
COPY = "(link) => { navigator.clipboard?.writeText(link).catch(() => {}); }"


@dataclass(frozen=True)
class Stage:
    """What a run shows itself on; presenter mode shows nothing else."""

    title: gr.Markdown
    views: gr.Tabs
    result: gr.Image
    comparison: gr.ImageSlider
    status: gr.Markdown


@dataclass(frozen=True)
class Buttons:
    """What a run is steered with."""

    paint: gr.Button
    stop: gr.Button
    go_on: gr.Button


@dataclass(frozen=True)
class Pickers:
    """The example pictures to choose from."""

    photos: gr.Gallery
    paintings: gr.Gallery  # each as the photo looks in it, as soon as one was chosen
    which: gr.Radio  # the number of the painting that a click fills


def make_page() -> gr.Blocks:
    """The whole page, not yet served."""
    with gr.Blocks(
        title="Neural Style Transfer",
        analytics_enabled=False,
        fill_width=True,
    ) as page:
        token = gr.State(None)
        lay_out_head()
        pairs = lay_out_pairs()
        with gr.Row(elem_id="main"):
            with gr.Column(elem_id="choose"):
                pictures, more, pickers = lay_out_pictures()
            with gr.Column(elem_id="set"):
                preset, values = lay_out_settings()
                with gr.Row():
                    link = gr.Button("Copy link", size="sm", elem_id="link")
                    recipe = gr.UploadButton(
                        "Settings from a PNG", size="sm", file_types=[".png"], elem_id="recipe"
                    )
                lay_out_link(link, [*pictures, *values, *more])
            with gr.Column(elem_id="watch"):
                stage = lay_out_stage(token)
                buttons = lay_out_buttons()
                blend, save = lay_out_keeping()
                with gr.Column(visible=False) as chart:
                    losses = lay_out_losses()
        gr.Markdown(
            f"Version {__version__}. After Gatys, Ecker and Bethge, "
            "*A Neural Algorithm of Artistic Style* (2015)."
        )

        shown = [stage.result, stage.status, losses, token]
        tools = [buttons.paint, buttons.stop, buttons.go_on, save, blend, chart]
        choice = [*pictures, preset, *values, *more]
        wire_painting(stage, buttons, pairs, pickers, pictures, values, more, shown, tools)
        wire_picking(pickers, pictures, more, token, tools)
        wire_endpoints(pictures, values, more, shown)
        wire_returning(page, shown, tools, choice)
        recipe.upload(actions.take_recipe, recipe, choice, **PRIVATE)
        blend.input(
            actions.blend, [token, blend], stage.result, trigger_mode="always_last", **PRIVATE
        )
        blend.input(actions.save_blend, [token, blend], save, trigger_mode="always_last", **PRIVATE)
        color = values[controls.NAMES.index("color")]
        color.input(actions.recolor, [token, color, blend], [stage.result, save], **PRIVATE)
        gr.on(
            [picture.change for picture in pictures],
            actions.title,
            pictures,
            stage.title,
            **PRIVATE,
        )
    return page.queue(max_size=MAX_EVENTS, api_open=False)


# --- Wiring -------------------------------------------------------------------------------------


def wire_painting(
    stage: Stage,
    buttons: Buttons,
    pairs: gr.Gallery,
    pickers: Pickers,
    pictures: list[gr.Image],
    values: list[Any],
    more: list[Any],
    shown: list[Any],
    tools: list[Any],
) -> None:
    """Paint, Continue, Stop, and a pair that is clicked."""
    *_, token = shown
    runs = []
    for button, function, inputs in (
        (buttons.paint, actions.paint, [token, *pictures, *values, *more]),
        (buttons.go_on, actions.go_on, [token, *values]),
    ):
        run = button.click(
            actions.at_work, None, [stage.status, stage.views, *tools], **PRIVATE
        ).then(function, inputs, shown, api_visibility="private", **RUNS)
        # An error and a Stop both count as failure; `then` does not follow an error.
        for ended in (run.success, run.failure):
            ended(actions.at_rest, token, tools, **PRIVATE)
        runs.append(run)
    # The run itself shows what comes of it, within a step. The browser says so by itself: an answer
    # of the server could come after the run's last picture, and stay.
    buttons.stop.click(None, None, stage.status, js="() => 'Stopping …'", **PRIVATE)
    buttons.stop.click(actions.stop, None, None, **PRIVATE)
    picked = gr.State(0)
    chosen = [*pictures, *more, *shown, stage.comparison, stage.views]
    pairs.select(actions.pick, None, picked, cancels=runs, **PRIVATE).then(
        actions.choose_pair, picked, chosen, **PRIVATE
    ).then(actions.at_rest, token, tools, **PRIVATE).then(
        actions.show_looks, pictures[0], pickers.paintings, **LOOKS
    )


def wire_picking(
    pickers: Pickers,
    pictures: list[gr.Image],
    more: list[Any],
    token: gr.State,
    tools: list[Any],
) -> None:
    """A photo shows itself in all paintings; a painting that is clicked is painted at once."""
    photo, painting = pictures
    show: dict[str, Any] = {
        "fn": actions.show_looks,
        "inputs": photo,
        "outputs": pickers.paintings,
        **LOOKS,
    }
    pickers.photos.select(actions.pick_photo, None, photo, **PRIVATE).then(**show)
    for chosen in (photo.input, photo.clear):
        chosen(**show, trigger_mode="always_last")
    others = dict(zip(mixing.MORE, more, strict=True))
    styles = [painting, *(others[name] for name in mixing.STYLES[1:])]
    pickers.paintings.select(actions.pick_painting, pickers.which, styles, **PRIVATE).then(
        actions.at_rest, token, tools, **PRIVATE
    ).then(None, pickers.which, None, js=PAINT_NOW)


def wire_endpoints(
    pictures: list[gr.Image], values: list[Any], more: list[Any], shown: list[Any]
) -> None:
    """What other programs call; nothing on the page triggers it."""
    *outputs, _token = shown
    inputs = [*pictures, *values, *more]
    gr.on([], actions.stylize, inputs, outputs, api_name="stylize", **RUNS)
    size = values[controls.NAMES.index("size")]
    gr.on(
        [],
        actions.preview,
        [*pictures, size, *more],
        outputs[0],
        api_name="preview",
        **RUNS,
    )


def wire_returning(page: gr.Blocks, shown: list[Any], tools: list[Any], choice: list[Any]) -> None:
    """On opening the page: what its address asks for, or the visitor's last picture."""
    *_, token = shown
    remembered = gr.BrowserState(
        None, storage_key="neural-style-transfer", secret="it names no secret"
    )
    token.change(actions.remember, token, remembered, **PRIVATE)
    page.load(actions.arrive, remembered, [*choice, *shown], **PRIVATE).then(
        actions.at_rest, token, tools, **PRIVATE
    )


# --- Layout -------------------------------------------------------------------------------------


def lay_out_head() -> None:
    with gr.Row(elem_id="head"):
        gr.Markdown(
            "# Neural Style Transfer\n"
            "Choose a pair, or your own photo and painting. Press **Paint** and watch."
        )
        present = gr.Button("Present", size="sm", scale=0, min_width=110, elem_id="present")
    present.click(None, None, None, js="() => window.present()")


def lay_out_pairs() -> gr.Gallery:
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


def lay_out_pictures() -> tuple[list[gr.Image], list[Any], Pickers]:
    """Photo and painting, the fields of `mixing.MORE`, and the examples to fill all with."""
    with gr.Row(elem_id="inputs"):
        photo, painting = picture_input("Photo", "content"), picture_input("Painting", "style")
    with gr.Tabs():
        with gr.Tab("Photos"):
            photos = make_picker("content", "Photos", examples.thumbnails("content"))
        with gr.Tab("Paintings"):
            which = gr.Radio(
                [(f"Painting {number}", number) for number in mixing.NUMBERS],
                value=1,
                label="A click chooses",
                visible=False,
                elem_id="which",
            )
            paintings = make_picker("style", "Paintings", looks.paintings())
    keep_people = gr.Button("Keep the people as in the photo", size="sm", elem_id="keep-people")
    with gr.Accordion("More paintings and regions", open=False, elem_id="more") as accordion:
        made = lay_out_paintings() | lay_out_regions(accordion, photo, photos)
    accordion.expand(lambda: gr.update(visible=True), None, which, **PRIVATE)
    keep_people.click(actions.keep_people, photo, made["keep"], **PRIVATE)
    more = [made[name] for name in mixing.MORE]
    return [photo, painting], more, Pickers(photos, paintings, which)


def lay_out_paintings() -> dict[str, Any]:
    """Paintings 2 to 4, and the weights of all."""
    made: dict[str, Any] = {}
    with gr.Row(elem_classes="few"):
        for number, name in zip(mixing.NUMBERS[1:], mixing.STYLES[1:], strict=True):
            made[name] = picture_input(f"Painting {number}", name, 130)
    with gr.Row(elem_classes="few"):
        for number, name in zip(mixing.NUMBERS, mixing.WEIGHTS, strict=True):
            weight = gr.Slider(
                0, 1, value=1.0, step=0.05, label=f"Weight {number}", elem_id=name, min_width=100
            )
            made[name] = controls.take_anything(weight)
    return made


def lay_out_regions(accordion: gr.Accordion, photo: gr.Image, photos: gr.Gallery) -> dict[str, Any]:
    """Where each painting rules: drawn on the photo, or as pictures."""
    names = [*(f"Painting {number}" for number in mixing.NUMBERS), "Keep the photo here"]
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
        brush=actions.brush(0),
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
            field: picture_input(name, field, 110)
            for field, name in zip(mixing.MASKS, names, strict=True)
        }
    fields = list(masks.values())
    on_board = gr.State(None)  # the photo that is there
    brush.input(actions.choose_brush, brush, board, **PRIVATE)
    board.input(actions.take_regions, board, fields, trigger_mode="always_last", **PRIVATE)
    accordion.expand(actions.show_board, [photo, on_board], [board, on_board], **PRIVATE)
    photo.change(actions.renew_board, [photo, on_board], [board, on_board], **PRIVATE)
    another = [photo.upload, photo.clear, photos.select]
    gr.on(another, actions.no_regions, None, fields, **PRIVATE)
    return masks


def lay_out_stage(token: gr.State) -> Stage:
    """The picture, and what can be seen of its run afterwards."""
    with gr.Column(elem_id="stage"):
        paths = map(examples.path_of, examples.KINDS, actions.OPENING_PAIR)
        title = gr.Markdown(actions.title(*map(str, paths)), elem_id="title")
        with gr.Tabs(elem_id="views") as views:
            with gr.Tab("Picture", id="picture"):
                painted = str(examples.painted_path(*actions.OPENING_PAIR))
                result = picture_output("Result", "result", 410, painted)
            comparison = lay_out_comparison(token)
            lay_out_run(token)
            lay_out_film(token)
        status = gr.Markdown(actions.PAINTED_BEFORE, elem_id="status")
    return Stage(title, views, result, comparison, status)


def lay_out_comparison(token: gr.State) -> gr.ImageSlider:
    with gr.Tab("Before and after", id="compare") as tab:
        comparison = gr.ImageSlider(
            actions.painted_pair(*actions.OPENING_PAIR),
            label="Before and after",
            show_label=False,
            format="jpeg",
            interactive=False,
            buttons=["fullscreen"],
            elem_id="comparison",
            max_height=410,
        )
    tab.select(actions.compare, token, comparison, **PRIVATE)
    return comparison


def lay_out_run(token: gr.State) -> None:
    """Every picture on the way, under a slider."""
    with gr.Tab("The run", id="run") as tab:
        nothing_yet = gr.Markdown(NOTHING_YET)
        with gr.Column(visible=False) as run:
            moment = picture_output("Picture on the way", "moment", 330)
            number = gr.Slider(1, 2, step=1, label="Moment of the run", elem_id="number")
    tab.select(actions.open_run, token, [nothing_yet, run, number, moment], **PRIVATE)
    number.input(actions.scrub, [token, number], moment, trigger_mode="always_last", **PRIVATE)


def lay_out_film(token: gr.State) -> None:
    """The run as a film, and a button that saves it in a format of choice."""
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
    tab.select(actions.show_film, [token, ending], [nothing_yet, screen, video, save], **PRIVATE)
    # Not to be pressed before it is ready, or it would save the film in the format before.
    ending.input(actions.no_film, None, save, **PRIVATE).then(
        actions.film_button, [token, ending], save, **PRIVATE
    )


def lay_out_buttons() -> Buttons:
    with gr.Row(elem_id="buttons"):
        return Buttons(
            gr.Button("Paint", variant="primary", elem_id="paint"),
            gr.Button("Stop", variant="stop", interactive=False, elem_id="stop"),
            gr.Button("Continue", interactive=False, elem_id="continue"),
        )


def lay_out_keeping() -> tuple[gr.Slider, gr.DownloadButton]:
    """How much of the painting lies over the photo, and the file of it."""
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
    return blend, save


def lay_out_settings() -> tuple[gr.Radio, list[Any]]:
    """Presets, and the controls of all settings in the order of `controls.NAMES`."""
    preset = gr.Radio(
        [(preset.label, name) for name, preset in PRESETS.items()],
        value=actions.OPENING,
        label="Preset",
        info=" · ".join(f"{p.label.split(' · ')[0]}: {p.help}" for p in PRESETS.values()),
        elem_id="preset",
    )
    made = {name: controls.make(name) for name in controls.FOREMOST}
    with gr.Accordion("Advanced", open=False, elem_id="settings"), gr.Row(elem_id="controls"):
        made |= {
            name: controls.make(name) for name in controls.NAMES if name not in controls.FOREMOST
        }
    values = [made[name] for name in controls.NAMES]
    taste = [made[name] for name in controls.TASTE]
    preset.input(actions.choose_preset, [preset, *taste], values, **PRIVATE)
    # What is changed by hand is no longer the preset; taste belongs to none.
    by_hand = [control.input for name, control in made.items() if name not in controls.TASTE]
    gr.on(by_hand, None, None, preset, js="() => null")
    return preset, values


def lay_out_link(link: gr.Button, inputs: list[Any]) -> None:
    """Where the link appears when its button was pressed."""
    address = gr.Textbox(
        label="Link to this pair and these settings",
        interactive=False,
        visible=False,
        buttons=["copy"],
        elem_id="address",
    )
    link.click(actions.make_link, [address, *inputs], address, js=HERE, **PRIVATE).success(
        None, address, None, js=COPY
    )


def lay_out_losses() -> gr.LinePlot:
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


def picture_output(label: str, name: str, height: int, value: str | None = None) -> gr.Image:
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


def picture_input(label: str, name: str, height: int = 220) -> PictureInput:
    """An upload field for a picture; small ones take files only."""
    is_large = height > 150
    field = PictureInput(
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
    field.upload(actions.check_upload, field, field, **PRIVATE)
    return field


def make_picker(kind: str, label: str, cards: Sequence[tuple[Any, str]]) -> gr.Gallery:
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


# --- Serving ------------------------------------------------------------------------------------


def main() -> None:
    """Serve the page, and load TensorFlow while the visitor looks around."""
    journal.start()
    serving.end_when_told()
    page = make_page()
    shown = json.dumps(page.get_config_file(), default=str)
    own = {path for path in studio.files() if str(path) in shown}
    page.launch(prevent_thread_lock=True, **LAUNCH)
    for work in (serving.warm_up_quietly, functools.partial(serving.keep_tidy, own)):
        threading.Thread(target=work, daemon=True).start()
    page.block_thread()


if __name__ == "__main__":
    main()
