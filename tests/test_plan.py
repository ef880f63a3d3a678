"""The plan: what memory forces and what it does not, forecasts, and plans read back."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from likeness import Likeness

from nst_core import Plan, Settings, SettingsError
from nst_core.engine import memory, plan, tiles
from nst_core.engine.memory import BYTES_PER_RUN, MemoryModel
from nst_core.engine.objective import Objective
from nst_core.engine.plan import (
    MAX_WHOLE_PIXELS,
    Choice,
    check_memory,
    check_tiles,
    make_plan,
    needed,
    resettled,
)
from nst_core.engine.schedule import Coarse, Scale, schedule, schedule_for
from nst_core.losses import STYLE_LOSSES, StyleLoss
from nst_core.pictures.images import Picture
from nst_core.pictures.regions import everywhere
from nst_core.settings import BRUSHWORK, DEFAULT_SIZE

PLENTY = 1e15
FLOAT32 = {"precision": "float32"}  # no trial is needed for it

COARSE = Coarse(256, 16)


def picture(width: int, height: int) -> Picture:
    """One that takes no memory itself."""
    return Picture(np.broadcast_to(np.float32(0.5), [1, height, width, 3]))


@pytest.fixture
def plan_with(monkeypatch):
    """Make a plan when so many bytes are free; the painting has the photo's size."""

    def make(room: float, photo: Picture, chosen: Settings, painting: Picture | None = None):
        monkeypatch.setattr(memory, "available", lambda: room)
        return make_plan(photo, [painting or photo], chosen, Objective.of(chosen))

    return make


def need_of(made: Plan, chosen: Settings, painting: int = 1) -> float:
    """Bytes that the forecast gives for the finest scale of a plan."""
    scale = made.scales[-1]
    choice = Choice(made.tile_at(scale), made.lbfgs_memory)
    return needed(scale.pixels, painting, made.precision, choice, Objective.of(chosen)).total


# --- Memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sides", "changes"),
    [
        ((512, 342), {}),
        ((512, 342), {"tile": 256}),
        ((300, 512), {"lbfgs_memory": "short"}),
        ((1024, 683), {"size": 1024, "optimizer": "adam"}),
        ((2000, 1500), {"size": 2000}),
        ((4096, 4096), {"size": 4096}),
    ],
)
def test_the_same_settings_give_the_same_plan_whatever_memory_is_free(sides, changes, plan_with):
    photo, chosen = picture(*sides), Settings(style_loss="gram", **changes, **FLOAT32)
    found = plan_with(PLENTY, photo, chosen)
    assert found.notice == ""
    assert (found.width, found.height) == sides
    just_enough = need_of(found, chosen, sides[0] * sides[1])
    for room in (just_enough, 1.5 * just_enough, 1e12):
        assert plan_with(room, photo, chosen) == found


def test_what_was_asked_for_is_done(plan_with):
    chosen = Settings(
        style_loss="gram", size=512, steps=61, tile=256, lbfgs_memory="short", **FLOAT32
    )
    found = plan_with(PLENTY, picture(512, 342), chosen)
    assert found == Plan(512, 342, schedule(342, 512, 61, COARSE), "float32", 256, "short")
    assert found.steps == 61
    assert (found.size, plan_with(PLENTY, picture(64, 96), chosen).size) == (512, 96)


def need_at(sides: tuple[int, int], tile: int | None, lbfgs_memory: str) -> float:
    """Bytes that the default layers need for a photo and a painting of this size."""
    pixels, choice = math.prod(sides), Choice(tile, lbfgs_memory)
    return needed(
        pixels, pixels, "float32", choice, Objective.of(Settings(style_loss="gram"))
    ).total


