"""A visitor's way through the page: choose, paint, watch, stop, go on, keep, come back.

With the fake engine, but for one run. Its steps here, in the tests, are the same as there.
"""

from __future__ import annotations

import base64
import mimetypes
import re
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlsplit

import av
import numpy as np
import psutil
import pytest
import visitor
from conftest import example
from PIL import Image
from playwright.sync_api import expect
from stranger import Server
from visitor import (
    LIMIT,
    LONG,
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
    status,
    stop,
    visit,
    wait_for,
    wait_for_pictures,
    wait_until_idle,
)

from nst_core import Settings, recipe, stylize
from nst_core.pictures import film
from nst_core.presets import PRESETS

pytestmark = pytest.mark.browser

HOLD = round(film.HOLD_SECONDS * film.FRAMES_PER_SECOND)


# --- Choose and paint ---------------------------------------------------------------------------


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), float)


def test_a_visitor_paints_with_the_real_engine(browser, tmp_path):
    """At once after the start: TensorFlow may still be loading."""
    settings = Settings(size=128, steps=8, frame_interval=0, precision="float32")
    query = f"{SHORT}&precision=float32"  # "auto" may come to another one there than here
    with visitor.served(tmp_path) as address, visit(browser, address, query) as page:
        paint_to_the_end(page)
        expect(page.locator("#status")).to_contain_text("(8 steps)")
        saved = save(page, "#save", tmp_path)
    expected = stylize(example("content/castle"), example("style/great-wave"), settings)
    assert np.abs(pixels(saved) - expected.image).mean() < 2
    made = recipe.read(saved)
    assert (made.settings, made.plan) == (settings, expected.plan)


def test_a_visitor_chooses_a_pair_paints_stops_and_saves(page, tmp_path):
    expect(page.locator("#pairs img")).to_have_count(12)
    expect(page.locator("#pick-style img")).to_have_count(20)
    shoot(page, "start")
    for tool in ("#stop", "#continue", "#save"):
        expect(page.locator(tool)).to_be_disabled()
    expect(page.locator("#result img")).to_be_visible()
    expect(page.locator("#title")).to_contain_text("Neuschwanstein")
    first = page.locator("#result img").get_attribute("src")
    for number, name in ((1, "Chateau de Chenonceau"), (0, "Neuschwanstein")):
        page.locator("#pairs .thumbnail-lg").nth(number).click()
        expect(page.locator("#title")).to_contain_text(name)
        expect(page.locator("#status")).to_contain_text("A finished example")
        if number:
            expect(page.locator("#result img")).not_to_have_attribute("src", first)
            shoot(page, "pair")
    page.click("#paint")
    wait_for_pictures(page, 3)
    assert re.search(r"s left · step \d+", status(page))
    shoot(page, "during")
    stop(page)
    for tool in ("#save", "#continue"):
        expect(page.locator(tool)).to_be_enabled()
    expect(page.locator("#stop")).to_be_disabled()
    shoot(page, "stopped")
    kept = status(page)
    assert re.search(r"Stopped at step \d+; the picture is kept", kept)
    wait_until_idle(page)
    assert status(page) == kept
    saved = save(page, "#save", tmp_path)
    expect(page.locator(".toast-body")).to_contain_text("castle-great-wave.png, 0.")
    assert saved.name == "castle-great-wave.png"
    made = recipe.read(saved)
    assert (made.settings, made.content.name) == (PRESETS["gallery"].settings, "castle.jpg")
    with Image.open(saved) as image:
        image.load()
        assert (image.format, image.size, image.mode) == ("PNG", (512, 342), "RGB")


def test_a_photo_chosen_while_another_is_painted_leaves_the_line_to_the_run(browser, page_address):
    with visit(browser, page_address, LONG) as page:
        page.click("#paint")
        wait_for_pictures(page, 1)
        page.get_by_role("tab", name="Photos").click()
        page.locator("#pick-content .thumbnail-lg").nth(4).click()
        expect(page.get_by_role("tab", name="Paintings", exact=True)).to_have_attribute(
            "aria-selected", "true"
        )
        assert "Now click" not in status(page)
        stop(page)


