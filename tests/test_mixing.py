"""Several paintings, regions and colours on the page, as a visitor mixes, draws and keeps them.

With the fake engine, whose steps here, in the tests, are the same as there.
"""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from conftest import example
from PIL import Image
from playwright.sync_api import expect
from test_browser import drop, pixels
from visitor import (
    SHORT,
    answered,
    open_more,
    open_page,
    open_view,
    paint_to_the_end,
    save,
    settle,
    shoot,
    size_of,
    visit,
    wait_for,
)

from nst_core import Settings, Style, recipe, stylize
from nst_core.pictures import images
from nst_core.recipe import unpack

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("steps")]

SMALL = Settings(size=128, steps=8, frame_interval=0)


@pytest.fixture
def mixer(short):
    """A visitor who has opened what is for several paintings."""
    open_more(short, "Mix paintings")
    return short


def open_masks(page) -> None:
    """The fields of the masks, in which what is drawn arrives."""
    page.locator("#settings > button").click()
    page.get_by_text("Regions as pictures").click()


def open_board(page) -> None:
    """Ready to draw, and to see where what is drawn arrives."""
    open_masks(page)
    open_more(page, "Keep part of the photo")
    canvas = page.locator("#board canvas").first
    canvas.scroll_into_view_if_needed()

    def shows_the_photo() -> bool:
        with Image.open(io.BytesIO(canvas.screenshot())) as image:
            middle = image.crop(
                [round(side * share) for share in (0.4, 0.6) for side in image.size]
            )
            return np.asarray(middle.convert("L")).std() > 10

    wait_for(page, shows_the_photo)  # it arrives some time after the board itself
    settle(page)


def choose_brush(page, name: str) -> None:
    with answered(page):
        page.locator("#brush").get_by_text(name, exact=True).click()


def choose_painting(page, field: int, nth: int) -> None:
    """Fill a painting's field from the gallery."""
    page.get_by_role("tab", name="Paintings", exact=True).click()
    page.locator("#which").get_by_text(f"Painting {field}").click()
    page.locator("#pick-style .thumbnail-lg").nth(nth).click()
    expect(page.locator("#style img" if field == 1 else f"#style_{field} img")).to_be_visible()


def set_weight(page, number: int, value: str) -> None:
    field = page.locator(f"#weight_{number} input[type=number]")
    field.fill(value)
    field.press("Tab")


