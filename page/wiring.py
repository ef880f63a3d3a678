"""What happens on a click: which components are wired to which function of which room."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from page import choice, choose, controls, inside, look, paint, regions, share, texts
from page.layout import Page
from page.turns import MAX_WAITING

# How many events of a kind are answered at once, for all visitors together. Gradio's own limit is
# one of each function: a visitor whose film takes half a minute would keep all others from theirs.
# Nobody waits for an event of another kind: there are as many threads as all of these.
GROUPS = {
    # They wait for their turn by themselves, see `page/turns.py`, each in a thread. Those that are
    # refused have to be told.
    "runs": 2 * MAX_WAITING,
    # They sleep until the run before them has ended: one for each that may be waiting.
    "rests": MAX_WAITING,
    # They watch a run of another tab. Those who come when there are more see it when it is done.
    "followers": 16,
    # Stop and whatever else is answered at once: never behind anything that takes a while.
    "clicks": 8,
    # A film takes all cores for seconds; for more at once, each would take longer.
    "films": 2,
    # So do looks in all paintings, and finding people.
    "looks": 2,
    # Uploads may be hostile, and are read one at a time (`studio.load`) for seconds.
    "uploads": 4,
    # One picture to read or to write, for some 100 ms.
    "pictures": 8,
}


def _public(group: str) -> dict[str, Any]:
    """The options of an event that other programs may call."""
    limits = {"concurrency_id": group, "concurrency_limit": GROUPS[group]}
    return {"show_progress": "hidden", **limits}


def _private(group: str) -> dict[str, Any]:
    """The options of an event that is the page's own affair."""
    return {"api_visibility": "private", **_public(group)}


# For what the browser does by itself.
BROWSER: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

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
CHOOSE_RECIPE = "() => document.querySelector('#recipe').click()"
NO_PRESET = "() => null"


def wire(blocks: gr.Blocks, page: Page) -> None:
    """All events of the page, and the endpoints."""
    blocks.load(None, None, None, js=_speaking())
    page.present.click(None, None, None, js=PRESENT)
    runs = _painting(page, _returning(blocks, page))
    _pairs(page, runs)
    _pictures(page)
    _regions(page)
    _settings(page)
    _sharing(page)
    _looking(page)
    _inside(page)
    _endpoints(page)


def _speaking() -> str:
    """Tells the browser which language the page is in, and what a script of it has to say."""
    said = json.dumps([texts.language(), texts.say("page.before")])
    return f"() => window.speak(...{said})"


def _stopping() -> str:
    return f"() => {json.dumps(texts.say('status.stopping'))}"


def _returning(blocks: gr.Blocks, page: Page) -> Any:
    """On opening the page: what its address asks for, or the visitor's last picture.

    Returns what follows a run in another tab.
    """
    token = page.shown.token
    token.change(share.remember, [token, page.remembered], page.remembered, **_private("clicks"))
    opened = [*page.fields.row(), page.preset, *page.shown]
    followed = blocks.load(share.arrive, page.remembered, opened, **_private("pictures")).then(
        paint.follow, token, [*page.shown], **_private("followers")
    )
    followed.then(paint.at_rest, token, [*page.tools], **_private("rests"))
    return followed


def _painting(page: Page, followed: Any) -> list[Any]:
    """Paint, Continue and Stop; returns the runs, with the one that is followed elsewhere."""
    tools, stage = page.tools, page.stage
    runs = [followed]
    for button, function, row in (
        (tools.paint, paint.paint, page.fields.row()),
        (tools.go_on, paint.go_on, page.fields.row(controls.NAMES)),
    ):
        run = button.click(
            paint.at_work,
            None,
            [page.shown.status, stage.views, *tools],
            cancels=followed,
            **_private("clicks"),
        ).then(function, [page.shown.token, *row], [*page.shown], **_private("runs"))
        # An error and a Stop both count as failure; `then` does not follow an error.
        for ended in (run.success, run.failure):
            ended(paint.at_rest, page.shown.token, [*tools], **_private("rests"))
        runs.append(run)
    # The run itself shows what comes of it, within a step. The browser says so by itself: an answer
    # of the server could come after the run's last picture, and stay.
    tools.stop.click(None, None, page.shown.status, js=_stopping(), **BROWSER)
    tools.stop.click(paint.stop, None, None, **_private("clicks"))
    return runs