@pytest.mark.parametrize(
    ("side", "steps"),
    [
        (
            1500,
            [
                (None, "full", ""),
                (tiles.SIDE, "full", "Free memory is short: painted in tiles."),
                (
                    tiles.SIDE,
                    "short",
                    "Free memory is short: painted in tiles and with a short L-BFGS memory.",
                ),
            ],
        ),
        (
            512,  # one tile would hold it
            [
                (None, "full", ""),
                (None, "short", "Free memory is short: painted with a short L-BFGS memory."),
            ],
        ),
    ],
)
def test_memory_forces_first_tiles_and_then_a_short_memory(side, steps, plan_with):
    photo, chosen = picture(side, side), Settings(style_loss="gram", size=side, **FLOAT32)
    needs = [need_at((side, side), tile, remembered) for tile, remembered, _ in steps]
    assert needs == sorted(needs, reverse=True)
    for step, need, before in zip(steps, needs, [PLENTY, *needs], strict=False):
        for room in (need, before * (1 - 1e-6)):
            made = plan_with(room, photo, chosen)
            assert (made.tile, made.lbfgs_memory, made.notice) == step
    with pytest.raises(SettingsError, match=rf"size is {side}, which needs \d+\.\d GB"):
        plan_with(needs[-1] * (1 - 1e-6), photo, chosen)


@pytest.mark.parametrize("side", [128, 256, 400, 496])
def test_memory_forces_a_smaller_size_only_where_it_was_left_open(side, plan_with):
    photo, sides = picture(512, 342), (side, round(342 * side / 512))
    room = need_at(sides, None, "short") * 1.001  # for the rounding of sides
    found = plan_with(room, photo, Settings(style_loss="gram", **FLOAT32))
    assert (found.width, found.height) == sides
    assert (found.scales[-1].width, found.scales[-1].height) == sides
    assert found.notice == f"There is not enough free memory for 512 px: painted at {side} px."
    with pytest.raises(SettingsError, match=rf"size is 512, .*try size={side}\."):
        plan_with(room, photo, Settings(style_loss="gram", size=512, **FLOAT32))
    with pytest.raises(SettingsError, match="close other programs"):
        plan_with(need_at((48, 32), None, "short"), photo, Settings(style_loss="gram", **FLOAT32))


@pytest.mark.parametrize(
    "changes", [{"lbfgs_memory": "full"}, {"tile": 640}, {"tile": 640, "lbfgs_memory": "full"}]
)
def test_memory_never_changes_what_was_asked_for(changes, plan_with):
    photo, chosen = (
        picture(1500, 1500),
        Settings(style_loss="gram", size=1500, **changes, **FLOAT32),
    )
    for room in np.arange(7e9, 3e9, -0.2e9):
        try:
            found = plan_with(room, photo, chosen)
        except SettingsError:
            continue
        for name, value in changes.items():
            assert getattr(found, name) == value


def outcome(make: Callable[[], Plan]) -> Plan | str:
    """What is made, or the message of the error."""
    try:
        return make()
    except SettingsError as error:
        return str(error)


