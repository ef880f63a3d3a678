"""What happens on a click: which components are wired to which function of which room."""

from __future__ import annotations

import json
import math
from typing import Any

import gradio as gr

from nst_core.settings import SPECS, OnResume
from page import (
    choice,
    choose,
    controls,
    films,
    inside,
    mirror,
    paint,
    regions,
    share,
    texts,
    views,
)
from page.layout import Page
from page.limits import LIMITS
from page.mirror_tab import MirrorTab

# How many events of a kind are answered at once, for all visitors together. Gradio's own limit is
# one of each function: a visitor whose film takes half a minute would keep all others from theirs.
# Nobody waits for an event of another kind: there are as many threads as all of these.
GROUPS = {
    # They wait for their turn by themselves, see `page/turns.py`, each in a thread. Those that are
    # refused have to be told.
    "runs": 2 * math.ceil(LIMITS.waiting),
    # They sleep until the run before them has ended: one for each that may be waiting.
    "rests": math.ceil(LIMITS.waiting),
    # They watch a run of another tab. Those who come when there are more see it when it is done.
    "followers": 16,
    # Stop and whatever else is answered at once: never behind anything that takes a while.
    "clicks": 8,
    # A film takes all cores for seconds; for more at once, each would take longer.
    "films": 2,
    # Looks in all paintings, and finding people. They wait for their share of the time by
    # themselves, and who clicks a photo must not wait for the looks of others before it is there.
    "looks": 2 * math.ceil(LIMITS.waiting),
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

# Presses Paint as soon as it can be pressed, and brings the picture into view on phones.
PAINT_NOW = """() => {
    const press = (patience) => {
        const button = document.querySelector("#paint");
        if (!button.disabled) button.click();
        else if (patience) setTimeout(press, 50, patience - 1);
    };
    press(200);
    window.showStage();
}"""

# Not in the mirror, which shows the painting at once.
PAINT_AT_ONCE = f"(atOnce) => {{ if (atOnce && !window.mirror.isOpen()) ({PAINT_NOW})(); }}"

HERE = "(_, ...rest) => [location.origin + location.pathname, ...rest]"

# Answer whether it was done.
COPY = """async (link) => {
    try {
        await navigator.clipboard.writeText(link);
        return link;
    } catch { // not allowed, or no secure address
        return "";
    }
}"""

DOWNLOAD = """(file) => {
    const link = document.createElement("a");
    if (file) Object.assign(link, { href: file.url, download: file.orig_name }).click();
    return file;
}"""

CLICKED_PAIR = "() => String(window.clickedPair)"
PRESENT = "() => window.present()"
CHOOSE_RECIPE = "() => document.querySelector('#recipe').click()"
NO_PRESET = "() => null"

# How many explanations are on their way; Stop is there while there is one.
ONE_MORE, ONE_LESS = "() => window.explaining(1)", "() => window.explaining(-1)"

# What the mirror does in the browser.
ASK_CAMERA = "async (_, ...styles) => [await window.mirror.ask(), ...styles]"
BEGIN_MIRROR = "(camera, told) => { window.mirror.begin(camera, told); }"
STOP_MIRROR = "() => window.mirror.stop()"
OPEN_MIRROR = "() => window.mirror.open()"
RENEW_MIRROR = "() => window.mirror?.renew()"
FREEZE_MIRROR = "() => { window.mirror.freeze(); }"
SAME = "(...values) => values"


def wire(blocks: gr.Blocks, page: Page) -> None:
    """All events of the page, and the endpoints."""
    blocks.load(None, None, None, js=_speaking())
    page.present.click(None, None, None, js=PRESENT)
    arrived = _arriving(blocks, page)
    runs = _painting(page, _following(page, arrived))
    _pairs(page, runs)
    _pictures(page)
    _regions(page)
    _settings(page)
    _sharing(blocks, page)
    _looking(page)
    _saving(page)
    if page.stage.mirror:
        _mirror(page, page.stage.mirror)
    _films(page, arrived)
    _inside(page)
    _endpoints(page)


def _speaking() -> str:
    """Tells the browser which language the page is in, and what its scripts have to say."""
    said = json.dumps([texts.language(), texts.say("page.before")])
    painted = json.dumps(texts.say("stage.painted", photo="{photo}", painting="{painting}"))
    return f"() => {{ window.speak(...{said}); window.describeStage({painted}); }}"


def _stopping() -> str:
    return f"() => {json.dumps(texts.say('status.stopping'))}"


def _arriving(blocks: gr.Blocks, page: Page) -> Any:
    """On opening the page: what its address asks for, or the visitor's last picture."""
    token = page.shown.token
    token.change(share.remember, [token, page.remembered], page.remembered, **_private("clicks"))
    opened = [*page.fields.row(), page.preset, *page.shown]
    return blocks.load(share.arrive, page.remembered, opened, **_private("pictures"))


def _following(page: Page, arrived: Any) -> Any:
    """A run in another tab; returns what follows it."""
    token = page.shown.token
    followed = arrived.then(paint.follow, token, [*page.shown], **_private("followers"))
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
        button.click(share.picture_begun, None, page.last_begun, **_private("clicks"))
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
        choose.choose_pair,
        page.pickers.picked,
        chosen,
        js=CLICKED_PAIR,
        cancels=runs,
        trigger_mode="always_last",
        **_private("pictures"),
    ).then(paint.at_rest, page.shown.token, [*page.tools], **_private("rests")).then(
        **_show_looks(page)
    )


