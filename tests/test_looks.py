"""A photo in all example paintings, small."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image, ImageOps

from nst_core import ImageError, StopToken
from nst_core.networks import stylizer
from nst_core.pictures import images
from page import choice, choose, examples, looks

GREAT_WAVE = str(examples.path_of("style", "great-wave"))
PHOTO = str(ROOT / "examples" / "content" / "castle.jpg")


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, float)


def test_one_after_another_becomes_the_photo_in_its_style():
    """The first by itself, then several at a time; those to come are the paintings."""
    plain, answers = looks.paintings(), list(looks.of_photo(PHOTO))
    assert len(plain) == len(examples.NAMES["style"]) == 20
    changed = [[card != own for card, own in zip(cards, plain, strict=True)] for cards in answers]
    counts = [sum(one) for one in changed]
    assert counts == [1, 5, 9, 13, 17, 20]
    assert all(sorted(one, reverse=True) == one for one in changed)
    assert [caption for _, caption in answers[-1]] == [caption for _, caption in plain]


def test_a_look_is_the_photo_in_the_paintings_colours():
    *_, cards = looks.of_photo(PHOTO)
    found = [pixels(path) for path, _ in cards]
    ((height, width, _),) = {look.shape for look in found}
    assert max(height, width) == looks.SIDE
    photo = np.asarray(Image.open(PHOTO).convert("L").resize((width, height)), float)
    for look in found:
        assert np.corrcoef(look.mean(axis=-1).ravel(), photo.ravel())[0, 1] > 0.3
    means = np.array([look.mean(axis=(0, 1)) for look in found])
    paintings = np.array([
        images.to_uint8(images.load(examples.path_of("style", name), 64).rgb).mean(axis=(0, 1))
        for name in examples.NAMES["style"]
    ])  # fmt: skip
    for channel in range(3):
        assert np.corrcoef(means[:, channel], paintings[:, channel])[0, 1] > 0.5


def test_a_look_has_its_painting_in_the_corner_of_what_the_picker_shows():
    """Which is the square in its middle."""
    first = next(iter(looks.of_photo(PHOTO)))[0][0]
    look = pixels(first)
    height, width, _ = look.shape
    side, frame = height, looks.FRAME
    assert width > height
    left, inset = (width - side) // 2, round(looks.INSET * side)
    corner = look[frame : frame + inset, left + frame : left + frame + inset]
    name = examples.NAMES["style"][0]
    with Image.open(examples.path_of("style", name)) as image:
        expected = np.asarray(ImageOps.fit(image.convert("RGB"), (inset, inset)), float)
    assert np.abs(corner - expected).mean() < 12  # of 255, as JPEG and another filter have it
    assert look[0, left : left + inset].mean() > 230  # its frame


def test_what_was_made_is_found_again(monkeypatch):
    deque(looks.of_photo(PHOTO), maxlen=0)
    monkeypatch.setattr(looks, "look", lambda *_: pytest.fail("computed again"))
    *_, cards = looks.of_photo(PHOTO)
    assert len(cards) == 20


def test_new_looks_end_those_before_them_of_the_same_session_alone(monkeypatch):
    """After a look at most, and without an answer that could come last."""
    token, other = looks.begin("visitor"), looks.begin("another visitor")
    ended = looks.of_photo(PHOTO, stop=token)
    next(ended)
    newer = looks.begin("visitor")
    made = []
    monkeypatch.setattr(looks, "_look", lambda *_: made.append(1) or PHOTO)
    assert list(ended) == []
    assert len(made) == 1
    assert not newer.is_set()
    assert not other.is_set()


def test_looks_that_are_ended_before_the_first_have_an_answer_that_changes_nothing(monkeypatch):
    """An event that answers nothing has its outputs emptied by Gradio, the switch among them."""
    monkeypatch.setattr(looks, "begin", lambda _: ended_token())
    assert list(choose.show_looks(PHOTO, GREAT_WAVE)) == [(choose.gr.skip(),) * 2]


def ended_token():
    token = StopToken()
    token.stop()
    return token


def test_a_photo_that_is_clicked_is_there_before_its_looks():
    event = choose.gr.SelectData(None, {"index": 2, "value": None})
    answers = choose.pick_photo(GREAT_WAVE, None, event)
    photo, *masks, drawn, stage, title, cards, told = next(answers)
    name = examples.NAMES["content"][2]
    assert photo == stage == str(examples.path_of("content", name))
    assert title == "## " + examples.title("content", name)
    assert masks == [None] * len(choice.MASKS)
    assert drawn == ""
    assert cards == told == choose.gr.skip()
    *unchanged, first, _ = next(answers)
    assert unchanged == [choose.gr.skip()] * (len(masks) + 4)
    assert first == next(looks.of_photo(photo))
    answers.close()


def test_a_photo_that_is_clicked_leaves_an_own_picture_on_the_stage(turns):
    skipped = choose.gr.skip()
    *_, stage, title, _, _ = next(choose.pick_photo(GREAT_WAVE, "a token", clicked(2)))
    assert stage == title == skipped
    turns.is_busy = lambda session: True
    *_, stage, title, _, _ = next(choose.pick_photo(GREAT_WAVE, None, clicked(2)))
    assert stage == title == skipped


MORE = "To leave it as in the photo, see More below"


@pytest.mark.parametrize(
    ("photo", "found"),
    [
        ("astronaut", f"1 face found, painted more faithfully. {MORE}"),
        ("cat", f"Person or animal found, painted more faithfully. {MORE}"),
        ("castle", "Nobody found here; under More, draw over what is to stay"),
    ],
)
def test_after_the_looks_the_switch_tells_whom_the_photo_shows(photo, found):
    *_, (cards, told) = choose.show_looks(str(examples.path_of("content", photo)), GREAT_WAVE)
    assert cards == choose.gr.skip()
    assert told == choose.gr.update(info=found)


def test_a_vector_of_one_painting_gives_what_a_preview_gives():
    """At the preview's own size."""
    photo, painting = (
        images.load(path, size).rgb
        for path, size in ((PHOTO, 640), (examples.path_of("style", "great-wave"), 512))
    )
    expected = stylizer.preview(photo, [(painting, 1.0)], None)
    np.testing.assert_allclose(
        stylizer.look(photo, stylizer.style_vector(painting)), expected, atol=1e-5
    )