@settings(deadline=None, max_examples=200)
@given(
    st.integers(64, 4096),
    st.floats(0.1, 1),
    st.floats(8, 11),
    st.sampled_from(["auto", "full", "short"]),
    st.sampled_from([None, 128, 640]),
    st.booleans(),
)
def test_a_plan_fits_or_the_error_names_a_size_that_does(
    size, shape, magnitude, lbfgs_memory, tile, is_open
):
    """Where no size is named, none fits."""
    assume(not is_open or size <= DEFAULT_SIZE)
    room, chosen = (
        10**magnitude,
        Settings(style_loss="gram", lbfgs_memory=lbfgs_memory, tile=tile, **FLOAT32),
    )

    def at(side: int, asked: int | None) -> Plan | str:
        photo = picture(side, max(1, round(shape * side)))
        settings = replace(chosen, size=asked)
        return outcome(lambda: make_plan(photo, [photo], settings, Objective.of(settings)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "available", lambda: room)
        found = at(size, None if is_open else size)
        if isinstance(found, Plan):
            assert need_of(found, chosen, found.width * found.height) <= room
        elif named := re.search(r"try size=(\d+)\.", found):
            assert 64 <= int(named[1]) < size
            assert isinstance(at(int(named[1]), int(named[1])), Plan)
        else:
            assert "close other programs" in found
            assert "close other programs" in at(64, 64)


@pytest.mark.parametrize("room", [PLENTY, 20e9])
def test_very_large_pictures_are_painted_in_tiles_whatever_memory_is_free(room, plan_with):
    side = math.isqrt(MAX_WHOLE_PIXELS)
    whole = plan_with(room, picture(side, side), Settings(style_loss="gram", size=side, **FLOAT32))
    assert (whole.tile, whole.lbfgs_memory) == (None, "full")
    large = plan_with(
        room, picture(side + 1, side), Settings(style_loss="gram", size=side + 1, **FLOAT32)
    )
    assert (large.tile, large.lbfgs_memory, large.notice) == (tiles.SIDE, "short", "")


@pytest.mark.parametrize("loss", STYLE_LOSSES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_tiles_need_less_than_the_whole(loss, precision):
    """Which is what they are there for where memory is short."""
    objective = Objective.of(Settings(style_loss=loss))
    tiled, whole = (
        needed(1024**2, 1024**2, precision, Choice(side, "short"), objective)
        for side in (tiles.SIDE, None)
    )
    assert tiled.total < whole.total


def test_a_picture_as_small_as_a_tile_needs_what_it_needs_as_a_whole(plan_with):
    """It is painted as one, whatever the size of the tiles that were asked for."""
    photo, whole = picture(512, 512), Settings(style_loss="gram", size=512, **FLOAT32)
    room = need_of(plan_with(PLENTY, photo, whole), whole)
    found = plan_with(room, photo, replace(whole, tile=640))
    assert (found.size, found.tile, found.notice) == (512, 640, "")


def test_a_large_painting_counts(plan_with):
    """It is looked at as a whole, too, where the photo is."""
    photo, painting, chosen = (
        picture(512, 512),
        picture(1024, 1024),
        Settings(style_loss="gram", **FLOAT32),
    )
    room = need_of(plan_with(PLENTY, photo, chosen), chosen)
    assert plan_with(room, photo, chosen).size == 512
    found = plan_with(room, photo, chosen, painting)
    assert found.size < 512
    assert need_of(found, chosen, round((1024 * found.size / 512) ** 2)) <= room


def test_a_scale_that_needs_more_than_there_is_by_now_is_not_tried(plan_with, monkeypatch):
    photo, chosen = picture(512, 512), Settings(style_loss="gram", size=512, steps=2, **FLOAT32)
    found, objective = plan_with(PLENTY, photo, chosen), Objective.of(chosen)
    needs = [
        needed(scale.pixels, scale.pixels, "float32", found, objective).total - BYTES_PER_RUN
        for scale in found.scales
    ]
    # A run has taken already what it takes whatever its size.
    monkeypatch.setattr(memory, "available", lambda: needs[0] + 1)
    check_memory(found, found.scales[0], photo, everywhere(photo), objective)
    with pytest.raises(MemoryError):
        check_memory(found, found.scales[1], photo, everywhere(photo), objective)
    monkeypatch.setattr(memory, "available", lambda: needs[0] - 1)
    with pytest.raises(MemoryError):
        check_memory(found, found.scales[0], photo, everywhere(photo), objective)


# --- Time ---------------------------------------------------------------------------------------


def test_a_time_budget_becomes_steps(plan_with, monkeypatch):
    """By the pace that is expected of this objective in this precision."""
    asked = []
    monkeypatch.setattr(plan, "expected_seconds", lambda *given: asked.append(given) or 1e-6)
    chosen = Settings(style_loss="gram", time_budget=5, **FLOAT32)
    found = plan_with(PLENTY, picture(512, 342), chosen)
    assert found.scales == schedule_for(342, 512, 5e6, COARSE)
    assert asked == [(Objective.of(chosen).flop, "float32")]


# --- Losses that cannot be computed in tiles ----------------------------------------------------


@pytest.fixture
def likeness(monkeypatch) -> None:
    """Enter a style loss whose statistics of parts do not add up."""
    monkeypatch.setitem(
        STYLE_LOSSES, "likeness", StyleLoss("Likeness", lambda layers, _: Likeness(layers[0]))
    )


def test_a_loss_that_does_not_add_up_is_refused_in_tiles(likeness, plan_with):
    message = r"The style loss cannot be computed in tiles.*choose a smaller size"
    for photo, changes in [
        (picture(512, 342), {"size": 512, "tile": 128}),
        (picture(2000, 1500), {"size": 2000}),
    ]:
        chosen = Settings(style_loss="likeness", **changes, **FLOAT32)
        with pytest.raises(SettingsError, match=message):
            plan_with(PLENTY, photo, chosen)
    chosen = Settings(style_loss="likeness", style_weight=0, tile=128, **FLOAT32)
    assert plan_with(PLENTY, picture(512, 342), chosen).tile == 128, "it has no weight"


def test_where_memory_is_short_a_loss_that_does_not_add_up_gets_no_tiles(likeness, plan_with):
    chosen = Settings(size=1500, style_loss="likeness", **FLOAT32)
    photo, found = picture(1500, 1500), []
    need = need_of(plan_with(PLENTY, photo, chosen), chosen)
    for room in (need, need - 1e6):
        made = plan_with(room, photo, chosen)
        found.append((made.tile, made.lbfgs_memory))
    assert found == [(None, "full"), (None, "short")]


def test_tiles_are_refused_for_what_does_not_add_up_only(likeness):
    objective = Objective.of(Settings(style_loss="likeness"))
    check_tiles(Choice(None, "full"), objective)
    check_tiles(Choice(128, "full"), Objective.of(Settings(style_loss="gram")))
    with pytest.raises(SettingsError, match="style loss"):
        check_tiles(Choice(128, "full"), objective)


# --- Forecasts ----------------------------------------------------------------------------------


def test_the_forecasts_of_the_defaults():
    """As measured: see `memory.py`."""
    objective = Objective.of(Settings(style_loss="gram"))
    assert objective.flop == pytest.approx(1.2e6, rel=0.03)
    for precision, bytes_per_pixel in [("float32", 3000), ("bfloat16", 2000)]:
        optimizer = objective.optimizer("full").bytes_per_pixel
        model = MemoryModel(objective.activations, precision, optimizer)
        need = model.of_whole(1, 0)
        assert need.growing == pytest.approx(bytes_per_pixel, rel=0.01)
        assert need.fixed == BYTES_PER_RUN


@pytest.mark.parametrize(
    "changes",
    [
        {"style_layers": BRUSHWORK["fine texture"]},  # nothing of block5
        {"style_layers": {"block2_conv1": 1}, "content_layer": "block3_conv2"},
        {"style_weight": 0, "content_layer": "block1_conv2"},
        {"style_weight": 0, "content_weight": 0},
    ],
)
def test_the_forecasts_depend_on_the_layers_that_are_used(changes, plan_with):
    default, shallow = (
        Objective.of(Settings(style_loss="gram")),
        Objective.of(Settings(style_loss="gram", **changes)),
    )
    assert shallow.flop < default.flop
    assert shallow.activations < default.activations
    for tile in (None, 640):
        choice = Choice(tile, "full")
        whole, less = (
            needed(2048**2, 1, "float32", choice, objective).total
            for objective in (default, shallow)
        )
        assert less < whole
    # So a size fits that with the default layers does not.
    room = needed(512**2, 1, "float32", Choice(None, "short"), shallow).total
    photo = picture(512, 512)
    found = plan_with(
        room, photo, Settings(style_loss="gram", size=512, **changes, **FLOAT32), picture(16, 16)
    )
    assert found.lbfgs_memory == "short"
    with pytest.raises(SettingsError):
        plan_with(room, photo, Settings(style_loss="gram", size=512, **FLOAT32), picture(16, 16))


def test_deeper_and_other_networks_cost_more():
    deep = Settings(style_loss="gram", style_layers={"block5_conv3": 1})
    assert Objective.of(deep).activations > Objective.of(Settings(style_loss="gram")).activations
    other = replace(deep, network="vgg19", weights="any.h5")
    assert Objective.of(other).flop > Objective.of(deep).flop


def test_an_optimizer_without_memory_needs_less():
    chosen = [
        Settings(style_loss="gram", optimizer=name)
        for name in ("lbfgs", "adam", "gradient_descent")
    ]
    choice = Choice(None, "full")
    needs = [needed(512**2, 1, "float32", choice, Objective.of(one)).total for one in chosen]
    assert needs == sorted(needs, reverse=True)
    assert len(set(needs)) == 3


# --- Settled ------------------------------------------------------------------------------------


def test_settling_fills_what_was_left_open(plan_with):
    photo, chosen = picture(2000, 1500), Settings(style_loss="gram", size=2000, steps=7)
    found = replace(plan_with(PLENTY, photo, replace(chosen, **FLOAT32)), precision="bfloat16")
    settled = found.settle(chosen)
    assert settled == replace(chosen, precision="bfloat16", tile=tiles.SIDE, lbfgs_memory="short")
    explicit = Settings(
        style_loss="gram", size=640, precision="float32", tile=128, lbfgs_memory="full"
    )
    assert found.settle(explicit) == explicit


@pytest.mark.parametrize("side", [256, 512])
def test_settled_settings_give_the_same_plan_again(side, plan_with):
    """When memory is not short any more, either."""
    chosen, room = Settings(style_loss="gram", **FLOAT32), need_at((side, side), None, "short")
    found = plan_with(room, picture(512, 512), chosen)
    assert (found.lbfgs_memory, found.notice == "") == ("short", False)
    again = plan_with(PLENTY, picture(found.width, found.height), found.settle(chosen))
    assert again == replace(found, notice="")


def test_a_picture_smaller_than_any_size_that_can_be_asked_for_is_settled(plan_with):
    found = plan_with(PLENTY, picture(40, 32), Settings(style_loss="gram", **FLOAT32))
    settled = found.settle(Settings(style_loss="gram", **FLOAT32))
    assert plan_with(PLENTY, picture(40, 32), settled) == found


def test_a_plan_up_to_a_step():
    scales = Scale(171, 256, 3), Scale(342, 512, 4)
    whole = Plan(512, 342, scales, "float32", None, "full")
    assert whole.up_to(7) == whole.up_to(100) == whole
    assert whole.up_to(5).scales == (scales[0], Scale(342, 512, 2))
    assert whole.up_to(3).scales == scales[:1]
    assert whole.up_to(0) is None


def test_tiles_at_a_scale():
    found = Plan(2048, 1000, schedule(1000, 2048, 9, COARSE), "float32", 640, "short")
    assert [found.tile_at(scale) for scale in found.scales] == [None, None, 640, 640]
    whole = replace(found, tile=None)
    assert [whole.tile_at(scale) for scale in whole.scales] == [None] * 4


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({}, {"steps": 9, "content_weight": 1}, {}),
        ({}, {"tile": 128}, {"tile": 128}),
        ({"tile": 128}, {}, {"tile": None}),
        ({}, {"lbfgs_memory": "full"}, {"lbfgs_memory": "full"}),
        ({"lbfgs_memory": "short"}, {}, {"lbfgs_memory": "full"}),
        ({}, {"precision": "bfloat16"}, {"precision": "bfloat16"}),
    ],
)
def test_a_plan_is_resettled_where_the_settings_changed_only(before, after, changes):
    """What memory forced, and what changed between two settings that agree, stays."""
    made = Plan(
        512, 342, schedule(342, 512, 8, COARSE), "float32", 96, "short", "Free memory is short."
    )
    before, after = (
        Settings(style_loss="gram", **{**FLOAT32, **before}),
        Settings(style_loss="gram", **{**FLOAT32, **after}),
    )
    assert resettled(made, before, after, picture(512, 342)) == replace(made, **changes)


