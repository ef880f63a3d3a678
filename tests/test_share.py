"""Links, recipes and coming back, as the page calls them; with the fake engine."""

from __future__ import annotations

import base64
import contextlib
import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import gradio as gr
import numpy as np
import pytest
import segno
from PIL import Image
from visits import CASTLE, OTHER, WAVE, mixed, paint, paint_until, pixels, step_of, told, values_of

import app
from nst_core import Settings, Style, recipe, stylize
from nst_core.pictures import images
from nst_core.presets import PRESETS
from page import choice, controls, examples, regions, share
from page import paint as room
from page.choice import Choice
from page.stage import Shown
from page.studio import STUDIO, Studio

LAST_PICTURE = "Your last picture. The server was started again since; **Paint** begins anew."

pytestmark = pytest.mark.usefixtures("steps", "turns")


class Arrival(NamedTuple):
    """What the page opens with."""

    chosen: Choice
    preset: str | None
    stage: Shown

    @classmethod
    def at(cls, remembered: Any = None, **query: str) -> Arrival:
        values = share.arrive(remembered, asking(**query))
        row, (preset, *shown) = values[: len(choice.FIELDS)], values[len(choice.FIELDS) :]
        return cls(Choice.from_row(row), preset, Shown(*shown))


def asking(**query: str) -> Any:
    """A request of the page at an address with this query."""
    return SimpleNamespace(query_params=query)


def remembering(token: str, **query: str) -> Any:
    """What a browser has kept after painting at an address with this query."""
    return share.remember(token, None, asking(**query))


def pair_of(content: str, style: str, **more) -> dict[str, Any]:
    """A choice without its settings, by the names of its fields."""
    begun = {name: default for name, (default, _) in choice.MORE.items()}
    return {"content": content, "style": style} | begun | more


def chosen(settings: Settings, *pair: str, **more) -> Choice:
    """A choice of a pair, and whatever is named besides."""
    return Choice.of(pair_of(*pair, **more), settings)


OPENING = Choice.of(
    {
        kind: str(examples.path_of(kind, name))
        for kind, name in zip(examples.KINDS, examples.PAIRS[0], strict=True)
    },
    PRESETS["gallery"].settings,
)


@pytest.mark.parametrize("query", [{}, {"__theme": "dark", "logs": "container"}])
def test_the_page_opens_with_a_painted_pair_and_a_preset(query):
    arrival = Arrival.at(**query)
    assert arrival[:2] == (OPENING, "gallery")
    assert Path(arrival.stage.picture) == examples.painted_path(*examples.PAIRS[0])
    assert arrival.stage.token == gr.skip()


def test_a_link_opens_the_same_pair_and_settings():
    settings = Settings(size=384, strength=0.7, time_budget=10)
    made, _ = share.make_link("http://x/", CASTLE, WAVE, *controls.show(settings))
    link = made["value"]
    assert link.startswith("http://x/?")
    arrival = Arrival.at(**dict(parse_qsl(urlsplit(link).query)))
    assert arrival[:2] == (chosen(settings, CASTLE, WAVE), "sketch")
    assert Path(arrival.stage.picture).stem == "castle-great-wave"


READY = "Press **Paint** to see this photo in the style of the painting."


def test_a_link_to_a_pair_that_is_not_painted_shows_the_photo():
    arrival = Arrival.at(content="owl", style="great-wave")
    assert arrival.stage[:2] == (str(examples.path_of("content", "owl")), READY)


def test_a_link_without_a_photo_or_a_painting_says_what_to_choose():
    text = "Choose a photo and a painting, then press **Paint**."
    assert Arrival.at(style="great-wave").stage[:2] == (None, text)
    photo = str(examples.path_of("content", "owl"))
    assert Arrival.at(content="owl").stage[:2] == (photo, text)


def test_a_link_with_nonsense_is_told(monkeypatch):
    messages = told(monkeypatch)
    for query in ({"size": "7", "content": "owl"}, {"optimizer": "magic"}):
        assert Arrival.at(**query).chosen == OPENING
    assert "size is 7" in messages[0]
    assert "optimizer is 'magic'" in messages[1]
    assert Arrival.at(content="../../etc/passwd").chosen.files == (None,) * 10


def test_a_link_without_examples_says_what_it_leaves_out(monkeypatch, tmp_path):
    messages = told(monkeypatch, "Info")
    Image.new("RGB", (32, 32)).save(tmp_path / "mine.png")
    made, _ = share.make_link("http://x/", str(tmp_path / "mine.png"), WAVE, *values_of())
    link = made["value"]
    assert "mine" not in link
    assert "style=great-wave" in link
    assert "own pictures" in messages[0]