def _show_looks(page: Page) -> dict[str, Any]:
    """The event that shows the photo in all paintings."""
    return {
        "fn": choose.show_looks,
        "inputs": page.fields.row(("content", "style")),
        "outputs": _looks(page),
        "trigger_mode": "multiple",  # new ones end those before them
        **_private("looks"),
    }


def _looks(page: Page) -> list[Any]:
    """The paintings as the photo looks in them, and the switch that tells whom it shows."""
    return [page.pickers.paintings, page.fields.of["subject"]]


def _turn_to_paintings(page: Page) -> dict[str, Any]:
    """The event that turns to the paintings, which show a new photo, and says what to do next.

    In the browser: an answer of the server could come after a run's last word, and stay. While
    something is painted, its own line stays.
    """
    turned = json.dumps(gr.update(selected="style"))
    said = json.dumps(texts.say("status.photo_chosen"))
    js = f"() => [{turned}, document.querySelector('#paint').disabled ? undefined : {said}]"
    shown = [page.pickers.tabs, page.shown.status]
    return {"fn": None, "inputs": None, "outputs": shown, "js": js, **BROWSER}


def _show_own_photo(page: Page) -> dict[str, Any]:
    """The event that puts a new own photo on the stage, unless a picture of the visitor's is there.

    In the browser: an answer of the server could come after a run's first picture, and stay.
    """
    heading = json.dumps("## " + texts.say("pictures.your_photo"))
    js = f"""(photo, token) => {{
        const isFree = photo && !token && !document.querySelector("#paint").disabled;
        return isFree ? [photo, {heading}] : [undefined, undefined];
    }}"""
    given = [page.fields.of["content"], page.shown.token]
    shown = [page.shown.picture, page.shown.title]
    return {"fn": None, "inputs": given, "outputs": shown, "js": js, **BROWSER}


def _pictures(page: Page) -> None:
    """A photo shows itself in all paintings; a painting that is clicked is painted at once."""
    pickers, photo, painting = page.pickers, *page.fields.row(("content", "style"))
    turn = _turn_to_paintings(page)
    # The browser asks for what follows from one click in this order, each when the one before it is
    # answered; and loads no picture that is behind a tab.
    pickers.photos.select(**turn)
    pickers.photos.select(
        choose.pick_photo,
        [painting, page.shown.token],
        [photo, *_drawn(page), page.shown.picture, page.shown.title, *_looks(page)],
        trigger_mode="multiple",
        **_private("looks"),
    )
    photo.input(**turn)
    for changed in (photo.input, photo.clear, painting.input, painting.clear):
        changed(**_show_looks(page))
    pickers.paintings.select(
        choose.pick_painting,
        [pickers.which, painting, pickers.clip.clip],
        [*page.fields.row(choice.STYLES), pickers.at_once],
        **_private("clicks"),
    ).then(paint.at_rest, page.shown.token, [*page.tools], **_private("rests")).then(
        None, pickers.at_once, None, js=PAINT_AT_ONCE
    )
    checked = {
        field: field.upload(choose.check_upload, field, field, **_private("uploads"))
        for field in page.fields.row((*choice.PICTURES, *choice.MASKS))
    }
    checked[photo].success(**_show_own_photo(page))
    taken = {
        name: button.upload(choose.take_upload, button, page.fields.of[name], **_private("uploads"))
        for name, button in pickers.uploads.items()
    }
    taken["content"].success(**_show_own_photo(page))
    for upload in taken.values():
        upload.success(**turn).then(**_show_looks(page))


def _drawn(page: Page) -> list[Any]:
    """The masks, and what is told of them."""
    return [*page.fields.row(choice.MASKS), page.door.drawn]


