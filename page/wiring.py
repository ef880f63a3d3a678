"""What happens on a click: which components are wired to which function of which room."""

from __future__ import annotations

from typing import Any

import gradio as gr

from page import choice, choose, controls, look, paint, regions, share
from page.layout import Page
from page.turns import MAX_WAITING

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

HERE = "(_, ...rest) => [location.origin + location.pathname, ...rest]"
COPY = "(link) => { navigator.clipboard?.writeText(link).catch(() => {}); }"

PRESENT = "() => window.present()"
STOPPING = "() => 'Stopping …'"
NO_PRESET = "() => null"


def wire(blocks: gr.Blocks, page: Page) -> None:
    """All events of the page, and the endpoints."""
    page.present.click(None, None, None, js=PRESENT)
    _returning(blocks, page)
    runs = _painting(page)
    _pairs(page, runs)
    _pictures(page)
    _regions(page)
    _settings(page)
    _sharing(page)
    _looking(page)
    _endpoints(page)


def _returning(blocks: gr.Blocks, page: Page) -> None:
    """On opening the page: what its address asks for, or the visitor's last picture."""
    page.token.change(share.remember, page.token, page.remembered, **PRIVATE)
    opened = [*page.fields.row(), page.preset, *page.shown()]
    blocks.load(share.arrive, page.remembered, opened, **PRIVATE).then(
        paint.at_rest, page.token, page.tools.row(), **PRIVATE
    )


def _painting(page: Page) -> list[Any]:
    """Paint, Continue and Stop; returns the runs."""
    tools, stage = page.tools, page.stage
    runs = []
    for button, function, row in (
        (tools.paint, paint.paint, page.fields.row()),
        (tools.go_on, paint.go_on, page.fields.row(controls.NAMES)),
    ):
        run = button.click(
            paint.at_work, None, [stage.status, stage.views, *tools.row()], **PRIVATE
        ).then(function, [page.token, *row], page.shown(), api_visibility="private", **RUNS)
        # An error and a Stop both count as failure; `then` does not follow an error.
        for ended in (run.success, run.failure):
            ended(paint.at_rest, page.token, tools.row(), **PRIVATE)
        runs.append(run)
    # The run itself shows what comes of it, within a step. The browser says so by itself: an answer
    # of the server could come after the run's last picture, and stay.
    tools.stop.click(None, None, stage.status, js=STOPPING, **PRIVATE)
    tools.stop.click(paint.stop, None, None, **PRIVATE)
    return runs


def _pairs(page: Page, runs: list[Any]) -> None:
    """A pair that is clicked ends what is being painted, and is shown."""
    picked = gr.State(0)
    comparison, views = page.stage.comparison.slider, page.stage.views
    chosen = [*page.fields.row(choice.SUBJECT), *page.shown(), comparison, views]
    page.pickers.pairs.select(choose.pick, None, picked, cancels=runs, **PRIVATE).then(
        choose.choose_pair, picked, chosen, **PRIVATE
    ).then(paint.at_rest, page.token, page.tools.row(), **PRIVATE).then(**_show_looks(page))


def _show_looks(page: Page) -> dict[str, Any]:
    """The event that shows the photo in all paintings."""
    return {
        "fn": choose.show_looks,
        "inputs": page.fields.of["content"],
        "outputs": page.pickers.paintings,
        **LOOKS,
    }


def _pictures(page: Page) -> None:
    """A photo shows itself in all paintings; a painting that is clicked is painted at once."""
    pickers, photo, painting = page.pickers, *page.fields.row(("content", "style"))
    pickers.photos.select(choose.pick_photo, None, photo, **PRIVATE).then(**_show_looks(page))
    for changed in (photo.input, photo.clear):
        changed(**_show_looks(page), trigger_mode="always_last")
    pickers.paintings.select(
        choose.pick_painting, pickers.which, page.fields.row(choice.STYLES), **PRIVATE
    ).then(paint.at_rest, page.token, page.tools.row(), **PRIVATE).then(
        None, pickers.which, None, js=PAINT_NOW
    )
    for field in page.fields.row((*choice.PICTURES, *choice.MASKS)):
        field.upload(choose.check_upload, field, field, **PRIVATE)
    gr.on(
        [photo.change, painting.change],
        choose.title,
        [photo, painting],
        page.stage.title,
        **PRIVATE,
    )