def test_a_large_picture_whose_choices_are_left_open_again_gets_what_its_size_decides():
    photo = picture(2000, 1500)
    made = Plan(2000, 1500, schedule(1500, 2000, 8, COARSE), "float32", 128, "full")
    before = Settings(style_loss="gram", tile=128, lbfgs_memory="full", **FLOAT32)
    found = resettled(made, before, Settings(style_loss="gram", **FLOAT32), photo)
    assert (found.tile, found.lbfgs_memory) == (tiles.SIDE, "short")


# --- Read back ----------------------------------------------------------------------------------

PLANS = [
    Plan(512, 342, schedule(342, 512, 61, COARSE), "float32", None, "full"),
    Plan(64, 96, schedule(96, 64, 1, COARSE), "bfloat16", 128, "short", "Free memory is short."),
    Plan(4096, 4096, schedule(4096, 4096, 60, COARSE), "float32", 640, "short"),
    Plan(512, 512, schedule_for(512, 512, 9 * (256**2 + 512**2), COARSE), "float32", None, "full"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("made", PLANS)
def test_a_plan_is_read_back(made):
    assert Plan.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"width": 511.5},
        {"width": True},
        {"height": 5000},
        {"height": "342"},
        {"scales": []},
        {"scales": 3},
        {"scales": [3]},
        {"scales": [{"height": 342, "width": 512}]},
        {"scales": [{"height": 342, "width": 512, "steps": -1}]},
        {"scales": [{"height": 342, "width": 512, "steps": 1.5}]},
        {"scales": [{"height": 342, "width": 512, "steps": math.nan}]},
        {"scales": [{"height": 3, "width": 5, "steps": 1}]},  # the network sees nothing in it
        {"scales": [{"height": 684, "width": 1024, "steps": 1}]},  # larger than the picture
        {"precision": "auto"},
        {"precision": "float16"},
        {"precision": ["float32"]},
        {"tile": 0},
        {"tile": 128.5},
        {"tile": True},
        {"tile": "128"},
        {"lbfgs_memory": "auto"},
        {"lbfgs_memory": None},
        {"notice": None},
        {"colour": "red"},
    ],
)
def test_a_damaged_plan_is_refused(changes):
    with pytest.raises(SettingsError, match="The plan is damaged"):
        Plan.from_dict(PLANS[0].to_dict() | changes)