def _regions(page: Page) -> None:
    """Masks that are drawn, found, or belong to another photo."""
    door, photo = page.door, page.fields.of["content"]
    shown = [door.board, door.on_board]
    door.keep_people.click(regions.keep_people, photo, page.fields.of["keep"], **_private("looks"))
    door.brush.input(regions.choose_brush, door.brush, door.board, **_private("clicks"))
    door.board.input(
        regions.take_regions,
        door.board,
        _drawn(page),
        trigger_mode="always_last",
        **_private("pictures"),
    ).then(  # the board's input comes with the photo, too, before anything is drawn
        None,
        door.drawn,
        page.shown.status,
        js=_if_painted(texts.say("status.changed_anew"), "told"),
        **BROWSER,
    )
    door.accordion.expand(regions.show_board, [photo, door.on_board], shown, **_private("pictures"))
    photo.change(regions.renew_board, [photo, door.on_board], shown, **_private("pictures"))
    another = [photo.upload, photo.clear, page.pickers.uploads["content"].upload]
    gr.on(another, regions.no_regions, None, _drawn(page), **_private("clicks"))
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
    _say_what_takes_a_change(page)
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


def _say_what_takes_a_change(page: Page) -> None:
    """While there is a picture, a changed setting says whether Continue takes it, or Paint only."""
    # Colours change at once.
    names = [name for name in controls.NAMES if name != "color"]
    fixed = [name for name in names if SPECS[name].on_resume is OnResume.FIXED]
    taken = [page.fields.of[name].input for name in names if name not in fixed]
    anew = [page.fields.of[name].input for name in fixed]
    for events, text in (
        ([*taken, page.until.input], texts.say("status.changed")),
        ([*anew, page.preset.input], texts.say("status.changed_anew")),
    ):
        gr.on(events, None, None, page.shown.status, js=_if_painted(text), **BROWSER)


def _if_painted(text: str, condition: str = "true") -> str:
    """JavaScript that gives this text for the line over Paint, if Continue has a picture.

    Args:
        condition: another one, of `told`, the event's input.
    """
    said = json.dumps(text)
    has_picture = "!document.querySelector('#continue').disabled"
    return f"(told) => {has_picture} && {condition} ? {said} : undefined"


def _sharing(blocks: gr.Blocks, page: Page) -> None:
    """The link, and the recipe of a PNG."""
    parts, row = page.sharing, page.fields.row()
    blocks.load(None, None, parts.link, js=_naming_the_link(), **BROWSER)
    parts.link.click(
        share.make_link,
        [parts.address, *row],
        [parts.address, parts.code],
        js=HERE,
        **_private("pictures"),
    ).success(share.copied, parts.address, None, js=COPY, **_private("clicks"))
    parts.take.click(None, None, None, js=CHOOSE_RECIPE, **BROWSER)
    parts.recipe.upload(
        share.take_recipe, parts.recipe, [*row, page.preset], **_private("pictures")
    ).success(**_show_looks(page))


def _naming_the_link() -> str:
    """Says before the click that a link to this page opens on this computer only, if it does."""
    hosts, name = json.dumps(sorted(share.THIS_MACHINE)), json.dumps(texts.say("tools.link_here"))
    host = r"location.hostname.replace(/[\[\]]/g, '')"  # IPv6 has brackets
    return f"() => {hosts}.includes({host}) ? {name} : undefined"


def _looking(page: Page) -> None:
    """What can be seen and changed after the run."""
    token, stage, tools = page.shown.token, page.stage, page.tools
    color = page.fields.of["color"]
    tools.blend.input(
        views.blend,
        [token, tools.blend],
        page.shown.picture,
        trigger_mode="always_last",
        **_private("pictures"),
    )
    tools.blend.release(
        views.save_blend,
        [token, tools.blend],
        [page.shown.picture, tools.save],
        trigger_mode="always_last",
        **_private("pictures"),
    )
    color.input(
        views.recolor,
        [token, color, tools.blend],
        [page.shown.picture, tools.save],
        **_private("pictures"),
    )
    compared, moments = stage.comparison, stage.moments
    gr.on(
        [compared.tab.select, compared.against.input],
        views.compare,
        [token, compared.against],
        [compared.slider, compared.against],
        **_private("pictures"),
    )
    moments.tab.select(
        views.open_run,
        token,
        [moments.nothing_yet, moments.screen, moments.number, moments.picture],
        **_private("pictures"),
    )
    moments.number.input(
        views.scrub,
        [token, moments.number],
        moments.picture,
        trigger_mode="always_last",
        **_private("pictures"),
    )
    strokes = stage.strokes
    strokes.tab.select(
        views.show_strokes,
        token,
        [strokes.nothing_yet, strokes.screen],
        **_private("looks"),
    )
    film = stage.film
    film.tab.select(
        views.show_film,
        token,
        [film.nothing_yet, film.screen, film.video],
        show_progress_on=film.video,
        **_private("films") | {"show_progress": "full"},
    )


def _saving(page: Page) -> None:
    """Picture and film as files; each says that the browser has it."""
    tools, film = page.tools, page.stage.film
    tools.save.click(views.saved, tools.save, None, **_private("clicks"))
    for button in (tools.save_film, film.save):
        button.click(
            views.make_film,
            [page.shown.token, film.ending],
            [button, film.file],
            **_private("films"),
        ).success(views.saved, film.file, None, js=DOWNLOAD, **_private("clicks"))