def _regions(page: Page) -> None:
    """Masks that are drawn, found, or belong to another photo."""
    parts, photo = page.regions, page.fields.of["content"]
    masks = page.fields.row(choice.MASKS)
    shown = [parts.board, parts.on_board]
    parts.keep_people.click(regions.keep_people, photo, page.fields.of["keep"], **PRIVATE)
    parts.brush.input(regions.choose_brush, parts.brush, parts.board, **PRIVATE)
    parts.board.input(
        regions.take_regions, parts.board, masks, trigger_mode="always_last", **PRIVATE
    )
    parts.accordion.expand(regions.show_board, [photo, parts.on_board], shown, **PRIVATE)
    parts.accordion.expand(choose.show_which, None, page.pickers.which, **PRIVATE)
    photo.change(regions.renew_board, [photo, parts.on_board], shown, **PRIVATE)
    another = [photo.upload, photo.clear, page.pickers.photos.select]
    gr.on(another, regions.no_regions, None, masks, **PRIVATE)


def _settings(page: Page) -> None:
    """A preset sets the controls; what is changed by hand is no longer the preset."""
    taste, settings = page.fields.row(controls.TASTE), page.fields.row(controls.NAMES)
    page.preset.input(choose.choose_preset, [page.preset, *taste], settings, **PRIVATE)
    # Taste belongs to none.
    by_hand = [page.fields.of[name].input for name in controls.NAMES if name not in controls.TASTE]
    gr.on(by_hand, None, None, page.preset, js=NO_PRESET)


def _sharing(page: Page) -> None:
    """The link, and the recipe of a PNG."""
    parts, row = page.sharing, page.fields.row()
    parts.link.click(
        share.make_link, [parts.address, *row], parts.address, js=HERE, **PRIVATE
    ).success(None, parts.address, None, js=COPY)
    parts.recipe.upload(share.take_recipe, parts.recipe, [*row, page.preset], **PRIVATE)


def _looking(page: Page) -> None:
    """What can be seen and changed after the run."""
    token, stage, tools = page.token, page.stage, page.tools
    color = page.fields.of["color"]
    tools.blend.input(
        look.blend, [token, tools.blend], stage.result, trigger_mode="always_last", **PRIVATE
    )
    tools.blend.input(
        look.save_blend, [token, tools.blend], tools.save, trigger_mode="always_last", **PRIVATE
    )
    color.input(look.recolor, [token, color, tools.blend], [stage.result, tools.save], **PRIVATE)
    stage.comparison.tab.select(look.compare, token, stage.comparison.slider, **PRIVATE)
    moments, film = stage.moments, stage.film
    moments.tab.select(
        look.open_run,
        token,
        [moments.nothing_yet, moments.screen, moments.number, moments.picture],
        **PRIVATE,
    )
    moments.number.input(
        look.scrub, [token, moments.number], moments.picture, trigger_mode="always_last", **PRIVATE
    )
    film.tab.select(
        look.show_film,
        [token, film.ending],
        [film.nothing_yet, film.screen, film.video, film.save],
        **PRIVATE,
    )
    # Not to be pressed before it is ready, or it would save the film in the format before.
    film.ending.input(look.no_film, None, film.save, **PRIVATE).then(
        look.film_button, [token, film.ending], film.save, **PRIVATE
    )


def _endpoints(page: Page) -> None:
    """What other programs call; nothing on the page triggers it."""
    result, status, losses, _token = page.shown()
    gr.on(
        [],
        paint.stylize,
        page.fields.row(),
        [result, status, losses],
        api_name="stylize",
        **RUNS,
    )
    gr.on([], paint.preview, page.fields.row(choice.PREVIEW), result, api_name="preview", **RUNS)
