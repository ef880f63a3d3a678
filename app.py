"""The page: choose a photo and a painting, press Paint, watch, stop, download.

Only the screen is here; what it shows comes from `nst_core`. The controls, and the parameters of
the `/stylize` endpoint, are derived from `Settings`. TensorFlow loads in the background, so the
page answers first.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import inspect
import math
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from gradio.utils import get_upload_folder
from PIL import Image, ImageOps

from nst_core import (
    DivergenceError,
    Frame,
    ImageError,
    PreviewError,
    Settings,
    SettingsError,
    WeightsError,
    __version__,
    images,
    recipe,
)
from nst_core.settings import DEFAULTS, SPECS, format_layers, parse
from nst_core.transfer import CHOICES, check_choices, is_warm, stream, warm_up

EXAMPLES = Path(__file__).parent / "examples"
THUMBNAIL = 192  # px, long side
BROWSER_READABLE = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif"}
VISITOR_SETTINGS = [name for name, spec in SPECS.items() if not spec.local]
LOSS_COLUMNS = ["step", "term", "loss"]

CSS = """
.gradio-container { width: 100%; max-width: 1500px !important; margin: 0 auto; }
#result img { width: 100%; height: 100%; object-fit: contain; }
#status { min-height: 1.8em; }
#status p { font-size: 1.15em; }
#controls { display: block; }
#controls .form { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); }
.picker .grid-container { grid-template-columns: repeat(auto-fill, minmax(88px, 1fr)); gap: 6px; }
#pairs .grid-container { grid-template-columns: repeat(auto-fill, minmax(min(180px, 45%), 1fr)); }
#pairs .grid-wrap { min-height: 0; max-height: none; }
#pairs .thumbnail-lg { aspect-ratio: 2.6; }
.picker .caption-label {
  left: 0; right: 0; bottom: 0; max-width: 100%; border-radius: 0; padding: 1px 5px;
  font-size: 0.7em; text-align: left;
}
"""

# How the page is served, here and in the tests.
LAUNCH: dict[str, Any] = {
    "allowed_paths": [str(EXAMPLES)],
    "share": False,
    "ssr_mode": False,
    "enable_monitoring": False,
    "run_history": False,
    "max_file_size": "50mb",
    "state_session_capacity": 100,
    "theme": gr.themes.Soft(),
    "css": CSS,
}


# --- Examples -----------------------------------------------------------------------------------


def read_rows(name: str) -> list[dict[str, str]]:
    """The rows of a table in examples/."""
    with (EXAMPLES / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def example_path(kind: str, name: str) -> str:
    """The file of an example picture, `kind` being "content" or "style"."""
    return str(EXAMPLES / kind / f"{name}.jpg")


SOURCES = {row["file"]: row for row in read_rows("sources.csv")}
PAIRS = [(row["content"], row["style"]) for row in read_rows("pairs.csv")]
NAMES = {
    kind: [Path(file).stem for file in SOURCES if file.startswith(kind)]
    for kind in ("content", "style")
}


def caption(kind: str, name: str) -> str:
    """Title of an example picture, with painter and year for a painting."""
    row = SOURCES[f"{kind}/{name}.jpg"]
    parts = [row["title"], row["author"], row["year"]] if kind == "style" else [row["title"]]
    return ", ".join(part for part in parts if part)


def thumbnail(kind: str, name: str) -> Image.Image:
    """A small version of an example picture."""
    with Image.open(example_path(kind, name)) as image:
        image.draft("RGB", (THUMBNAIL, THUMBNAIL))
        return ImageOps.fit(image.convert("RGB"), (THUMBNAIL, THUMBNAIL * 3 // 4))


def pair_thumbnail(content: str, style: str) -> Image.Image:
    """Photo and painting side by side."""
    photo, painting = thumbnail("content", content), thumbnail("style", style)
    both = Image.new("RGB", (photo.width + painting.width, photo.height))
    both.paste(photo, (0, 0))
    both.paste(painting, (photo.width, 0))
    return both


# --- What happens on the page -------------------------------------------------------------------


class PictureInput(gr.Image):
    """`gr.Image` that hands over the file as it came.

    Gradio would open it first, and fail with an error of its own; `nst_core.images` reads more
    formats and says what is wrong with those it cannot read.
    """

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        if payload is None or payload.path is None:
            return super().preprocess(payload)
        return payload.path


def check_upload(path: str | None) -> Any:
    """Take an uploaded picture away again if it cannot be used, and say why."""
    if path is None:
        return gr.skip()
    try:
        picture = images.load(path, int(SPECS["size"].maximum or 0))
    except ImageError as error:
        gr.Warning(str(error))
        return None
    if Path(path).suffix.lower() in BROWSER_READABLE:
        return gr.skip()
    shown = images.to_pil(images.to_uint8(picture.rgb), picture.alpha)
    return save_to_cache(shown, Path(path).stem)


@dataclass(frozen=True)
class Painting:
    """What one visitor has on the easel; it outlives a Stop."""

    name: str  # of the file it is downloaded as, without the ending
    recipe: str
    frame: Frame


def paint(content: str | None, style: str | None, *values: Any) -> Iterator[tuple[Any, ...]]:
    """Generator behind the Paint button and the `/stylize` endpoint; see `describe_endpoint`."""
    history: list[tuple[int, str, float]] = []
    painting = None
    try:
        if content is None or style is None:
            raise ImageError(f"Choose a {'photo' if content is None else 'painting'} first.")
        settings, photo = check_request(content, style, values)
        yield images.to_uint8(photo.rgb), ready_text(), plot_data(history), gr.skip()
        name = f"{Path(content).stem[:60]}-{Path(style).stem[:60]}"
        made = recipe.make(content, style, settings).to_json()
        with contextlib.closing(stream(content, style, settings)) as frames:
            for frame in frames:
                painting = Painting(name, made, frame)
                history += [(frame.step, *term) for term in frame.losses.items()]
                shown = publish(painting) if frame.done else frame.image
                yield shown, status_text(frame), plot_data(history), painting
    except (ImageError, SettingsError, WeightsError, PreviewError, DivergenceError) as error:
        # What was painted before stays: the picture of this run, or of the one before it.
        kept = publish(painting) if painting else gr.skip()
        yield kept, str(error), gr.skip(), painting or gr.skip()
        raise gr.Error(str(error), print_exception=False) from None


def check_request(
    content: str, style: str, values: tuple[Any, ...]
) -> tuple[Settings, images.Picture]:
    """The settings and the photo, all input checked before anything on the page changes."""
    settings = settings_from(values)
    check_choices(settings)
    images.load(style, settings.size)
    return settings, images.load(content, settings.size, settings.enlarge)


def keep(painting: Painting | None) -> tuple[Any, ...]:
    """After Stop: the picture at its best quality, and what happened."""
    if painting is None:
        return gr.skip(), "Stopped before the first step."
    frame = painting.frame
    if frame.done:  # of the run before
        return publish(painting), "Stopped before the first step; the last picture is kept."
    text = f"Stopped at step {frame.step} of {frame.total_steps}; the picture is kept."
    return publish(painting), text


def buttons_at_work() -> tuple[Any, ...]:
    """Status, Paint, Stop and Download from the click until the picture is done."""
    return (
        "Waiting for its turn …",
        gr.Button(interactive=False),
        gr.Button(interactive=True),
        download_button(None),
    )


def buttons_at_rest(painting: Painting | None) -> tuple[Any, ...]:
    """Paint, Stop and Download when no picture is being painted."""
    return gr.Button(interactive=True), gr.Button(interactive=False), download_button(painting)


def download_button(painting: Painting | None) -> Any:
    """The download button, ready when there is something to download."""
    value = publish(painting) if painting else None
    return gr.DownloadButton(value=value, interactive=painting is not None)


def publish(painting: Painting) -> str:
    """Write the painting as PNG where Gradio serves files from, once for the same pixels."""
    return save_to_cache(painting.frame.to_pil(), painting.name, painting.recipe)


def save_to_cache(image: Image.Image, name: str, made: str = "") -> str:
    """The path of a PNG that holds `image`, in a folder that Gradio cleans up after a while."""
    digest = hashlib.sha256(image.tobytes() + made.encode()).hexdigest()[:32]
    path = Path(get_upload_folder()) / digest / f"{name}.png"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        images.save(image, path, {recipe.KEY: made} if made else None)
    return str(path)


def ready_text() -> str:
    """The status line before the first frame."""
    return "Getting ready …" if is_warm() else "Warming up, once after the start …"


def status_text(frame: Frame) -> str:
    """The status line in words."""
    return f"{progress_text(frame)} {frame.notice}".strip()


def progress_text(frame: Frame) -> str:
    if frame.done:
        steps = "1 step" if frame.total_steps == 1 else f"{frame.total_steps} steps"
        return f"Done: {steps} in {seconds_text(frame.elapsed)}."
    if frame.eta is None:
        return "A first look; painting begins …" if frame.stage == "preview" else ready_text()
    left = seconds_text(frame.eta)
    return f"{frame.scale} px, step {frame.step} of {frame.total_steps}, {left} left"


def seconds_text(seconds: float) -> str:
    """Seconds as people say them: "8 s", "2 min 5 s"."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def plot_data(history: list[tuple[int, str, float]]) -> pd.DataFrame | None:
    """The losses for the plot, as powers of ten; a term of 0 has none and is left out.

    None while there are none: a plot that starts from an empty table never draws a line.
    """
    rows = [(step, term, math.log10(loss)) for step, term, loss in history if loss > 0]
    return pd.DataFrame(rows, columns=LOSS_COLUMNS) if rows else None