def _mirror(page: Page, live: MirrorTab) -> None:
    """The camera, painted live in the paintings that are chosen."""
    styles, weights = page.fields.row(choice.STYLES), page.fields.row(choice.WEIGHTS)
    live.tab.select(None, None, None, js=OPEN_MIRROR)
    live.tab.select(choose.show_which, None, page.pickers.which, **_private("clicks"))
    gr.on(
        [live.tab.select, live.renew.click],
        mirror.take_paintings,
        [live.camera, *styles],
        live.weights,
        **_private("pictures"),
    )
    gr.on([style.change for style in styles], None, None, None, js=RENEW_MIRROR)
    live.start.click(
        mirror.begin,
        [live.told, *styles],
        [live.camera, live.told],
        js=ASK_CAMERA,
        **_private("pictures"),
    ).then(None, [live.camera, live.told], None, js=BEGIN_MIRROR)
    live.stop.click(None, None, None, js=STOP_MIRROR)
    live.moment.click(None, None, None, js=FREEZE_MIRROR)
    live.upload.upload(
        mirror.take_moment, live.upload, page.fields.of["content"], **_private("uploads")
    ).success(**_turn_to_paintings(page)).then(None, live.weights, weights, js=SAME).then(
        None, None, None, js=PAINT_NOW
    ).then(**_show_looks(page))
    for own, other in zip(weights, live.weights, strict=True):
        own.change(None, own, other, js=SAME)


def _films(page: Page, arrived: Any) -> None:
    """A clip that is chosen, painted, stopped, looked at on the way, and come back to."""
    tab, kept = page.pickers.clip, page.film_remembered
    tools, wanted = tab.tools, [tab.clip, tab.quality]
    tab.clip.upload(films.check_clip, tab.clip, tab.clip, **_private("uploads"))
    gr.on(
        [tab.clip.change, tab.quality.input, *(f.change for f in page.fields.row(films.SLOWING))],
        films.label,
        [*wanted, *page.fields.row(controls.NAMES)],
        tools.paint,
        trigger_mode="always_last",
        **_private("looks"),
    )
    film, shown = [tab.nothing_yet, tab.video], [tab.frame, tab.status, tab.token]
    tab.token.change(films.remember, [tab.token, kept], kept, **_private("clicks"))
    opened = films.Arrival(
        page.preset,
        page.pickers.tabs,
        tab.clip,
        tab.quality,
        tab.token,
        tab.status,
        tab.views,
        tab.nothing_yet,
        tab.video,
        *tools,
    )
    runs = (
        tools.paint.click(
            films.at_work, None, [tab.status, tab.views, *tools], **_private("clicks")
        ).then(films.paint_film, [*wanted, *page.fields.row()], shown, **_private("runs")),
        arrived.then(
            share.arrive_film,
            [kept, page.last_begun],
            [*page.fields.row(films.OWN_FIELDS), *opened],
            **_private("clicks"),
        )
        .then(films.wait_until_left, tab.token, None, **_private("rests"))
        .then(films.join, tab.token, shown, **_private("runs")),
    )
    tools.paint.click(share.film_begun, None, page.last_begun, **_private("clicks"))
    for ended in (event for run in runs for event in (run.success, run.failure)):
        ended(films.at_rest, tab.token, [tab.views, *film, *tools], **_private("rests"))
    tools.stop.click(None, None, tab.status, js=_stopping(), **BROWSER)
    tools.stop.click(films.stop, None, None, **_private("clicks"))
    tab.so_far.select(films.show_so_far, tab.token, [*film, tools.save], **_private("films"))


def _inside(page: Page) -> None:
    """What is explained of the network and the losses, on the pictures that are chosen."""
    tab = page.inside
    explained = {
        "fn": inside.show,
        "inputs": [tab.topic, tab.unit, *page.fields.row(("content", "style"))],
        "outputs": [tab.screen, tab.status],
        "trigger_mode": "multiple",
        **_private("runs"),
    }
    # What is shown ends before anything else begins.
    for asked in (
        tab.topic.input(inside.stop, None, None, **_private("clicks")),
        tab.screen.click(inside.choose_unit, None, tab.unit, **_private("clicks")),
    ):
        run = asked.then(None, None, tab.stop, js=ONE_MORE, **BROWSER).then(**explained)
        for ended in (run.success, run.failure):
            ended(None, None, tab.stop, js=ONE_LESS, **BROWSER)
    tab.screen.select(
        inside.take_dial,
        None,
        [tab.status, page.preset, *page.fields.row(controls.NAMES)],
        **_private("clicks"),
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
