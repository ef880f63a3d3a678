"""How it works, in a real browser: clicks, keys, presenter mode, phones."""

from __future__ import annotations

import pytest
import visitor
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from visitor import settle, shoot, visit

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PATIENCE = 240.0  # s; nine pictures are painted for the dials, on slow machines as well
PAIR = "?content=castle&style=great-wave"


@pytest.fixture(scope="module")
def page_address(tmp_path_factory):
    """The page with the real engine."""
    with visitor.served(tmp_path_factory.mktemp("app")) as address:
        yield address


def open_topic(page: Page, name: str) -> None:
    if not page.locator("#topic").is_visible():
        page.locator("#inside > button").click()
    page.locator("#topic").get_by_text(name).click()
    expect(page.locator("#explained h2")).to_have_text(name)
    wait_until_done(page)


def wait_until_done(page: Page) -> None:
    status = expect(page.locator("#inside-status"))
    status.to_have_text("Done.", timeout=1000 * PATIENCE)
    settle(page)
    status.to_have_text("Done.")


@pytest.fixture
def network(browser, page_address):
    with visit(browser, page_address, PAIR) as page:
        open_topic(page, "What VGG-16 sees")
        yield page


def chosen(page: Page) -> list[str]:
    pressed = page.locator("#explained [aria-pressed=true]")
    return pressed.evaluate_all("all => all.map((one) => one.dataset.choice)")


def test_a_layer_and_a_channel_are_clicked(network):
    network.locator("#explained [data-choice=block3_conv2]").click()
    expect(network.locator("#explained .layers [aria-pressed=true]")).to_have_attribute(
        "data-choice", "block3_conv2"
    )
    wait_until_done(network)
    channel = network.locator("#explained figure button").nth(2)
    wanted = channel.get_attribute("data-choice") or ""
    channel.click()
    expect(network.locator("#explained figure [aria-pressed=true]")).to_have_attribute(
        "data-choice", wanted
    )
    wait_until_done(network)
    assert chosen(network) == ["block3_conv2", wanted]
    shoot(network, "inside-network")


def test_the_keyboard_stays_where_it_was(network):
    network.locator("#explained [data-choice=block2_conv1]").focus()
    network.keyboard.press("Enter")
    expect(network.locator("#explained .layers [aria-pressed=true]")).to_have_attribute(
        "data-choice", "block2_conv1"
    )
    wait_until_done(network)
    assert network.evaluate("document.activeElement.dataset.choice") == "block2_conv1"


def field(page: Page) -> dict[str, float]:
    return page.locator("#explained .place i").evaluate(
        "one => ({ left: parseFloat(one.style.left), width: parseFloat(one.style.width) })"
    )


def test_a_place_that_is_clicked_shows_its_receptive_field(network):
    place = network.locator("#explained .place")
    box = place.bounding_box()
    place.click(position={"x": box["width"] / 4, "y": box["height"] / 2})
    at = field(network)
    # 5 of 160 px around the pixel that was clicked.
    assert at["width"] == pytest.approx(100 * 5 / 160)
    assert at["left"] == pytest.approx(25 - 100 * 2 / 160, abs=100 / 160)
    seen = network.locator("#explained .seen img")
    expect(seen).to_have_js_property("naturalWidth", 5)
    place.focus()
    network.keyboard.press("ArrowRight")
    assert field(network)["left"] == pytest.approx(at["left"] + 100 / 160)
    # It stays when another layer is looked at, which sees more around it.
    network.locator("#explained [data-choice=block3_conv1]").click()
    wait_until_done(network)
    expect(seen).to_have_js_property("naturalWidth", 24)
    assert field(network)["left"] < at["left"] < field(network)["left"] + field(network)["width"]


def test_stop_is_there_while_something_is_explained(network):
    stop = network.locator("#inside-stop")
    expect(stop).to_be_disabled()
    network.locator("#topic").get_by_text("Content: the photo").click()
    expect(stop).to_be_enabled()
    network.locator("#topic").get_by_text("Style: the painting").click()  # ends the one before
    expect(network.locator("#explained h2")).to_contain_text("Style: the painting")
    expect(stop).to_be_enabled()
    stop.click()
    expect(network.locator("#inside-status")).to_contain_text("Stopped")
    expect(stop).to_be_disabled()


def test_a_dial_gives_its_settings_to_the_painter(browser, page_address):
    with visit(browser, page_address, PAIR) as page:
        open_topic(page, "The two dials: how much of the photo, and which layers")
        page.locator("#explained [data-choice='dial/6']").click()
        expect(page.locator("#inside-status")).to_contain_text("alpha 0.2, blocks 1 to 3")
        settle(page)
        page.locator("#settings > button").click()
        expect(page.locator("#setting-content_weight input")).to_have_value("0.2")
        shoot(page, "inside-dials")


def test_a_speaker_explains_it_by_keys(browser, page_address):
    with visit(browser, page_address, PAIR, viewport={"width": 1920, "height": 1080}) as page:
        page.click("#present")
        page.keyboard.press("h")
        expect(page.locator("#explained h2")).to_have_text("What VGG-16 sees")
        wait_until_done(page)
        shoot(page, "inside-presenter", full_page=False)
        page.keyboard.press("Space")
        expect(page.locator("#explained .layers [aria-pressed=true]")).to_have_attribute(
            "data-choice", "block2_conv1"
        )
        wait_until_done(page)
        page.keyboard.press("ArrowLeft")  # to the last topic
        expect(page.locator("#explained h2")).to_have_text("Step by step: three ways down")
        wait_until_done(page)
        output = page.locator("#explained output")
        before = int(output.inner_text())
        page.keyboard.press("Backspace")
        expect(output).to_have_text(str(before - 1))
        page.keyboard.press("Space")
        expect(output).to_have_text(str(before))
        shoot(page, "inside-presenter-steps", full_page=False)
        page.keyboard.press("Escape")
        expect(page.locator("#result")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("body")).not_to_have_class("presenting")
        assert page.locator("[inert]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_a_phone(scheme, browser, page_address):
    with visit(browser, page_address, PAIR, color_scheme=scheme, **PHONE) as page:
        for name in ("What VGG-16 sees", "Step by step: three ways down"):
            open_topic(page, name)
            found = Axe().run(page).response["violations"]
            assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            shoot(page, f"inside-phone-{scheme}-{name[:4].strip()}")