# --- Controls and endpoint from Settings --------------------------------------------------------


def make_control(name: str) -> Any:
    """The control for a field of `Settings`."""
    spec, default = SPECS[name], DEFAULTS[name]
    label = f"{spec.label} ({spec.unit})" if spec.unit else spec.label
    common: dict[str, Any] = {
        "label": label,
        "info": spec.help,
        "elem_id": f"setting-{name}",
    }
    if isinstance(default, bool):
        return gr.Checkbox(default, **common)
    if isinstance(default, tuple):
        return gr.Textbox(format_layers(default), **common)
    if name in CHOICES:
        return gr.Dropdown(list(CHOICES[name]), value=default, **common)
    limits: dict[str, Any] = {"minimum": spec.minimum, "maximum": spec.maximum}
    if spec.step is not None:
        return gr.Slider(value=default, step=spec.step, **limits, **common)
    if default is None:  # an empty `gr.Number` arrives as 0
        return gr.Textbox(None, placeholder="empty", **common)
    precision = 0 if isinstance(default, int) else None
    return gr.Number(default, precision=precision, **limits, **common)


def settings_from(values: tuple[Any, ...]) -> Settings:
    """`Settings` from the controls' values, which come in the order of `VISITOR_SETTINGS`."""
    given = dict(zip(VISITOR_SETTINGS, values, strict=False))
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    return Settings(**given | {name: parse(name, text) for name, text in texts.items()})