def test_a_painted_png_gives_back_its_settings_and_examples(monkeypatch):
    messages = told(monkeypatch, "Info")
    *_, shown = paint(size=64, steps=1, seed=9)
    *row, preset = share.take_recipe(shown.picture)
    expected = chosen(Settings(size=64, steps=1, seed=9), CASTLE, WAVE)
    assert (Choice.from_row(row), preset) == (expected, None)
    assert messages == ["Settings taken from the picture's recipe."]


def test_other_files_give_no_settings(monkeypatch, tmp_path):
    messages = told(monkeypatch)
    (tmp_path / "no.png").write_text("<html>")
    for path in (str(tmp_path / "no.png"), CASTLE):
        assert share.take_recipe(path) == [gr.skip()] * (len(choice.FIELDS) + 1)
    assert "not a picture" in messages[0]
    assert "carries its settings; castle.jpg does not" in messages[1]


def test_a_jpeg_is_told_what_carries_settings(monkeypatch):
    """It reaches the page, where Gradio would refuse it in words about lists of formats."""
    messages = told(monkeypatch)
    button = layout_of(app.make_page(), "recipe")
    path = button.preprocess(gr.FileData(path=CASTLE))
    assert share.take_recipe(path) == [gr.skip()] * (len(choice.FIELDS) + 1)
    assert messages == [
        "Only a PNG that was painted here carries its settings; castle.jpg does not."
    ]


def layout_of(page: gr.Blocks, elem_id: str) -> Any:
    """The component of this id."""
    (found,) = (one for one in page.blocks.values() if getattr(one, "elem_id", "") == elem_id)
    return found


def test_the_browser_remembers_paintings_only():
    kept = remembering("a token", size="64", logs="container")
    assert kept == {"token": "a token", "asked": {"size": "64"}}
    for nothing in (None, ""):
        assert share.remember(nothing, kept, asking()) == gr.skip()
    # Opened again at another address, it is still the picture of the first.
    assert share.remember("a token", kept, asking()) == gr.skip()
    assert share.remember("another", kept, asking())["asked"] == {}


@pytest.mark.parametrize("kept", [7, "a token", [], {"token": 7}, {"token": "x", "asked": 3}, {}])
def test_what_no_page_has_kept_is_nothing(kept):
    assert Arrival.at(kept).chosen == OPENING


def test_who_comes_back_finds_the_last_picture_and_its_settings():
    token = paint_until(2, steps=5)
    arrival = Arrival.at(remembering(token))
    settings = Settings(size=96, steps=5, frame_interval=0)
    assert arrival[:2] == (chosen(settings, CASTLE, WAVE), None)
    assert arrival.stage.token == token
    expected = "Your last picture. Stopped at step 2; the picture is kept."
    assert arrival.stage.status == expected
    np.testing.assert_array_equal(pixels(arrival.stage.picture), STUDIO.find(token).frame.image)
    assert room.at_rest(token).go_on["interactive"]


def test_the_title_names_the_picture_that_comes_back(monkeypatch, steps):
    """Found by its recipe, also when the files that were chosen are cleaned away, or all is new."""
    caption = "## Neuschwanstein Castle × The Great Wave off Kanagawa"
    *_, last = paint(size=64, steps=1)
    assert Arrival.at(remembering(last.token)).stage.title == caption
    monkeypatch.setattr(share, "STUDIO", Studio())
    arrival = Arrival.at(remembering(last.token)).stage
    assert (arrival.status, arrival.title) == (LAST_PICTURE, caption)
    assert Arrival.at().stage.title == f"## {examples.pair_caption(*examples.PAIRS[0])}"
    assert Arrival.at(content="owl").stage.title == "## Owl × your painting"


def test_who_opens_a_link_or_comes_too_late_finds_something_else():
    token = paint_until(1, steps=5)
    assert Arrival.at(remembering(token), content="owl").stage.status.startswith("Choose a photo")
    assert Arrival.at(remembering("gone")).chosen == OPENING


def test_a_linked_page_that_is_reloaded_has_the_picture_that_was_painted_there(monkeypatch):
    """Also when the server was started again; what another link asks for is not that."""
    *_, last = paint(size=64, steps=1)
    token, link = last.token, {"content": "castle", "size": "64"}
    again = Arrival.at(remembering(token, **link), **link)
    assert again.stage.token == token
    assert again.stage.status.startswith("Your last picture. Done in ")
    other = Arrival.at(remembering(token, **link), **link | {"size": "96"})
    assert other.stage.status.startswith("Choose a photo")
    assert other.chosen.settings.size == 96
    monkeypatch.setattr(share, "STUDIO", Studio())
    again = Arrival.at(remembering(token, **link), **link)
    assert (again.stage.token, again.stage.status) == (token, LAST_PICTURE)


