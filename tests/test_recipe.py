"""Recipes: into a PNG and out again, and what becomes of those that were tampered with."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from conftest import example
from PIL import Image

from nst_core import ImageError, Settings, SettingsError, Style, images, recipe
from nst_core.recipe import Recipe, Source, Stretch

CASTLE, WAVE = example("content/castle"), example("style/great-wave")
SETTINGS = Settings(size=96, steps=3, seed=5, style_layers={"block1_conv1": 0.25})


@pytest.fixture
def made() -> Recipe:
    return recipe.make(CASTLE, [(WAVE, 2.0), (CASTLE, 1.0)], SETTINGS)


def save(path, text) -> None:
    images.save(Image.new("RGB", (16, 16)), path, {recipe.KEY: text})


def test_a_recipe_survives_its_png(made, tmp_path):
    made = dataclasses.replace(made, blend=0.5, before=(Stretch(Settings(seed=3), 12),))
    save(tmp_path / "out.png", made.to_json())
    assert recipe.read(tmp_path / "out.png") == made
    assert images.load(tmp_path / "out.png").size == (16, 16)


def test_it_names_files_checksums_weights_and_versions(made):
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (CASTLE, WAVE)]
    assert made.content == Source("castle.jpg", sums[0])
    assert made.style == (Source("great-wave.jpg", sums[1], 2.0), Source("castle.jpg", sums[0]))
    assert made.settings == SETTINGS
    assert set(made.versions) == {"neural-style-transfer", *recipe.LIBRARIES}


def test_arrays_are_told_apart_by_their_pixels():
    grey = np.full((16, 16, 3), 128, np.uint8)
    first, second = (recipe.make(grey + i, grey, SETTINGS).content for i in (0, 1))
    assert first.name == second.name == ""
    assert first.sha256 != second.sha256


def test_no_folder_of_the_machine_goes_into_it(made):
    assert str(CASTLE.parent) not in made.to_json()


def test_a_picture_without_a_recipe_is_told(tmp_path):
    for name in ("plain.png", "plain.jpg"):
        images.save(Image.new("RGB", (16, 16)), tmp_path / name)
        with pytest.raises(ImageError, match="holds no recipe"):
            recipe.read(tmp_path / name)
    with pytest.raises(ImageError, match="no picture file"):
        recipe.read(tmp_path / "absent.png")


@pytest.mark.parametrize(
    "changed",
    [
        {"settings": {"size": 1e9}},
        {"settings": {"size": "__import__('os').getcwd()"}},
        {"settings": {"magic": 1}},
        {"settings": []},
        {"content": "castle.jpg"},
        {"content": {"name": ["x"], "sha256": "0"}},
        {"content": {"name": "x", "sha256": "0", "folder": "/"}},
        {"style": 7},
        {"style": []},
        {"style": [{"name": "x", "sha256": "0", "weight": "heavy"}]},
        {"style": [{"name": "x", "sha256": "0", "weight": float("nan")}]},
        {"style": [{"name": "x", "sha256": "0", "weight": -1}]},
        {"style": [{"name": "x", "sha256": "0"}] * 5},
        {"versions": None},
        {"format": 99},
        {"format": None},
        {"before": [{"settings": {"size": 7}, "steps": 1}]},
        {"before": [{"settings": {}, "steps": "many"}]},
        {"before": None},
        {"blend": 7},
        {"blend": "all"},
        {"blend": None},
    ],
)
def test_a_tampered_recipe_is_a_clear_error(changed, made, tmp_path):
    values = json.loads(made.to_json()) | changed
    save(tmp_path / "out.png", json.dumps(values))
    with pytest.raises(SettingsError):
        recipe.read(tmp_path / "out.png")


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "7", '"x"', "{}", "[" * 100_000])
def test_what_is_no_recipe_at_all_is_a_clear_error(text):
    with pytest.raises(SettingsError, match="damaged"):
        Recipe.from_json(text)


def test_no_file_that_a_recipe_names_is_opened(made, tmp_path):
    named = dataclasses.replace(made, content=Source("../../etc/passwd", "0"))
    save(tmp_path / "out.png", named.to_json())
    assert recipe.read(tmp_path / "out.png").content.name == "../../etc/passwd"


# --- Several paintings and masks ----------------------------------------------------------------


def test_weights_and_masks_come_back(tmp_path):
    mask = np.zeros([60, 90], np.uint8)
    mask[:, :45] = np.linspace(0, 255, 45)
    keep = mask[:, ::-1] > 100
    styles = [Style(example("style/great-wave"), 2, mask), Style(example("style/auvers"), 1)]
    made = recipe.make(example("content/castle"), styles, Settings(size=96), keep)
    save(tmp_path / "out.png", made.to_json())
    back = recipe.read(tmp_path / "out.png")
    assert back == made
    assert [source.weight for source in back.style] == [2, 1]
    paintings = [style.image for style in styles]
    found, kept = back.styles(paintings)
    assert [style.image for style in found] == paintings
    np.testing.assert_array_equal(found[0].mask, mask)
    assert found[1].mask is None
    np.testing.assert_array_equal(kept, keep * 255)
    with pytest.raises(SettingsError, match="mixes 2 paintings, but 1 are given"):
        back.styles(paintings[:1])


def test_a_large_mask_is_kept_smaller():
    packed = recipe.pack(np.full([1500, 3000], 255, np.uint8))
    assert recipe.unpack(packed).shape == (512, recipe.MASK_SIDE)
    assert len(packed) < 10_000


@pytest.mark.parametrize("mask", ["no base 64", "AAAA", recipe.pack(np.eye(64, dtype=bool))[:-60]])
def test_a_damaged_mask_is_a_clear_error(mask):
    with pytest.raises(SettingsError, match="a mask in it cannot be read"):
        recipe.unpack(mask)


@pytest.mark.parametrize(
    "changed", [{"keep": 7}, {"style": [{"name": "x", "sha256": "", "mask": 1}]}]
)
def test_a_mask_that_is_no_text_is_a_clear_error(changed, made):
    with pytest.raises(SettingsError, match="damaged"):
        Recipe.from_json(json.dumps(json.loads(made.to_json()) | changed))