def draw(page, name: str, field: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Choose a brush and draw a line, from and to shares of the board, until all of it is there.

    The board may still be changing its brush: what is drawn on it then is lost.
    """
    choose_brush(page, name)
    canvas = page.locator("#board canvas").first
    canvas.scroll_into_view_if_needed()
    wait_until_still(page, canvas)
    before = seen_on(canvas)

    def is_drawn() -> bool:
        draw_line(page, start, end)
        settle(page)
        wait_until_still(page, canvas)
        changed = np.abs(seen_on(canvas) - before).max(axis=-1) > 16
        columns, rows = (shares_of(start, end) * changed.shape[1::-1]).astype(int).T
        return bool(changed[rows, columns].all())

    wait_for(page, is_drawn)
    expect(page.locator(f"#{field} img")).to_be_visible()


def wait_until_still(page, canvas) -> None:
    """Another brush may let the board move its photo for a while."""
    seen: list[bytes] = []

    def is_still() -> bool:
        seen.append(canvas.screenshot())
        return len(seen) > 2 and seen[-1] == seen[-2] == seen[-3]

    wait_for(page, is_still)


def draw_line(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    canvas = page.locator("#board canvas").first
    canvas.scroll_into_view_if_needed()
    wait_until_still(page, canvas)
    box = canvas.bounding_box()
    points = shares_of(start, end) * (box["width"], box["height"]) + (box["x"], box["y"])
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points:
        page.mouse.move(*point)
        page.evaluate("() => new Promise(requestAnimationFrame)")  # the board draws once a frame
    page.mouse.up()


def shares_of(start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
    """The points of a line, in shares of the board's width and height."""
    return np.linspace(start, end, 12)


def seen_on(canvas) -> np.ndarray:
    with Image.open(io.BytesIO(canvas.screenshot())) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_two_paintings_from_the_gallery_with_weights(mixer, tmp_path):
    choose_painting(mixer, 2, 3)
    set_weight(mixer, 2, "0.25")
    paint_to_the_end(mixer)
    shoot(mixer, "mix")
    saved = save(mixer, "#save", tmp_path)
    mix = [(example("style/great-wave"), 1), (example("style/ryogoku"), 0.25)]
    assert [source.weight for source in recipe.read(saved).style] == [1, 0.25]
    expected = stylize(example("content/castle"), mix, SMALL)
    np.testing.assert_array_equal(pixels(saved), expected.image)


def test_regions_are_drawn_painted_and_restored(mixer, page_address, tmp_path):
    choose_painting(mixer, 2, 3)
    open_board(mixer)
    draw(mixer, "Painting 2", "mask_2", (0.35, 0.3), (0.65, 0.3))
    draw(mixer, "Photo stays", "keep", (0.4, 0.65), (0.6, 0.65))
    paint_to_the_end(mixer)
    shoot(mixer, "regions")
    saved = save(mixer, "#save", tmp_path)
    made = recipe.read(saved)
    second, kept = unpack(made.style[1].mask), unpack(made.keep)
    assert unpack(made.style[0].mask) is None
    for mask, row in ((second, 0.3), (kept, 0.65)):
        height, width = mask.shape
        rows, columns = np.nonzero(mask)
        assert 0.02 < (mask > 0).mean() < 0.4
        assert abs(rows.mean() / height - row) < 0.15
        assert abs(columns.mean() / width - 0.5) < 0.1
    painted = pixels(saved)
    photo = images.to_uint8(images.load(example("content/castle"), 128).rgb)
    inside = images.load_mask(kept, painted.shape[1::-1]) > 0.99
    difference = np.abs(painted - photo).mean(-1)
    assert difference[inside].mean() < 2 < 8 < difference[~inside].mean()

    # The recipe restores it all, for somebody else too.
    mixer.evaluate("localStorage.clear()")
    open_page(mixer, page_address)
    drop(mixer, saved, "#title")
    expect(mixer.get_by_text("Settings taken from the picture's recipe")).to_be_visible()
    expect(size_of(mixer)).to_have_value("128")
    settle(mixer)
    paint_to_the_end(mixer)
    again = save(mixer, "#save", tmp_path)
    assert recipe.read(again).style == made.style
    assert recipe.read(again).keep == made.keep
    np.testing.assert_array_equal(pixels(again), painted)


def test_what_is_drawn_is_told_until_another_photo_comes_and_the_wheel_moves_the_page(short):
    paint_to_the_end(short)
    open_board(short)
    told = short.locator("#drawn")
    expect(told).not_to_contain_text("Taken")
    expect(short.locator("#status")).to_contain_text("Done")  # nothing is changed by a look at it
    draw_line(short, (0.4, 0.4), (0.6, 0.6))
    expect(told).to_contain_text("Taken")
    paint_to_the_end(short)
    draw_line(short, (0.4, 0.6), (0.6, 0.4))
    expect(short.locator("#status")).to_contain_text("Changed: press Paint")
    before = short.evaluate("scrollY")
    short.mouse.wheel(0, -200)  # the mouse is over the board
    short.wait_for_function("before => scrollY < before", arg=before)
    short.get_by_role("tab", name="Photos").click()
    short.locator("#pick-content .thumbnail-lg").nth(2).click()
    settle(short)
    expect(told).not_to_contain_text("Taken")


def test_masks_come_as_files_and_go_with_their_photo(mixer, tmp_path):
    mask = np.zeros([30, 50], np.uint8)
    mask[:, 25:] = 255
    Image.fromarray(mask).save(tmp_path / "right.png")
    open_masks(mixer)
    mixer.locator("#mask_1 input[type=file]").set_input_files(tmp_path / "right.png")
    expect(mixer.locator("#mask_1 img")).to_be_visible()
    paint_to_the_end(mixer)
    shoot(mixer, "mask-file")
    saved = save(mixer, "#save", tmp_path)
    styles = [Style(example("style/great-wave"), mask=tmp_path / "right.png")]
    expected = stylize(example("content/castle"), styles, SMALL)
    np.testing.assert_array_equal(pixels(saved), expected.image)
    mixer.get_by_role("tab", name="Photos").click()
    mixer.locator("#pick-content .thumbnail-lg").nth(2).click()
    expect(mixer.locator("#mask_1 img")).to_have_count(0)


def test_an_empty_mask_and_a_region_without_a_painting_are_told(mixer, tmp_path):
    Image.new("L", (50, 30)).save(tmp_path / "black.png")
    open_masks(mixer)
    mixer.locator("#mask_3 input[type=file]").set_input_files(tmp_path / "black.png")
    expect(mixer.locator("#mask_3 img")).to_be_visible()
    mixer.click("#paint")
    expect(mixer.locator("#status")).to_contain_text("no painting 3")
    choose_painting(mixer, 3, 4)
    mixer.click("#paint")
    expect(mixer.locator("#status")).to_contain_text("The mask of painting 3 is empty")


def test_colours_change_after_the_run_in_picture_run_and_file(short, tmp_path):
    paint_to_the_end(short)
    painted = pixels(save(short, "#save", tmp_path))
    shown = short.locator("#result img").get_attribute("src")
    open_more(short, "Colours and size")
    short.locator("#setting-color input").click()
    with answered(short):
        short.get_by_role("option", name="The photo's", exact=True).click()
    expect(short.locator("#result img")).not_to_have_attribute("src", shown)
    shoot(short, "photos-colours")
    saved = save(short, "#save", tmp_path)
    assert recipe.read(saved).settings.color == "luminance"
    expected = stylize(
        example("content/castle"),
        example("style/great-wave"),
        Settings(size=128, steps=8, color="luminance"),
    )
    recoloured = pixels(saved)
    np.testing.assert_array_equal(recoloured, expected.image)
    assert np.abs(recoloured - painted).mean() > 4
    expect(short.locator("#preset input:checked")).to_have_count(0)
    open_view(short, "Step by step")
    expect(short.locator("#moment img")).to_be_visible()
    shoot(short, "photos-colours-run")


def test_brushwork_and_stroke_size_by_name(browser, page_address, tmp_path):
    with visit(browser, page_address, SHORT + "&style_scale=0.5") as page:
        page.locator("#settings > button").click()
        layers = page.locator("#setting-style_layers input")
        layers.click()
        page.get_by_role("option", name="bold shapes").click()
        expect(layers).to_have_value("bold shapes")
        settle(page)
        paint_to_the_end(page)
        shoot(page, "brushwork")
        made = recipe.read(save(page, "#save", tmp_path)).settings
        bold = Settings(style_layers="bold shapes").style_layers
        assert (made.style_layers, made.style_scale) == (bold, 0.5)
        # By hand as well.
        layers.fill("block1_conv1, block3_conv1=2")
        layers.press("Enter")
        settle(page)
        paint_to_the_end(page)
        made = recipe.read(save(page, "#save", tmp_path)).settings
        assert made.style_layers == (("block1_conv1", 1.0), ("block3_conv1", 2.0))


def test_a_phone_draws_regions_by_touch(browser, page_address):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with visit(browser, page_address, SHORT, **phone) as page:
        open_board(page)
        expect(page.locator("#brush")).to_have_count(0)  # with one painting there is no choice
        canvas = page.locator("#board canvas").first
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.locator("#keep img")).to_be_visible()
        shoot(page, "phone-regions")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_link_carries_the_mix(mixer, browser, page_address):
    choose_painting(mixer, 2, 3)
    set_weight(mixer, 2, "0.5")
    mixer.click("#link")
    field = mixer.locator("#address :is(textarea, input)").first
    expect(field).to_have_value(re.compile("style_2=ryogoku.*weight_2=0.5"))
    with visit(browser, page_address, "?" + field.input_value().split("?")[1]) as other:
        open_more(other, "Mix paintings")
        expect(other.locator("#style_2 img")).to_be_visible()
        expect(other.locator("#weight_2 input[type=number]")).to_have_value("0.5")