def test_what_cannot_be_read_leaves_the_paintings_as_they_are(tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with pytest.raises(ImageError):
        next(looks.of_photo(str(broken)))
    (answer,) = choose.show_looks(str(broken), GREAT_WAVE)
    assert answer == (choose.gr.skip(), choose.gr.skip())
    assert without_a_photo(GREAT_WAVE) == looks.paintings()


def without_a_photo(style):
    """The cards; the switch tells what it always does."""
    (cards, _), (_, told) = choose.show_looks(None, style)
    assert told == choose.gr.update(
        info="Whoever is in the photo is painted more faithfully than the rest"
    )
    return cards


@pytest.fixture
def own(tmp_path):
    """A painting that is no example."""
    path = tmp_path / "own.png"
    Image.new("RGB", (90, 60), "darkred").save(path)
    return str(path)


def test_an_own_painting_stands_before_the_examples_in_its_look(own):
    (first, _), *_, (cards, _), _ = choose.show_looks(PHOTO, own)
    assert len(cards) == 21
    assert [caption for _, caption in cards[:2]] == ["Your painting", looks.paintings()[0][1]]
    assert first[0] == cards[0]  # the own one is made first
    assert first[1:] == looks.paintings()
    red, green, blue = pixels(cards[0][0]).mean(axis=(0, 1))
    assert red > 2 * max(green, blue)


def test_without_a_photo_an_own_painting_is_shown_as_it_is(own):
    assert without_a_photo(own) == [(own, "Your painting"), *looks.paintings()]


def clicked(number):
    return choose.gr.SelectData(None, {"index": number, "value": None})


@pytest.mark.parametrize(
    ("is_own", "number", "expected"), [(False, 3, 3), (True, 4, 3), (True, 20, 19), (False, 0, 0)]
)
def test_a_click_on_a_look_takes_its_painting(own, is_own, number, expected):
    style = own if is_own else GREAT_WAVE
    first, *others, at_once = choose.pick_painting(1, style, None, clicked(number))
    assert first == looks.example_files()[expected]
    assert others == [choose.gr.skip()] * 3
    assert at_once


def test_a_click_on_ones_own_painting_keeps_it_or_takes_it_for_another(own):
    assert choose.pick_painting(1, own, None, clicked(0))[:-1] == [choose.gr.skip()] * 4
    assert choose.pick_painting(3, own, None, clicked(0))[2] == own