def test_another_tab_shows_the_run_until_it_ends():
    run = paint(steps=3, frame_interval=0, style_loss="gram")  # one scale
    token = next(shown.token for shown in run if step_of(shown) == 1)
    stage = Arrival.at(remembering(token)).stage
    expected = "step 1"
    assert stage.status.startswith("Being painted in another tab. ")
    assert stage.status.endswith(expected)
    assert stage.token == token
    followed = room.follow(token)
    assert next(followed).status.endswith(expected)
    for shown in run:
        if step_of(shown) == 2:
            assert next(followed).status.endswith("step 2")
    shown = list(followed)
    assert [one.status.split(" (")[1] for one in shown] == ["3 steps)."]
    assert Path(shown[0].picture).suffix == ".png"


def test_there_is_nothing_to_follow_when_nothing_is_painted():
    for token in (None, "gone"):
        assert list(room.follow(token)) == [Shown(losses=None)]
    token = paint_until(1, steps=3)
    (shown,) = room.follow(token)
    assert shown._replace(losses=None) == Shown(losses=None)
    assert shown.losses.equals(STUDIO.find(token).history.table())


def test_a_run_that_ends_without_a_picture_changes_nothing_for_who_follows_it(monkeypatch):
    """Gradio would empty the stage for an answer that says nothing."""
    with contextlib.ExitStack() as at_work:
        at_work.enter_context(STUDIO.at_work("begun"))
        monkeypatch.setattr(room, "time", SimpleNamespace(sleep=lambda _: at_work.close()))
        assert list(room.follow("begun")) == [Shown(losses=None)]


def test_a_mix_is_painted_kept_and_found_again(half, monkeypatch):
    told(monkeypatch, "Info")
    more = {"style_2": OTHER, "weight_1": 0.5, "mask_2": half}
    settings = Settings(size=64, steps=2)
    *_, shown = paint(*mixed(**more), size=64, steps=2)
    styles = [Style(WAVE, 0.5), Style(OTHER, 1.0, half)]
    expected = stylize(CASTLE, styles, settings)
    np.testing.assert_array_equal(pixels(shown.picture), expected.image)
    assert Arrival.at(remembering(shown.token)).chosen == chosen(settings, CASTLE, WAVE, **more)
    *row, _preset = share.take_recipe(shown.picture)
    taken = Choice.from_row(row)
    assert (taken.styles[1], taken.weights[0], taken.masks[0]) == (OTHER, 0.5, None)
    masks = [images.load_mask(path) for path in (half, taken.masks[1])]
    np.testing.assert_array_equal(*masks)
    *_, again = room.paint(None, *row)
    np.testing.assert_array_equal(pixels(again.picture), expected.image)


def test_weights_of_a_recipe_fit_their_sliders(monkeypatch, tmp_path):
    told(monkeypatch, "Info")
    made = recipe.make(CASTLE, [(WAVE, 3), (OTHER, 1.5)], Settings(size=64))
    images.save(Image.new("RGB", (4, 4)), tmp_path / "made.png", {recipe.KEY: made.to_json()})
    *row, _preset = share.take_recipe(str(tmp_path / "made.png"))
    expected = chosen(Settings(size=64), CASTLE, WAVE, style_2=OTHER, weight_1=1.0, weight_2=0.5)
    assert Choice.from_row(row) == expected


def test_a_recipe_of_two_regions_keeps_each_mask_with_its_painting(monkeypatch, half):
    told(monkeypatch, "Info")
    more = {"style_2": OTHER, "mask_2": half, "keep": half}
    *_, shown = paint(*mixed(**more), size=64, steps=1)
    taken = Choice.from_row(share.take_recipe(shown.picture)[:-1])
    assert [bool(mask) for mask in (*taken.masks, taken.keep)] == [False, True, False, False, True]


def link_of(*pair: str, **more) -> str:
    """The link to a pair at 64 px, and whatever is named besides."""
    made, _ = share.make_link("http://x/", *chosen(Settings(size=64), *pair, **more).to_row())
    return made["value"]


def opened(link: str) -> Arrival:
    return Arrival.at(**dict(parse_qsl(urlsplit(link).query)))


def test_a_link_holds_the_mix_and_its_regions(monkeypatch, half):
    messages = told(monkeypatch, "Info")
    more = {"style_3": OTHER, "weight_3": 0.25}
    link = link_of(CASTLE, WAVE, **more, mask_3=half, keep=half)
    assert len(link) < 600
    arrival = opened(link)
    assert messages == []
    taken = arrival.chosen
    assert (taken.styles[2], taken.weights[2]) == (OTHER, 0.25)
    assert [bool(mask) for mask in (*taken.masks, taken.keep)] == [False, False, True, False, True]
    for mask in (taken.masks[2], taken.keep):
        np.testing.assert_array_equal(images.load_mask(mask), images.load_mask(half))
    # The finished picture of this pair has no regions.
    assert arrival.stage[:2] == (CASTLE, READY)


