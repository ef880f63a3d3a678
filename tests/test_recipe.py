"""Recipes: into a PNG and out again, and what becomes of those that were tampered with."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from conftest import example
from PIL import Image

from nst_core import ImageError, Settings, SettingsError, images, recipe
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
