"""A choice and its row: the order of the fields is in one place."""

from __future__ import annotations

import pytest

from nst_core import ImageError, Settings, SettingsError
from page import choice, controls
from page.choice import Choice

MANY = [
    Choice(settings=Settings(size=512)),
    Choice(
        "photo.jpg",
        ("one.jpg", None, "three.jpg", None),
        (1.0, 1.0, 0.25, 1.0),
        ("mask.png", None, None, None),
        "keep.png",
        Settings(size=64, strength=0.7, time_budget=10),
    ),
]


@pytest.mark.parametrize("chosen", MANY)
@pytest.mark.parametrize("fields", [choice.FIELDS, choice.FIELDS[::-1]])
def test_a_row_holds_the_choice_in_any_order(chosen, fields):
    assert Choice.from_row(chosen.to_row(fields), fields) == chosen


def test_the_row_has_the_order_of_the_endpoint():
    assert ("content", "style", *controls.NAMES, *choice.MORE) == choice.FIELDS
    assert [*choice.MORE] == [*choice.STYLES[1:], *choice.WEIGHTS, *choice.MASKS]
    row = MANY[1].to_row()
    named = dict(zip(choice.FIELDS, row, strict=True))
    assert (named["content"], named["style"], named["style_3"]) == (
        "photo.jpg",
        "one.jpg",
        "three.jpg",
    )
    assert (named["weight_3"], named["mask_1"], named["keep"]) == (0.25, "mask.png", "keep.png")
    assert (named["strength"], named["time_budget"]) == (0.7, "10")


def test_what_is_left_out_at_the_end_is_the_default():
    assert Choice.from_row([]) == Choice()
    assert Choice.from_row(["photo.jpg", "one.jpg", 64], choice.PREVIEW) == Choice(
        "photo.jpg", ("one.jpg", None, None, None), settings=Settings(size=64)
    )


def test_impossible_settings_are_no_choice():
    with pytest.raises(SettingsError, match="size is 7"):
        Choice.from_row([None, None, 7], choice.PREVIEW)


def test_what_is_missing_is_told():
    for chosen, name in ((Choice(), "photo"), (Choice("photo.jpg"), "painting")):
        with pytest.raises(ImageError, match=f"Choose a {name} first"):
            chosen.photo_and_painting()
    with pytest.raises(ImageError, match="region for painting 3, but no painting 3"):
        Choice(masks=(None, None, "mask.png", None)).paintings()


def test_files_that_were_cleaned_away_are_left_out(tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.touch()
    chosen = Choice(str(photo), ("/gone.jpg", None, None, None), keep="/gone.png")
    assert chosen.still_there() == Choice(str(photo))
    assert set(chosen.files) == {str(photo), "/gone.jpg", "/gone.png", None}