def test_a_region_in_a_link_is_smaller_and_of_the_same_shape(tmp_path):
    mask = np.zeros([430, 640], np.uint8)
    mask[100:300, 200:500] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    keep = opened(link_of(CASTLE, WAVE, keep=str(tmp_path / "mask.png"))).chosen.keep
    small = images.load_mask(keep)
    assert max(small.shape) == regions.LINK_SIDE
    again = images.load_mask(keep, (640, 430))
    assert np.abs(again - mask / 255).mean() < 0.01


def test_regions_with_too_many_details_are_left_out_and_told(monkeypatch, tmp_path, rng):
    messages = told(monkeypatch, "Info")
    noise = (rng.random([96, 96]) > 0.5).astype(np.uint8) * 255
    Image.fromarray(noise).save(tmp_path / "noise.png")
    more = {"style_2": OTHER} | dict.fromkeys(
        ("mask_1", "mask_2", "keep"), str(tmp_path / "noise.png")
    )
    link = link_of(CASTLE, WAVE, **more)
    assert "too many details" in messages[0]
    assert opened(link).chosen == chosen(Settings(size=64), CASTLE, WAVE, style_2=OTHER)


def test_the_longest_link_still_has_a_code():
    link = "https://talk.example/?".ljust(share.MAX_LINK, "x")
    assert "<svg" in share.code(link)


def test_regions_of_own_pictures_stay_here(monkeypatch, tmp_path, half):
    messages = told(monkeypatch, "Info")
    mine = str(tmp_path / "mine.png")
    Image.new("RGB", (32, 32)).save(mine)
    taken = opened(link_of(CASTLE, WAVE, style_2=mine, mask_2=half, keep=half)).chosen
    assert (taken.styles[1], taken.masks[1], bool(taken.keep)) == (None, None, True)
    assert "keep=" not in link_of(mine, WAVE, keep=half)
    assert len(messages) == 2
    assert "what was drawn on them" in messages[0]


@pytest.mark.parametrize("text", ["!", "AAAA", "%00", "x" * 3000])
def test_a_damaged_region_in_a_link_is_told(text, monkeypatch):
    messages = told(monkeypatch)
    assert Arrival.at(content="castle", style="great-wave", keep=text).chosen == OPENING
    assert "A region in it is damaged" in messages[0]


def test_a_region_as_large_as_a_bomb_is_refused(monkeypatch):
    messages = told(monkeypatch)
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG", optimize=True)
    bomb = base64.urlsafe_b64encode(buffer.getvalue()).decode()
    assert Arrival.at(content="castle", style="great-wave", keep=bomb).chosen == OPENING
    assert "A region in it is damaged" in messages[0]


def test_a_link_that_cannot_be_made_is_not_copied():
    """An error, and no warning: after that the page would copy."""
    row = chosen(Settings(size=64), CASTLE, WAVE).to_row()
    row[choice.FIELDS.index("size")] = 3
    with pytest.raises(gr.Error, match="size is 3"):
        share.make_link("http://x/", *row)


def test_it_is_told_whether_the_link_was_copied_and_for_whom(monkeypatch):
    messages = told(monkeypatch, "Info")
    for link in ("http://x/", "http://127.0.0.1:7860/", ""):
        share.copied(link)
    assert messages[0] == "Link copied."
    assert messages[1].startswith("Link copied. It opens on this computer only. For a friend, save")
    assert "take the link from the field below" in messages[2]


def test_a_link_with_a_nonsensical_weight_is_told(monkeypatch):
    messages = told(monkeypatch)
    assert Arrival.at(weight_2="much").chosen == OPENING
    assert "Weight 2 must be a number from 0 to 1" in messages[0]


def modules(svg: str) -> str:
    """What of a code is drawn."""
    return re.search(r' d="([^"]+)"', svg)[1]


def test_a_code_to_scan_is_that_of_the_link():
    link = "https://talk.example/?content=castle&style=great-wave"
    expected = segno.make(link, micro=False).svg_inline(scale=4, border=4, light="white")
    assert modules(expected) in share.code(link)
    assert modules(expected) not in share.code(link + "&size=256")


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:7860", "0.0.0.0"])
def test_an_address_that_phones_cannot_reach_has_no_code(host):
    assert "<svg" not in share.code(f"http://{host}/?content=castle")
    assert "Other devices cannot open" in share.code(f"http://{host}/?content=castle")
