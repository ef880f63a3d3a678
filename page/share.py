"""Sharing and coming back: links, recipes in PNGs, and what the page opens with."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import gradio as gr
import segno

from nst_core import ImageError, NSTError, SettingsError, recipe
from nst_core.engine.choices import check_choices
from nst_core.pictures.regions import MAX_PAINTINGS
from nst_core.recipe import Recipe, Source, unpack
from page import choose, controls, examples, films, paint, regions, studio
from page.choice import FIELDS, MASKS, NOT_SETTINGS, NUMBERS, PICTURES, STYLES, WEIGHTS, Choice
from page.stage import Shown
from page.studio import STUDIO
from page.texts import retell, say
from page.words import plain, told

# Characters of a link: as many as a code to scan holds.
MAX_LINK = 2900

# What was begun last in a browser.
PICTURE, FILM = "picture", "film"

# Hosts that name the machine itself, whatever machine that is.
THIS_MACHINE = {"localhost", "127.0.0.1", "::1", "0.0.0.0"}


class Kept(NamedTuple):
    """What a browser keeps of the last picture that was painted in it."""

    token: str
    asked: dict[str, str]  # what the address asked for, at which it was painted

    @classmethod
    def read(cls, value: Any) -> Kept | None:
        """What a browser sends, which may be anything; None for what no page has kept."""
        given = value if isinstance(value, dict) else {}
        token, asked = given.get("token"), given.get("asked")
        if not isinstance(token, str) or not isinstance(asked, dict):
            return None
        return cls(token, asked)


def remember(token: str | None, kept: Any, request: gr.Request) -> Any:
    """What the browser keeps: the last picture that was painted, whatever is looked at since."""
    before = Kept.read(kept)
    if not token or (before and before.token == token):
        return gr.skip()
    return Kept(token, _asked_for(request))._asdict()


def picture_begun() -> str:
    """What a browser keeps of what was begun last, when it was a picture."""
    return PICTURE


def film_begun() -> str:
    """The same, when it was a film."""
    return FILM


def arrive(kept: Any, request: gr.Request) -> list[Any]:
    """What the page opens with: the row of a choice, preset, and the stage.

    What its address asks for, or else the visitor's last picture, or else the first pair. But a
    picture that was painted at this address comes before what the address asks for.
    """
    asked, last = _asked_for(request), Kept.read(kept)
    try:
        if last and asked in ({}, last.asked):
            found = last_picture(last.token)
            if found:
                return found
        if asked:
            return _linked(asked)
    except (ImageError, SettingsError) as error:
        gr.Warning(plain(say("notices.link_impossible", reason=retell(error))))
    return _opened(choose.opening(), choose.opening_stage())


def arrive_film(kept: Any, last_begun: Any, request: gr.Request) -> list[Any]:
    """What the page opens with of the visitor's last film, as `films.arrive` has it.

    The fields are those of the address, where it asks for something, or of a later picture.

    Args:
        last_begun: what was begun last, as the browser keeps it.
    """
    if _asked_for(request) or last_begun == PICTURE:
        return films.arrive_beside(kept)
    return films.arrive(kept)


def last_picture(token: str) -> list[Any] | None:
    """The picture of this token, as it is in memory, or else as its file is."""
    painting = STUDIO.find(token)
    if painting is not None:
        chosen = painting.chosen.with_settings(painting.recipe.settings)
        return _opened(chosen.still_there(), paint.shown_again(token, painting))
    path = studio.find_last(token)
    if path is None:
        return None
    made = _read(path)
    stage = Shown(path, say("status.last_picture"), None, token, choose.title_of(made))
    return _opened(_choice_of(made), stage)


def _opened(chosen: Choice, stage: Shown) -> list[Any]:
    """The row of a choice, the preset that it has, and the stage."""
    return [*chosen.to_row(), choose.preset_of(chosen.settings), *stage]


def _linked(asked: dict[str, str]) -> list[Any]:
    settings = controls.from_query(
        {name: text for name, text in asked.items() if name in controls.NAMES}
    )
    check_choices(settings)
    names = {field: _asked_example(field, asked.get(field)) for field in PICTURES}
    paths = {
        field: str(examples.path_of(_kind(field), name)) if name else None
        for field, name in names.items()
    }
    weights = {
        field: _asked_weight(number, asked.get(field))
        for number, field in zip(NUMBERS, WEIGHTS, strict=True)
    }
    found = [name for name in names.values() if name]
    chosen = Choice.of(paths | weights | _asked_masks(asked, names), settings)
    return _opened(chosen, _first_sight(chosen, tuple(found)))


def _asked_masks(asked: dict[str, str], pictures: dict[str, str | None]) -> dict[str, str | None]:
    """The files of the regions that a link names, of pictures that are there."""
    return {
        field: regions.from_link(field, asked[field])
        for field in MASKS
        if asked.get(field) and _has_its_pictures(field, pictures)
    }


def _has_its_pictures(mask: str, pictures: dict[str, str | None]) -> bool:
    """Whether the photo that a mask was drawn on is there, and the painting that applies there."""
    painting = dict(zip(MASKS, STYLES, strict=False)).get(mask, "content")
    return bool(pictures["content"] and pictures[painting])


def _first_sight(chosen: Choice, names: tuple[str, ...]) -> Shown:
    """What a link shows: the finished pair, or else the photo that is going to be painted."""
    stage = Shown(None, say("status.choose"), title=choose.title(chosen))
    if names in examples.PAIRS and not any((*chosen.masks, chosen.keep)):
        painted = str(examples.painted_path(*names))
        return stage._replace(picture=painted, status=say("status.painted_before"))
    text = say("status.ready") if chosen.content and chosen.style else stage.status
    return stage._replace(picture=chosen.content, status=text)


def _kind(field: str) -> str:
    """Which kind of example pictures goes into a field."""
    return "content" if field == "content" else "style"


def _asked_example(field: str, name: str | None) -> str | None:
    return name if name in examples.NAMES[_kind(field)] else None


def _asked_weight(number: int, text: str | None) -> float:
    try:
        return min(1.0, max(0.0, float(text or 1)))
    except ValueError:
        raise SettingsError(
            "Weight {number} must be a number from 0 to 1, but the link says {text!r}.",
            number=number,
            text=text,
        ) from None


def _asked_for(request: gr.Request) -> dict[str, str]:
    """What an address asks for, without what others put into it."""
    known = {*PICTURES, *WEIGHTS, *MASKS, *controls.NAMES}
    return {name: text for name, text in dict(request.query_params).items() if name in known}


def make_link(base: str, *row: Any) -> tuple[Any, Any]:
    """An address that opens the page with this pair and these settings, and its code to scan.

    Regions go along where there is room for them.
    """
    try:
        chosen = Choice.from_row(row)
        given = dict(zip(NOT_SETTINGS, chosen.to_row(NOT_SETTINGS), strict=True))
        names = {field: choose.example_name(_kind(field), given[field]) for field in PICTURES}
        drawn = [mask for mask in MASKS if given[mask] and _has_its_pictures(mask, names)]
        masks = {mask: regions.to_link(given[mask]) for mask in drawn}
    except NSTError as error:
        raise gr.Error(told(error), print_exception=False) from None
    label = say("tools.address")
    if any(given[field] and not names[field] for field in PICTURES):
        label = say("tools.address_without")
        if not _is_of_this_machine(base):  # of such a one there is more to tell
            gr.Info(say("notices.not_in_link"))
    weights = {field: str(given[field]) for field in WEIGHTS if given[field] != 1.0}
    link = f"{base}?{controls.to_query(names | weights | masks, chosen.settings)}"
    if len(link) > MAX_LINK:
        gr.Info(say("notices.regions_not_in_link"))
        link = f"{base}?{controls.to_query(names | weights, chosen.settings)}"
    return gr.update(value=link, label=label, visible=True), gr.update(
        value=code(link), visible=True
    )


def copied(link: str) -> None:
    """Tell that the browser has copied a link; it is empty where that is not allowed."""
    if not link:
        gr.Info(say("notices.link_not_copied"))
    elif _is_of_this_machine(link):
        gr.Info(say("notices.link_only_here"))
    else:
        gr.Info(say("notices.link_copied"))


def code(link: str) -> str:
    """A code that phones scan to open the link, as HTML; a note where they could not reach it."""
    if _is_of_this_machine(link):
        note = say("tools.code_only_here")
        return f"<p>{note}</p>"
    name = say("tools.code")
    drawn = segno.make(link, micro=False).svg_inline(scale=4, border=4, light="white")
    return f'<figure role="img" aria-label="{name}">{drawn}</figure>'


def _is_of_this_machine(link: str) -> bool:
    """Whether no other machine can open a link."""
    return urlsplit(link).hostname in THIS_MACHINE


def take_recipe(path: str) -> list[Any]:
    """The row of a choice, and the preset, from a PNG that was painted here."""
    nothing: list[Any] = [gr.skip()] * (len(FIELDS) + 1)
    if Path(path).suffix.lower() != ".png":
        gr.Warning(plain(say("notices.no_recipe", file=Path(path).name)))
        return nothing
    try:
        chosen = _choice_of(_read(path))
    except (ImageError, SettingsError) as error:
        gr.Warning(told(error))
        return nothing
    gr.Info(say("notices.recipe_taken"))
    content, style, *rest = chosen.to_row()
    preset = choose.preset_of(chosen.settings)
    return [content or gr.skip(), style or gr.skip(), *rest, preset]


def _read(path: str) -> Recipe:
    """The recipe in a painted PNG; raises `ImageError` or `SettingsError` as `recipe.read` does."""
    made = recipe.read(path)
    check_choices(made.settings)
    return made


def _choice_of(made: Recipe) -> Choice:
    """What a recipe chose, with those of its pictures that are examples.

    Raises `SettingsError` when a mask in it is damaged.
    """
    empty = (None,) * (MAX_PAINTINGS - len(made.style))
    masks = [regions.save_mask(field, unpack(mask)) for field, mask in _masks(made)]
    maximum = max(1.0, *(source.weight for source in made.style))  # only their ratio counts
    return Choice(
        content=_example_of("content", made.content),
        styles=(*(_example_of("style", source) for source in made.style), *empty),
        weights=(*(source.weight / maximum for source in made.style), *(1.0 for _ in empty)),
        masks=(*masks[:-1], *empty),
        keep=masks[-1],
        settings=made.settings,
    )


def _masks(made: Recipe) -> list[tuple[str, str]]:
    """The masks of a recipe's paintings, and that of what is kept, by the names of their fields."""
    paintings = zip(MASKS, (source.mask for source in made.style), strict=False)
    return [*paintings, ("keep", made.keep)]


def _example_of(kind: str, source: Source) -> str | None:
    """The example picture that a recipe names, if it is one."""
    name = examples.find(kind, source.sha256)
    return str(examples.path_of(kind, name)) if name else None