def describe_endpoint(function: Any) -> None:
    """Give `paint` the signature and texts that the API page and the clients show."""
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for name in ("content", "style")
    ]
    lines = ["content: the photo", "style: the painting"]
    for name in VISITOR_SETTINGS:
        spec, default = SPECS[name], DEFAULTS[name]
        value = format_layers(default) if isinstance(default, tuple) else default
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(inspect.Parameter(name, kind, default=value))
        choices = f"; one of {', '.join(CHOICES[name])}" if name in CHOICES else ""
        lines.append(f"{name}: {spec.help}{choices}")
    function.__signature__ = inspect.Signature(parameters)
    function.__doc__ = "\n".join(
        [
            "Paint a photo in the style of a painting; streams the picture on its way.",
            "Args:",
            *lines,
            "Returns:",
            "the picture: JPEG on the way, PNG at the end",
            "the status in words",
            "the losses of the steps so far, as powers of ten",
        ]
    )


describe_endpoint(paint)


# --- The page -----------------------------------------------------------------------------------


def make_page() -> gr.Blocks:
    """The whole page, not yet served."""
    with gr.Blocks(
        title="Neural Style Transfer",
        analytics_enabled=False,
        delete_cache=(600, 3600),
        fill_width=True,
    ) as page:
        gr.Markdown(
            "# Neural Style Transfer\n"
            "Choose a pair, or your own photo and painting. Press **Paint** and watch."
        )
        pairs = gr.Gallery(
            [
                (
                    pair_thumbnail(*pair),
                    f"{caption('content', pair[0])} × {caption('style', pair[1])}",
                )
                for pair in PAIRS
            ],
            label="Pairs to try",
            show_label=False,
            height="auto",
            allow_preview=False,
            elem_id="pairs",
            elem_classes="picker",
            format="jpeg",
            buttons=[],
        )
        with gr.Row():
            with gr.Column(scale=2):
                with gr.Row():
                    content = picture_input("Photo", "content")
                    style = picture_input("Painting", "style")
                with gr.Tabs():
                    for kind, title, target in (
                        ("content", "Photos", content),
                        ("style", "Paintings", style),
                    ):
                        with gr.Tab(title):
                            make_picker(kind, title, target)
                with (
                    gr.Accordion("Settings", open=False, elem_id="settings"),
                    gr.Row(elem_id="controls"),
                ):
                    controls = [make_control(name) for name in VISITOR_SETTINGS]
            with gr.Column(scale=3):
                result = gr.Image(
                    label="Result",
                    format="jpeg",
                    interactive=False,
                    buttons=["fullscreen"],
                    alt_text="The photo, painted in the style of the painting",
                    elem_id="result",
                    height=480,
                )
                status = gr.Markdown("Ready.", elem_id="status")
                with gr.Row():
                    start = gr.Button("Paint", variant="primary", elem_id="paint")
                    stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop")
                    download = gr.DownloadButton(
                        "Download PNG", interactive=False, elem_id="download"
                    )
                losses = gr.LinePlot(
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
        gr.Markdown(
            f"Version {__version__}. After Gatys, Ecker and Bethge, "
            "*A Neural Algorithm of Artistic Style* (2015)."
        )
        painting = gr.State(None)

        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        pairs.select(choose_pair, None, [content, style], **private)
        running = start.click(
            buttons_at_work, None, [status, start, stop, download], **private
        ).then(
            paint,
            [content, style, *controls],
            [result, status, losses, painting],
            api_name="stylize",
            show_progress="hidden",
            concurrency_id="device",
            concurrency_limit=1,
        )
        stop.click(keep, painting, [result, status], cancels=[running], **private)
        # An error and a Stop both count as failure; `then` would not come after an error.
        for ended in (running.success, running.failure):
            ended(buttons_at_rest, painting, [start, stop, download], **private)
    return page.queue(max_size=32, api_open=False)


def picture_input(label: str, kind: str) -> PictureInput:
    """An upload field for a photo or a painting."""
    field = PictureInput(
        label=label,
        type="filepath",
        image_mode=None,
        height=220,
        buttons=[],
        alt_text=label,
        elem_id=kind,
    )
    field.upload(check_upload, field, field, api_visibility="private", show_progress="hidden")
    return field


def make_picker(kind: str, title: str, target: PictureInput) -> None:
    """A gallery of the example pictures that fills `target`."""

    def choose(event: gr.SelectData) -> str:
        return example_path(kind, NAMES[kind][event.index])

    gallery = gr.Gallery(
        [(thumbnail(kind, name), caption(kind, name)) for name in NAMES[kind]],
        label=title,
        show_label=False,
        height=300,
        allow_preview=False,
        object_fit="cover",
        elem_id=f"pick-{kind}",
        elem_classes="picker",
        format="jpeg",
        buttons=[],
    )
    gallery.select(choose, None, target, api_visibility="private", show_progress="hidden")


def choose_pair(event: gr.SelectData) -> tuple[str, str]:
    """Photo and painting of the pair that was clicked."""
    content, style = PAIRS[event.index]
    return example_path("content", content), example_path("style", style)


def warm_up_quietly() -> None:
    """`warm_up` for a thread of its own; what fails is told again when somebody paints."""
    try:
        warm_up()
    except (WeightsError, PreviewError) as error:
        print(f"Warning: {error}", file=sys.stderr)


def main() -> None:
    """Serve the page, and load TensorFlow while the visitor looks around."""
    page = make_page()
    page.launch(prevent_thread_lock=True, **LAUNCH)
    threading.Thread(target=warm_up_quietly, name="warm-up", daemon=True).start()
    page.block_thread()


if __name__ == "__main__":
    main()
