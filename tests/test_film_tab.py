"""The tab of films as visitors meet it."""

from __future__ import annotations

import clips
import pytest
from playwright.sync_api import expect
from visitor import SHORT, open_view, save, settle, shoot, status, visit, wait_until_idle

pytestmark = pytest.mark.browser

COUNT = 40  # frames, so that there is time to press Stop
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def clip(tmp_path_factory, castle_512):
    """A clip with sound."""
    frames = clips.moving(castle_512[100:], COUNT, (192, 128))
    return clips.write(tmp_path_factory.mktemp("clip") / "walk.mp4", frames, sound="aac")


@pytest.fixture(scope="module")
def backwards(tmp_path_factory, castle_512):
    """Another clip: the server knows what was painted of the first one."""
    frames = clips.moving(castle_512[100:], COUNT, (192, 128))[::-1]
    return clips.write(tmp_path_factory.mktemp("clip") / "back.mp4", frames)


@pytest.fixture
def clip_of(tmp_path, castle_512):
    """A clip of its own, by a name: the server knows what was painted of the others."""

    def make(name):
        left = 2 * len(name)
        frames = clips.moving(castle_512[60:, left:], COUNT, (192, 128))
        return clips.write(tmp_path / f"{name}.mp4", frames)

    return make


def choose(page, clip) -> None:
    """Give a clip, and wait until the forecast stands on the button."""
    open_view(page, "Video")
    page.set_input_files("#clip input[type=file]", clip)
    expect(page.locator("#clip video")).to_be_visible()
    expect(page.locator("#film-paint")).to_contain_text("about")
    settle(page)


def test_a_clip_is_painted_stopped_played_saved_and_gone_on_with(short, clip, tmp_path):
    choose(short, clip)
    short.get_by_role("radio", name="Full").check()
    settle(short)
    short.click("#film-paint")
    expect(short.locator("#film-status")).to_contain_text(f"of {COUNT}, ")
    expect(short.locator("#film-stop")).to_be_enabled()
    shoot(short, "video-during")
    short.click("#film-stop")
    expect(short.locator("#film-status")).to_contain_text("Stopped at frame")
    expect(short.locator("#film-paint")).to_be_enabled()
    expect(short.locator("#painted-film video")).to_be_visible()
    short.wait_for_function("document.querySelector('#painted-film video').duration > 0")
    short.wait_for_function("document.querySelector('#painted-film video').videoWidth === 128")
    part = clips.read(save(short, "#film-save", tmp_path))
    assert 0 < len(part) < COUNT
    short.click("#film-paint")
    expect(short.locator("#film-status")).to_contain_text("Done")
    expect(short.locator("#film-paint")).to_be_enabled()
    whole = save(short, "#film-save", tmp_path)
    assert whole.name == "walk-great-wave.mp4"
    assert len(clips.read(whole)) == COUNT
    assert clips.sound(whole)[1] == pytest.approx(COUNT / 12, abs=0.1)
    shoot(short, "video-done")


def test_what_is_there_plays_on_the_way_beside_a_picture(short, backwards):
    """Also while the photo waits to be painted, whose status and picture are its own."""
    choose(short, backwards)
    short.get_by_role("radio", name="Full").check()
    short.click("#film-paint")
    expect(short.locator("#film-status")).to_contain_text(f"of {COUNT}, ")
    short.click("#paint")
    expect(short.locator("#status")).to_contain_text("1 picture ahead")
    open_view(short, "Video so far")
    expect(short.locator("#painted-film video")).to_be_visible()
    short.wait_for_function("document.querySelector('#painted-film video').duration > 0")
    short.click("#film-stop")
    expect(short.locator("#status")).to_contain_text("(8 steps)")
    expect(short.locator("#film-status")).to_contain_text("Stopped at frame")
    wait_until_idle(short)


def test_a_painting_that_is_clicked_meanwhile_is_chosen_and_not_painted(short, backwards):
    choose(short, backwards)
    short.get_by_role("radio", name="Full").check()
    settle(short)
    short.click("#film-paint")
    expect(short.locator("#film-status")).to_contain_text(f"of {COUNT}, ")
    open_view(short, "Paintings")
    chosen, said = short.locator("#style img").get_attribute("src"), status(short)
    short.locator("#pick-style .thumbnail-lg").nth(4).click()
    expect(short.locator("#style img")).not_to_have_attribute("src", chosen)
    open_view(short, "Video")
    short.click("#film-stop")
    expect(short.locator("#film-status")).to_contain_text("Stopped at frame")
    wait_until_idle(short)
    assert status(short) == said


def test_a_reload_joins_the_film_that_is_being_painted(browser, page_address, clip_of):
    with visit(browser, page_address, SHORT) as page:
        choose(page, clip_of("reload"))
        page.get_by_role("radio", name="Full").check()
        settle(page)
        page.click("#film-paint")
        expect(page.locator("#film-status")).to_contain_text(f"of {COUNT}, ")
        page.goto(page_address)  # where other settings are chosen
        expect(page.locator("#film-status")).to_contain_text(f"of {COUNT}, ")
        expect(page.locator("#film-stop")).to_be_enabled()
        expect(page.locator("#clip video")).to_be_visible()
        expect(page.get_by_role("radio", name="Full")).to_be_checked()
        shoot(page, "video-joined")
        page.click("#film-stop")
        expect(page.locator("#film-status")).to_contain_text("Stopped at frame")
        expect(page.locator("#painted-film video")).to_be_visible()
        wait_until_idle(page)
        page.goto(page_address)  # what was stopped stays so
        open_view(page, "Video")
        expect(page.locator("#painted-film video")).to_be_visible()
        expect(page.locator("#film-paint")).to_be_enabled()
        expect(page.locator("#film-stop")).to_be_disabled()
        page.click("#film-paint")
        expect(page.locator("#film-status")).to_contain_text("Done")
        wait_until_idle(page)


def test_what_cannot_be_painted_is_told(short, tmp_path, castle):
    open_view(short, "Video")
    short.click("#film-paint")
    expect(short.locator("#film-status")).to_contain_text("Choose a video first.")
    long = clips.write(tmp_path / "long.mp4", [castle] * 21, rate=1)
    short.set_input_files("#clip input[type=file]", long)
    expect(short.get_by_text("20 s are the most")).to_be_visible()
    expect(short.locator("#clip video")).to_have_count(0)
    assert short.locator("#film-paint").inner_text() == "Paint video"


@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
@pytest.mark.parametrize("screen", ["phone", "laptop"])
def test_it_fits_on_every_screen(browser, page_address, screen, locale, clip):
    options = PHONE if screen == "phone" else {"viewport": {"width": 1366, "height": 768}}
    with visit(browser, page_address, locale=locale, **options) as page:
        page.get_by_role("tab", name="Video").click()
        page.set_input_files("#clip input[type=file]", clip)
        expect(page.locator("#clip video")).to_be_visible()
        settle(page)
        shoot(page, f"video-{screen}-{locale}")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= options["viewport"]["width"]
