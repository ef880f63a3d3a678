"""Recipes: into a PNG and out again, and what becomes of those that were tampered with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import example
from PIL import Image

from nst_core import ImageError, Plan, Settings, SettingsError, Style, recipe
from nst_core.engine.schedule import Scale
from nst_core.pictures import images
from nst_core.recipe import Recipe, Source, Stretch

CASTLE, WAVE = example("content/castle"), example("style/great-wave")
SETTINGS = Settings(size=96, steps=3, seed=5, style_layers={"block1_conv1": 0.25})
PLAN = Plan(96, 64, (Scale(32, 48, 2), Scale(64, 96, 1)), "float32", 256, "short", "In tiles.")


@pytest.fixture
def made() -> Recipe:
    return recipe.make(CASTLE, [(WAVE, 2.0), (CASTLE, 1.0)], SETTINGS)


def save(path, text) -> None:
    images.save(Image.new("RGB", (16, 16)), path, {recipe.KEY: text})


def test_a_recipe_survives_its_png(made, tmp_path):
    made = dataclasses.replace(
        made,
        blend=0.5,
        before=(Stretch(Settings(seed=3), 12),),
        plan=PLAN,
        canvas=Source("start.png", "00"),
    )
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


def test_a_canvas_is_named_like_the_other_pictures(made):
    assert made.canvas is None
    started = recipe.make(CASTLE, WAVE, SETTINGS, canvas=CASTLE)
    assert started.canvas == started.content == made.content


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
        {"canvas": "castle.jpg"},
        {"canvas": {"name": 7, "sha256": "0"}},
        *(
            {"plan": plan}
            for plan in (
                7,
                "plan",
                {},
                PLAN.to_dict() | {"scales": []},
                PLAN.to_dict() | {"scales": [{"height": 64, "width": 96}]},
                PLAN.to_dict() | {"scales": [{"height": 64, "width": 96, "steps": 0}]},
                PLAN.to_dict() | {"scales": [{"height": 64, "width": 1e9, "steps": 1}]},
                PLAN.to_dict() | {"width": 10**6},
                PLAN.to_dict() | {"width": "96"},
                PLAN.to_dict() | {"precision": "auto"},
                PLAN.to_dict() | {"precision": ["float32"]},
                PLAN.to_dict() | {"tile": 0},
                PLAN.to_dict() | {"lbfgs_memory": "endless"},
                PLAN.to_dict() | {"notice": None},
                PLAN.to_dict() | {"magic": 1},
            )
        ),
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


# What the version before plans wrote.
FORMAT_1 = """{
 "format": 1,
 "settings": {
  "size": 96, "steps": 3, "time_budget": null, "seed": 5, "init": "preview",
  "optimizer": "lbfgs", "learning_rate": null, "strength": 0.5, "style_scale": 1.0,
  "color": "painting", "feather": 1.0, "content_weight": 0.0007, "style_weight": 1.0,
  "tv_weight": 100.0, "content_layer": "block4_conv2", "style_layers": {"block1_conv1": 0.25},
  "pooling": "max", "precision": "auto", "enlarge": false, "tile": null,
  "frame_interval": 0.25, "stylizer": null, "weights": null
 },
 "content": {"name": "castle.jpg", "sha256": "f9d4", "weight": 1.0, "mask": ""},
 "style": [{"name": "great-wave.jpg", "sha256": "32f3", "weight": 2.0, "mask": ""}],
 "versions": {"neural-style-transfer": "0.1.0", "tensorflow": "2.21.0"},
 "blend": 1.0,
 "before": [{"settings": {"size": 96, "seed": 3}, "steps": 12}]
}"""


def test_a_recipe_of_the_first_format_is_read():
    """It was painted with Gram matrices, because there was nothing else."""
    assert Recipe.from_json(FORMAT_1) == Recipe(
        replace(SETTINGS, style_loss="gram", subject=False),
        Source("castle.jpg", "f9d4"),
        (Source("great-wave.jpg", "32f3", 2.0),),
        {"neural-style-transfer": "0.1.0", "tensorflow": "2.21.0"},
        before=(Stretch(Settings(size=96, seed=3, style_loss="gram", subject=False), 12),),
    )


# --- The same picture ---------------------------------------------------------------------------


def assert_same(one: Recipe, other: Recipe, expected: bool) -> None:
    assert one.is_same_picture(other) is expected
    assert other.is_same_picture(one) is expected


@pytest.mark.parametrize(
    "change",
    [
        {"settings": dataclasses.replace(SETTINGS, seed=6)},
        {"content": Source("castle.jpg", "other pixels")},
        {"style": (Source("great-wave.jpg", "other pixels"),)},
        {"blend": 0.5},
        {"before": (Stretch(SETTINGS, 2),)},
        {"keep": "a mask"},
        {"canvas": Source("start.png", "00")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_source_or_setting_is_another_picture(change, made):
    other = dataclasses.replace(made, **change)
    assert_same(made, other, False)
    assert_same(dataclasses.replace(made, plan=PLAN), other, False)
    assert_same(other, other, True)


def test_what_changes_no_picture_is_the_same_picture(made):
    assert_same(made, dataclasses.replace(made, versions={"numpy": "1"}), True)
    more_often = dataclasses.replace(SETTINGS, frame_interval=0)
    assert_same(made, dataclasses.replace(made, settings=more_often), True)
    assert_same(made, dataclasses.replace(made, plan=PLAN), True)


OPEN = {"size": None, "precision": "auto", "tile": None, "lbfgs_memory": "auto"}


@pytest.mark.parametrize(
    ("field", "settled", "other"),
    [
        ("size", 96, 128),
        ("precision", "float32", "bfloat16"),
        ("tile", 256, 512),
        ("lbfgs_memory", "short", "full"),
    ],
)
def test_what_was_left_open_is_the_same_as_what_the_plan_made_of_it(field, settled, other, made):
    def with_settings(**changes):
        return dataclasses.replace(made, settings=dataclasses.replace(SETTINGS, **changes))

    painted = dataclasses.replace(with_settings(**OPEN), plan=PLAN)
    assert_same(painted, with_settings(**OPEN), True)
    assert_same(painted, with_settings(**OPEN | {field: settled}), True)
    assert_same(painted, with_settings(**OPEN | {field: other}), False)


def test_two_plans_that_settled_otherwise_are_two_pictures(made):
    made = dataclasses.replace(made, settings=dataclasses.replace(SETTINGS, **OPEN))
    one = dataclasses.replace(made, plan=PLAN)
    assert_same(one, dataclasses.replace(one, versions={}), True)
    other = dataclasses.replace(made, plan=dataclasses.replace(PLAN, precision="bfloat16"))
    assert_same(one, other, False)


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