def _pairs(page: Page, runs: list[Any]) -> None:
    """A pair that is clicked ends what is being painted, and is shown."""
    comparison, views = page.stage.comparison.slider, page.stage.views
    chosen = [*page.fields.row(choice.NOT_SETTINGS), *page.shown, comparison, views]
    page.pickers.pairs.select(
        choose.pick, None, page.pickers.picked, cancels=runs, **_private("clicks")
    ).then(choose.choose_pair, page.pickers.picked, chosen, **_private("pictures")).then(
        paint.at_rest, page.shown.token, [*page.tools], **_private("rests")
    ).then(**_show_looks(page))


def _show_looks(page: Page) -> dict[str, Any]:
    """The event that shows the photo in all paintings."""
    return {
        "fn": choose.show_looks,
        "inputs": page.fields.row(("content", "style")),
        "outputs": page.pickers.paintings,
        **_private("looks"),
    }


def _pictures(page: Page) -> None:
    """A photo shows itself in all paintings; a painting that is clicked is painted at once."""
    pickers, photo, painting = page.pickers, *page.fields.row(("content", "style"))
    pickers.photos.select(
        choose.pick_photo, None, [photo, pickers.tabs], **_private("clicks")
    ).then(**_show_looks(page))
    for changed in (photo.input, photo.clear, painting.input, painting.clear):
        changed(**_show_looks(page), trigger_mode="always_last")
    photo.input(choose.turn_to_paintings, None, pickers.tabs, **_private("clicks"))
    pickers.paintings.select(
        choose.pick_painting,
        [pickers.which, painting],
        page.fields.row(choice.STYLES),
        **_private("clicks"),
    ).then(paint.at_rest, page.shown.token, [*page.tools], **_private("rests")).then(
        None, pickers.which, None, js=PAINT_NOW
    )
    for field in page.fields.row((*choice.PICTURES, *choice.MASKS)):
        field.upload(choose.check_upload, field, field, **_private("uploads"))
    for name, button in pickers.uploads.items():
        button.upload(
            choose.take_upload, button, [page.fields.of[name], pickers.tabs], **_private("uploads")
        ).success(**_show_looks(page))


def _regions(page: Page) -> None:
    """Masks that are drawn, found, or belong to another photo."""
    door, photo = page.door, page.fields.of["content"]
    masks = page.fields.row(choice.MASKS)
    shown = [door.board, door.on_board]
    door.keep_people.click(regions.keep_people, photo, page.fields.of["keep"], **_private("looks"))
    door.brush.input(regions.choose_brush, door.brush, door.board, **_private("clicks"))
    door.board.input(
        regions.take_regions, door.board, masks, trigger_mode="always_last", **_private("pictures")
    )
    door.accordion.expand(regions.show_board, [photo, door.on_board], shown, **_private("pictures"))
    photo.change(regions.renew_board, [photo, door.on_board], shown, **_private("pictures"))
    another = [photo.upload, photo.clear, page.pickers.photos.select]
    another += [page.pickers.uploads["content"].upload]
    gr.on(another, regions.no_regions, None, masks, **_private("clicks"))
    more = page.fields.row(choice.STYLES[1:])
    door.mixing.select(choose.show_which, None, page.pickers.which, **_private("clicks"))
    gr.on(
        [field.change for field in more],
        choose.for_several,
        more,
        [door.weights, door.brush, page.pickers.which],
        **_private("clicks"),
    )