@pytest.mark.usefixtures("steps")
def test_a_photo_shows_itself_in_all_paintings_and_a_click_on_one_paints_it(page):
    looks = page.locator("#pick-style img")
    expect(looks).to_have_count(20)
    before = [looks.nth(number).get_attribute("src") for number in (0, 19)]
    page.get_by_role("tab", name="Photos").click()
    page.locator("#pick-content .thumbnail-lg").nth(4).click()
    expect(page.get_by_role("tab", name="Paintings", exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    for number, source in zip((0, 19), before, strict=True):
        expect(looks.nth(number)).not_to_have_attribute("src", source or "")
    expect(looks.nth(19)).to_have_js_property("complete", True)
    expect(page.locator("#status")).to_contain_text("Now click a painting")
    expect(page.locator("#title")).to_have_text("Owl")
    expect(page.locator("#result img")).to_have_attribute("alt", "Owl")
    expect(page.locator("#setting-subject")).to_contain_text("found")
    shoot(page, "looks")
    page.locator("#pick-style .thumbnail-lg").nth(6).click()
    expect(page.locator("#title")).to_contain_text("Owl × Oiran and Kamuro")
    expect(page.locator("#result img")).to_have_attribute(
        "alt", "Owl, painted in the style of: Oiran and Kamuro"
    )
    expect(page.locator("#stop")).to_be_enabled()
    page.locator("#stop").click()
    expect(page.locator("#paint")).to_be_enabled()


def test_of_two_photos_clicked_in_a_row_the_second_has_its_looks(page):
    looks, photos = page.locator("#pick-style img"), page.locator("#pick-content .thumbnail-lg")

    def click(number):
        page.get_by_role("tab", name="Photos").click()
        photos.nth(number).click()

    def sources():
        settle(page)
        return [looks.nth(number).get_attribute("src") for number in range(20)]

    click(5)
    alone = sources()
    before = looks.first.get_attribute("src")
    click(6)
    expect(looks.first).not_to_have_attribute("src", before)  # and 19 more are being made
    click(5)
    assert sources() == alone


def test_of_two_pairs_clicked_in_a_row_the_second_is_shown(page):
    """The second while the first click is still being answered."""
    page.locator("#pairs .thumbnail-lg").evaluate_all(
        """async (pairs) => {
            pairs[1].click();
            await new Promise(requestAnimationFrame);
            pairs[2].click();
        }"""
    )
    expect(page.locator("#title")).to_contain_text("Owl")
    settle(page)
    expect(page.locator("#title")).to_contain_text("Owl")


@pytest.mark.usefixtures("steps")
def test_pictures_picked_one_by_one_and_settings_by_hand(page, tmp_path):
    page.get_by_role("tab", name="Photos").click()
    page.locator("#pick-content .thumbnail-lg").nth(2).click()
    page.locator("#pick-style .thumbnail-lg").nth(3).click()
    stop(page)
    size_of(page)
    page.locator("#settings > button").click()
    page.locator("#until").get_by_text("a number of steps").click()
    # All frames are shown, so those of the coarser scales as well, however fast the machine is.
    for name, value in (("size", "128"), ("steps", "8"), ("frame_interval", "0")):
        field = page.locator(f"#setting-{name} input[type=number]")
        field.fill(value)
        field.press("Tab")
    expect(page.locator("#setting-time_budget")).to_have_count(0)
    expect(page.locator("#paint")).to_contain_text("8 steps")
    expect(page.locator("#preset input:checked")).to_have_count(0)
    shoot(page, "advanced")
    for _ in range(2):
        paint_to_the_end(page)
        expect(page.locator("#status")).to_contain_text("(8 steps)")
    page.locator("#chart > button").click()
    lines = page.locator("#losses svg g.mark-line path")
    expect(lines).to_have_count(6)  # total, content, style, edges, tv; gram of the coarser scales
    shoot(page, "done")
    saved = save(page, "#save", tmp_path)
    assert re.fullmatch(r"cat-[\w-]+\.png", saved.name)
    # The controls were opened, so all their values came from the browser.
    opened = PRESETS["gallery"].settings
    settings = replace(opened, size=128, steps=8, time_budget=None, frame_interval=0)
    assert recipe.read(saved).settings == settings
    expected = stylize(example("content/cat"), example("style/ryogoku"), settings)
    np.testing.assert_array_equal(pixels(saved), expected.image)


def test_presets_set_the_controls(page):
    page.locator("#settings > button").click()
    budget = page.locator("#setting-time_budget :is(textarea, input)").first
    size = size_of(page)
    start = page.locator("#setting-init input").first
    steps = page.locator("#setting-steps input[type=number]")
    expect(budget).to_have_value("30")
    for label, length, values, told in (
        ("Sketch · 10 s", budget, ("384", "10", "A quick first look"), "Paint · 10 s"),
        ("As published in 2015", steps, ("384", "300", "A grey canvas"), "Paint · 300 steps"),
        ("Masterpiece · 2 min", budget, ("1024", "120", "A quick first look"), "Paint · 120 s"),
    ):
        page.locator("#preset").get_by_text(label, exact=True).click()
        for field, value in zip((size, length, start), values, strict=True):
            expect(field).to_have_value(value)
        expect(page.locator("#paint")).to_have_text(told)


def test_paint_without_pictures_says_what_is_missing(page):
    page.locator("#content").get_by_label("Remove Image").click()
    page.click("#paint")
    expect(page.locator("#status")).to_contain_text("Choose a photo first.")
    expect(page.locator("#paint")).to_be_enabled()
    shoot(page, "nothing-chosen")


def test_an_upload_that_is_no_picture_is_told_in_words(page, tmp_path):
    (tmp_path / "page.jpg").write_text("<html>Not found</html>")
    page.locator("#content").get_by_label("Remove Image").click()
    page.locator("#content input[type=file]").set_input_files(tmp_path / "page.jpg")
    expect(page.get_by_text("is not a picture that can be read")).to_be_visible()
    expect(page.locator("#title")).to_contain_text("Neuschwanstein")
    shoot(page, "bad-upload")


def test_a_rotated_phone_picture_in_heic_is_painted_upright(short, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(example("content/castle")) as image:
        lying = image.resize((300, 200)).transpose(Image.Transpose.ROTATE_90)
    lying.save(tmp_path / "phone.heic", exif=exif.tobytes())
    short.locator("#content").get_by_label("Remove Image").click()
    short.locator("#content input[type=file]").set_input_files(tmp_path / "phone.heic")
    expect(short.locator("#content img")).to_be_visible()
    expect(short.locator("#title")).to_have_text("Your photo")
    is_upright = "() => { const { naturalWidth: w, naturalHeight: h } = document.querySelector("
    short.wait_for_function(is_upright + "'#result img'); return w > 0 && w > h; }")
    paint_to_the_end(short)
    expect(short.locator("#title")).to_contain_text("Your photo")
    saved = save(short, "#save", tmp_path)
    assert saved.name == "phone-great-wave.png"
    with Image.open(saved) as image:
        assert image.size == (128, 85)
    shoot(short, "heic")


COPY_THE_PAINTING = """async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 90, height: 60 });
    canvas.getContext("2d").drawImage(document.querySelector("#style img"), 0, 0, 90, 60);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
}"""


def test_a_photo_comes_from_the_clipboard_and_from_the_camera(browser, page_address, tmp_path):
    allowed = ["clipboard-read", "clipboard-write", "camera"]
    with visit(browser, page_address, SHORT, permissions=allowed) as page:
        photo = page.locator("#content")
        page.evaluate(COPY_THE_PAINTING)
        photo.get_by_label("Remove Image").click()
        photo.get_by_label("Paste from clipboard").click()
        expect(photo.locator("img")).to_be_visible()
        expect(page.locator("#title")).to_have_text("Your photo")
        paint_to_the_end(page)
        own = page.locator("#title").inner_text()
        assert own.startswith("Your photo ×")
        with Image.open(save(page, "#save", tmp_path)) as image:
            assert image.size == (90, 60)
        photo.get_by_label("Remove Image").click()
        photo.get_by_label("Capture from camera").click()
        photo.get_by_text("Click to Access Webcam").click()
        page.wait_for_function("document.querySelector('#content video')?.videoWidth > 0")
        with answered(page):
            photo.get_by_label("capture photo").click()
        expect(photo.locator("img")).to_be_visible()
        expect(page.locator("#title")).to_have_text(own)  # the picture that is there keeps its own
        paint_to_the_end(page)
        with Image.open(save(page, "#save", tmp_path)) as image:
            assert max(image.size) == 128
        shoot(page, "camera")


def test_the_queue_is_told_and_two_visitors_get_their_own(browser, page_address, tmp_path):
    with visit(browser, page_address, LONG) as first:
        first.click("#paint")
        wait_for_pictures(first, 2)
        with visit(browser, page_address, SHORT.replace("castle", "owl")) as second:
            second.click("#paint")
            expect(second.locator("#status")).to_contain_text("1 picture ahead")
            shoot(second, "waiting")
            stop(second)  # also while waiting
            expect(second.locator("#status")).to_contain_text("Stopped before the first step")
            second.click("#paint")
            expect(second.locator("#status")).to_contain_text("1 picture ahead")
            first.bring_to_front()
            stop(first)
            expect(second.locator("#status")).to_contain_text("Done")
            expect(second.locator("#save")).to_be_enabled()
            assert save(second, "#save", tmp_path).name == "owl-great-wave.png"
        expect(first.locator("#save")).to_be_enabled()
        assert save(first, "#save", tmp_path).name == "castle-great-wave.png"


# --- Stop, keep, go on --------------------------------------------------------------------------


def test_continue_goes_on_from_the_picture_with_another_strength(browser, page_address, tmp_path):
    with visit(browser, page_address, LONG) as page:
        page.click("#paint")
        wait_for_pictures(page, 3)
        stop(page)
        stopped = step_in(page)
        strength = page.locator("#setting-strength input[type=number]")
        strength.fill("0.9")
        strength.press("Tab")
        page.click("#continue")
        expect(page.locator("#status")).to_contain_text(re.compile(r"left · step \d+"))
        wait_for_pictures(page, 3)
        assert step_in(page) > stopped
        stop(page)
        made = recipe.read(save(page, "#save", tmp_path))
        assert made.settings.strength == 0.9
        assert [(one.settings.strength, one.steps) for one in made.before] == [(0.5, stopped)]


def test_a_changed_setting_says_which_button_takes_it(short):
    line, before = short.locator("#status"), status(short)
    keep = short.locator("#setting-subject").get_by_role("checkbox")
    keep.click()
    settle(short)
    assert status(short) == before  # there is no picture yet
    paint_to_the_end(short)
    keep.click()
    expect(line).to_contain_text("Paint begins anew with it, Continue goes on from")
    short.locator("#preset").get_by_text("Sketch · 10 s", exact=True).click()
    expect(line).to_contain_text("press Paint to see it")


def test_the_losses_are_there_when_they_are_opened_after_a_stop(browser, page_address):
    with visit(browser, page_address, LONG) as page:
        page.click("#paint")
        wait_for_pictures(page, 3)
        stop(page)
        page.locator("#chart > button").click()
        expect(page.locator("#losses svg g.mark-line path")).to_have_count(6)


def step_in(page) -> int:
    """The step that the status tells."""
    return int(re.search(r"step (\d+)", status(page))[1])


# --- After the run ------------------------------------------------------------------------------


@pytest.fixture
def one_scale(browser, page_address):
    """A visitor with a link to a run of a few steps at one scale, so of as many pictures."""
    with visit(browser, page_address, SHORT + "&style_loss=gram") as page:
        yield page


def test_before_and_after_the_run_and_its_film(one_scale, tmp_path):
    paint_to_the_end(one_scale)
    open_view(one_scale, "Before and after")
    expect(one_scale.locator("#comparison img").first).to_be_visible()
    expect(one_scale.locator("#comparison img")).to_have_count(2)
    settle(one_scale)
    shoot(one_scale, "before-and-after")

    open_view(one_scale, "Step by step")
    expect(one_scale.locator("#moment img")).to_be_visible()
    end = one_scale.locator("#moment img").get_attribute("src")
    number = one_scale.locator("#number input[type=number]")
    expect(number).to_have_value("9")  # the first look, and eight steps
    number.fill("2")
    number.press("Tab")
    expect(one_scale.locator("#moment img")).not_to_have_attribute("src", end)
    shoot(one_scale, "scrubber")

    open_view(one_scale, "Film")
    expect(one_scale.locator("#video video")).to_be_visible()
    one_scale.wait_for_function("document.querySelector('#video video').videoWidth > 0")
    shoot(one_scale, "film")
    with av.open(save(one_scale, "#save-film", tmp_path)) as container:
        frames = list(container.decode(video=0))
    expect(one_scale.locator(".toast-body")).to_contain_text("mp4, 0.1 MB")
    assert save(one_scale, "#save-this-film", tmp_path).suffix == ".mp4"
    assert len(frames) == 9 + HOLD
    assert (frames[0].width, frames[0].height) == (128, 86)
    for ending in (".gif", ".webp"):
        one_scale.locator("#ending").get_by_text(ending[1:].upper()).click()
        path = save(one_scale, "#save-film", tmp_path)
        assert path.name == f"castle-great-wave{ending}"
        with Image.open(path) as image:
            assert (image.n_frames, image.size) == (9, (128, 85))


def test_the_picture_is_compared_with_the_one_before(short):
    paint_to_the_end(short)
    open_view(short, "Before and after")
    settle(short)
    expect(short.locator("#against")).to_have_count(0)
    open_view(short, "Picture")
    strength = short.locator("#setting-strength input[type=number]")
    strength.fill("0.9")
    strength.press("Tab")
    paint_to_the_end(short)
    open_view(short, "Before and after")
    settle(short)
    photo = short.locator("#comparison img").first.get_attribute("src")
    short.locator("#against").get_by_text("the picture before").click()
    expect(short.locator("#comparison img").first).not_to_have_attribute("src", photo)
    shoot(short, "compared")


def test_the_blend_changes_picture_and_file(short, tmp_path):
    paint_to_the_end(short)
    painted = short.locator("#result img").get_attribute("src")
    open_more(short, "Colours and size")
    slider = short.locator("#blend input[type=range]")
    slider.focus()
    for _ in range(5):
        slider.press("PageDown")
    share = int(slider.input_value())
    assert share < 100
    expect(short.locator("#result img")).not_to_have_attribute("src", painted)
    wait_for(short, lambda: recipe.read(save(short, "#save", tmp_path)).blend == share / 100)
    shoot(short, "blend")


def test_a_saved_picture_dropped_anywhere_gives_back_its_settings(short, page_address, tmp_path):
    paint_to_the_end(short)
    saved = save(short, "#save", tmp_path)
    first = pixels(saved)
    short.context.clear_cookies()
    short.evaluate("localStorage.clear()")  # as somebody else's page
    open_page(short, page_address)
    expect(size_of(short)).to_have_value("512")
    look = short.locator("#pick-style img").first
    plain = look.get_attribute("src") or ""
    drop(short, saved, "#title")
    expect(short.get_by_text("Settings taken from the picture's recipe")).to_be_visible()
    expect(short.locator("#setting-size input[type=number]")).to_have_value("128")
    expect(short.locator("#content img")).to_be_visible()
    expect(look).not_to_have_attribute("src", plain)  # its photo in the paintings
    shoot(short, "recipe-dropped")
    paint_to_the_end(short)
    np.testing.assert_array_equal(pixels(save(short, "#save", tmp_path)), first)


def drop(page, path, target: str) -> None:
    """Drop a file on an element, as from a folder's window."""
    data = base64.b64encode(path.read_bytes()).decode()
    kind = mimetypes.guess_type(path)[0]
    transfer = page.evaluate_handle(
        """async ([data, name, type]) => {
            const response = await fetch(`data:${type};base64,${data}`);
            const files = new DataTransfer();
            files.items.add(new File([await response.blob()], name, { type }));
            return files;
        }""",
        [data, path.name, kind],
    )
    page.dispatch_event(target, "drop", {"dataTransfer": transfer})


def test_a_photo_dropped_beside_its_field_is_told_in_words(page):
    drop(page, example("content/owl"), "#title")
    notice = page.get_by_text("Only a PNG that was painted here carries its settings")
    expect(notice).to_be_visible()
    expect(page.get_by_text("Invalid file type")).to_have_count(0)


def test_a_link_that_was_copied_is_told(browser, page_address):
    allowed = ["clipboard-read", "clipboard-write"]
    for permissions, text in (
        (
            allowed,
            "Link copied. It opens on this computer only. For a friend, save",
        ),
        ([], "take the link from the field below"),
    ):
        with visit(browser, page_address, SHORT, permissions=permissions) as page:
            if not permissions:  # as at an address that is not secure
                page.evaluate("delete Navigator.prototype.clipboard")
            expect(page.locator("#link")).to_have_text("Copy link (this computer only)")
            page.click("#link")
            expect(page.locator(".toast-body")).to_contain_text(text)
            address = page.locator("#address :is(textarea, input)").first.input_value()
            if permissions:
                assert page.evaluate("navigator.clipboard.readText()") == address


def test_a_link_opens_the_same_pair_and_settings(short, browser, page_address):
    short.click("#link")
    field = short.locator("#address :is(textarea, input)").first
    expect(field).to_have_value(re.compile("content=castle"))
    link = field.input_value()
    assert link.startswith(page_address)
    query = parse_qs(urlsplit(link).query)
    assert query["size"] == ["128"]
    assert query["style"] == ["great-wave"]
    with visit(browser, page_address, "?" + urlsplit(link).query) as other:
        expect(size_of(other)).to_have_value("128")
        expect(other.locator("#title")).to_contain_text("Great Wave")


def test_a_link_with_markup_shows_it_as_text(browser, page_address):
    evil = quote("<img src=x onerror=window.hit=1>")
    with visit(browser, page_address) as page:
        # Looked at as soon as it is there: when all has come to rest, it may have gone.
        page.goto(f"{page_address}?content=castle&color={evil}")
        notice = page.locator(".toast-body")
        expect(notice).to_contain_text("‹img src=x onerror=window.hit=1›")
        expect(notice.locator("img")).to_have_count(0)
        assert page.evaluate("window.hit") is None


# --- Come back ----------------------------------------------------------------------------------


def test_a_reload_offers_the_finished_picture_again(short, page_address, tmp_path):
    paint_to_the_end(short)
    first = save(short, "#save", tmp_path).read_bytes()
    open_page(short, page_address)
    expect(short.locator("#status")).to_contain_text(
        re.compile(r"Your last picture\. Done .+8 steps")
    )
    expect(short.locator("#save")).to_be_enabled()
    shoot(short, "come-back")
    assert save(short, "#save", tmp_path).read_bytes() == first


def test_a_linked_page_that_is_reloaded_has_its_picture(short, page_address, tmp_path):
    """And one that is opened at another link has what that asks for."""
    paint_to_the_end(short)
    first = save(short, "#save", tmp_path).read_bytes()
    open_page(short, page_address, SHORT)
    expect(short.locator("#status")).to_contain_text(
        re.compile(r"Your last picture\. Done .+8 steps")
    )
    expect(short.locator("#save")).to_be_enabled()
    assert save(short, "#save", tmp_path).read_bytes() == first
    open_page(short, page_address, SHORT.replace("128", "96"))
    expect(short.locator("#status")).to_contain_text("A finished example")


def second_tab(page, address: str):
    """The page in another tab of the same browser."""
    tab = page.context.new_page()
    tab.add_init_script(visitor.FOLLOW)
    tab.goto(address)
    return tab


def test_a_second_tab_shows_what_the_first_one_paints(browser, page_address):
    with visit(browser, page_address, LONG) as first:
        first.click("#paint")
        wait_for_pictures(first, 2)
        second = second_tab(first, page_address)
        status = second.locator("#status")
        expect(status).to_contain_text("Being painted in another tab.")
        seen = step_in(second)
        expect(status).not_to_contain_text(re.compile(rf"step {seen}\b"))  # it goes on
        shoot(second, "second-tab")
        first.bring_to_front()
        stop(first)
        stopped = step_in(first)
        expect(status).to_contain_text(f"Your last picture. Stopped at step {stopped};")
        expect(second.locator("#continue")).to_be_enabled()
        expect(second.locator("#save")).to_be_enabled()


def test_a_second_tab_may_paint_something_else(browser, page_address):
    with visit(browser, page_address, LONG) as first:
        first.click("#paint")
        wait_for_pictures(first, 2)
        second = second_tab(first, page_address)
        expect(second.locator("#status")).to_contain_text("Being painted in another tab.")
        second.click("#paint")
        expect(second.locator("#status")).to_contain_text("1 picture ahead")
        first.bring_to_front()
        stop(first)
        second.bring_to_front()
        wait_for_pictures(second, 2)
        stop(second)


def test_the_picture_is_still_the_visitors_after_many_calls_of_programs(
    browser, page_address, tmp_path
):
    with visit(browser, page_address, LONG) as page:
        page.click("#paint")
        wait_for_pictures(page, 2)
        stop(page)
        stopped, server = step_in(page), Server(page_address, tmp_path)
        pair = server.upload_pair()
        for _ in range(110):  # more than Gradio keeps the state of
            assert server.call("preview", **pair)[0] == "complete"
        page.click("#continue")
        wait_for_pictures(page, 2)
        assert step_in(page) > stopped
        stop(page)


def test_a_reload_in_mid_run_keeps_the_picture_so_far_and_goes_on(browser, page_address):
    with visit(browser, page_address, LONG) as page:
        page.click("#paint")
        wait_for_pictures(page, 4)
        page.goto(page_address)
        expect(page.locator("#status")).to_contain_text("Your last picture. Stopped at step")
        expect(page.locator("#result img")).to_be_visible()
        expect(page.locator("#continue")).to_be_enabled()
        stopped = step_in(page)
        page.click("#continue")
        wait_for_pictures(page, 2)
        assert step_in(page) >= stopped
        stop(page)


def test_killed_and_started_again_the_last_picture_is_still_there(browser, tmp_path):
    port = visitor.free_port()
    again = tmp_path / "again"
    again.mkdir()
    with (
        visitor.started(tmp_path, visitor.FAKE_APP, port=port) as address,
        visit(browser, address, SHORT) as page,
    ):
        paint_to_the_end(page)
        before = save(page, "#save", tmp_path)
        process = psutil.Process(Server(address, tmp_path).pid)
        process.kill()
        process.wait(LIMIT)
        with visitor.started(tmp_path, visitor.FAKE_APP, port=port):
            open_page(page, address)
            expect(page.locator("#status")).to_contain_text("Your last picture")
            expect(size_of(page)).to_have_value("128")
            expect(page.locator("#title")).to_contain_text("Neuschwanstein")
            after = save(page, "#save", again)
            assert after.read_bytes() == before.read_bytes()
            paint_to_the_end(page)


# --- Choose on the phone and from the file dialog ------------------------------------------------


def test_a_phone_shows_photo_looks_and_paint_at_once(browser, page_address):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with visit(browser, page_address, **phone) as page:
        looks = page.locator("#pick-style .thumbnail-lg")
        expect(looks).to_have_count(20)
        shown = [*(looks.nth(number) for number in range(6)), *map(page.locator, PHONE)]
        for one in shown:
            expect(one).to_be_in_viewport(ratio=0.9)
        looks.nth(2).click()
        expect(page.locator("#result")).to_be_in_viewport()
        expect(page.locator("#stop")).to_be_in_viewport(ratio=1)
        stop(page)
        shoot(page, "phone-painting", full_page=False)
        page.evaluate("scrollTo(0, 0)")
        page.click("#paint")
        expect(page.locator("#result")).to_be_in_viewport(ratio=0.9)
        stop(page)


PHONE = ("#content img", "#style img", "#paint")


def test_one_press_opens_the_file_dialog_also_over_a_photo(page):
    with page.expect_file_chooser() as dialog:
        page.locator("#content").get_by_label("Upload file").click()
    before = page.locator("#content img").get_attribute("src")
    dialog.value.set_files(example("content/owl"))
    expect(page.locator("#content img")).not_to_have_attribute("src", before)
    expect(page.locator("#pick-style img").first).to_have_attribute("src", re.compile("small"))


def test_an_own_painting_is_among_the_looks_and_a_click_paints_it(page, tmp_path):
    Image.effect_noise((96, 64), 90).convert("RGB").save(tmp_path / "own.png")
    with page.expect_file_chooser() as dialog:
        page.locator("#style").get_by_label("Upload file").click()
    dialog.value.set_files(tmp_path / "own.png")
    expect(page.locator("#pick-style img")).to_have_count(21)
    page.locator("#pick-style .thumbnail-lg").first.click()
    expect(page.locator("#title")).to_contain_text("Neuschwanstein Castle × your painting")
    stop(page)


def test_weights_appear_with_the_second_painting(page):
    open_more(page, "Mix paintings")
    expect(page.locator("#weight_1")).to_have_count(0)
    page.locator("#which").get_by_text("Painting 2").click()
    page.locator("#pick-style .thumbnail-lg").nth(5).click()
    expect(page.locator("#style_2 img")).to_be_visible()
    expect(page.locator("#weight_1")).to_be_visible()
    expect(page.locator("#weight_2")).to_be_visible()
    shoot(page, "mixing")


def test_what_is_pointed_at_shows_where_its_strokes_come_from(short):
    paint_to_the_end(short)
    open_view(short, "Strokes")
    picture, painting = (short.locator(f".strokes .{kind}") for kind in ("picture", "painting"))
    expect(painting.locator("img")).to_have_js_property("complete", True)
    assert picture.locator("img").evaluate("image => image.naturalWidth") == 128
    expect(short.locator(".strokes .patch >> visible=true")).to_have_count(0)
    picture.hover()
    expect(picture.locator(".patch")).to_be_visible()
    patch, whole = (one.bounding_box() for one in (painting.locator(".patch"), painting))
    middle = patch["x"] + patch["width"] / 2, patch["y"] + patch["height"] / 2
    assert whole["x"] <= middle[0] <= whole["x"] + whole["width"]
    shoot(short, "strokes")
    short.mouse.move(*middle)  # the other way round: it is among the places that come from there
    expect(picture.locator(".patch")).to_be_hidden()
    assert picture.locator("canvas").evaluate(
        """canvas => {
            const { width, height } = canvas;
            const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
            const cell = Math.floor(height / 2) * width + Math.floor(width / 2);
            return pixels[4 * cell + 3];
        }"""
    )
    picture.focus()
    short.keyboard.press("ArrowRight")
    expect(picture.locator(".patch")).to_be_visible()