@pytest.mark.parametrize("name", ["width", "height", "scales", "precision", "tile", "lbfgs_memory"])
def test_a_plan_without_a_part_is_refused(name):
    values = PLANS[0].to_dict()
    del values[name]
    with pytest.raises(SettingsError, match="The plan is damaged"):
        Plan.from_dict(values)


@pytest.mark.parametrize("values", [None, 3, "plan", [], {}, [1, 2]])
def test_what_is_no_plan_is_refused(values):
    with pytest.raises(SettingsError, match="The plan is damaged"):
        Plan.from_dict(values)


@settings(deadline=None)
@given(st.data())
def test_whatever_a_plan_is_damaged_to_it_is_refused_or_sound(data):
    """Nothing else is raised, and what is accepted survives another reading."""
    values = data.draw(st.sampled_from(PLANS)).to_dict()
    values["scales"] = [dict(scale) for scale in values["scales"]]
    places = [values, *values["scales"]]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places))
        name = data.draw(st.sampled_from(sorted(place)) if place else st.text(max_size=9))
        if data.draw(st.booleans()):
            place[name] = data.draw(JSON)
        else:
            place.pop(name, None)
    found = outcome(lambda: Plan.from_dict(values))
    if isinstance(found, str):
        assert "damaged" in found
        return
    assert Plan.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    numbers = [found.width, found.height, found.tile or 16]
    numbers += [side for scale in found.scales for side in (scale.height, scale.width, scale.steps)]
    assert {type(number) for number in numbers} == {int}
    assert min(numbers) >= 1
    assert max(scale.pixels for scale in found.scales) <= found.width * found.height