def _settings(page: Page) -> None:
    """A preset sets the controls; what is changed by hand is no longer the preset."""
    taste, settings = page.fields.row(controls.TASTE), page.fields.row(controls.NAMES)
    page.preset.input(choose.choose_preset, [page.preset, *taste], settings, **_private("clicks"))
    # Taste belongs to none.
    by_hand = [page.fields.of[name].input for name in controls.NAMES if name not in controls.TASTE]
    gr.on([*by_hand, page.until.input], None, None, page.preset, js=NO_PRESET)
    lengths = page.fields.row(("time_budget", "steps"))
    time_budget, _ = lengths
    page.until.input(choose.choose_until, page.until, time_budget, **_private("clicks"))
    time_budget.change(choose.show_until, time_budget, [page.until, *lengths], **_private("clicks"))
    gr.on(
        [*(field.change for field in lengths), page.clock.tick],
        paint.label,
        lengths,
        page.tools.paint,
        **_private("clicks"),
    )


def _sharing(page: Page) -> None:
    """The link, and the recipe of a PNG."""
    parts, row = page.sharing, page.fields.row()
    parts.link.click(
        share.make_link,
        [parts.address, *row],
        [parts.address, parts.code],
        js=HERE,
        **_private("pictures"),
    ).success(None, parts.address, None, js=COPY)
    parts.take.click(None, None, None, js=CHOOSE_RECIPE, **BROWSER)
    parts.recipe.upload(
        share.take_recipe, parts.recipe, [*row, page.preset], **_private("pictures")
    )


def _looking(page: Page) -> None:
    """What can be seen and changed after the run."""
    token, stage, tools = page.shown.token, page.stage, page.tools
    color = page.fields.of["color"]
    tools.blend.input(
        look.blend,
        [token, tools.blend],
        page.shown.picture,
        trigger_mode="always_last",
        **_private("pictures"),
    )
    tools.blend.release(
        look.save_blend,
        [token, tools.blend],
        [page.shown.picture, tools.save],
        trigger_mode="always_last",
        **_private("pictures"),
    )
    color.input(
        look.recolor,
        [token, color, tools.blend],
        [page.shown.picture, tools.save],
        **_private("pictures"),
    )
    stage.comparison.tab.select(
        look.compare, token, stage.comparison.slider, **_private("pictures")
    )
    moments, film = stage.moments, stage.film
    moments.tab.select(
        look.open_run,
        token,
        [moments.nothing_yet, moments.screen, moments.number, moments.picture],
        **_private("pictures"),
    )
    moments.number.input(
        look.scrub,
        [token, moments.number],
        moments.picture,
        trigger_mode="always_last",
        **_private("pictures"),
    )
    strokes = stage.strokes
    strokes.tab.select(
        look.show_strokes,
        token,
        [strokes.nothing_yet, strokes.screen],
        **_private("looks"),
    )
    film.tab.select(
        look.show_film,
        [token, film.ending],
        [film.nothing_yet, film.screen, film.video, film.save],
        **_private("films"),
    )
    # Not to be pressed before it is ready, or it would save the film in the format before.
    film.ending.input(look.no_film, None, film.save, **_private("clicks")).then(
        look.film_button, [token, film.ending], film.save, **_private("films")
    )


def _inside(page: Page) -> None:
    """What is explained of the network and the losses, on the pictures that are chosen."""
    tab = page.inside
    pictures = page.fields.row(("content", "style"))
    # What is shown ends before another topic begins.
    tab.topic.input(inside.stop, None, None, **_private("clicks")).then(
        inside.show,
        [tab.topic, *pictures],
        [tab.screen, tab.status],
        trigger_mode="multiple",
        **_private("runs"),
    )
    gr.on([tab.stop.click, tab.door.collapse], inside.stop, None, None, **_private("clicks"))


def _endpoints(page: Page) -> None:
    """What other programs call; nothing on the page triggers it."""
    shown = page.shown
    outputs = [shown.picture, shown.status, shown.losses, shown.progress]
    preset = gr.Textbox(visible=False)
    gr.on(
        [],
        paint.stylize,
        [*page.fields.row(), preset],
        outputs,
        api_name="stylize",
        **_public("runs"),
    )
    gr.on(
        [],
        paint.preview,
        page.fields.row(choice.PREVIEW),
        shown.picture,
        api_name="preview",
        **_public("runs"),
    )
