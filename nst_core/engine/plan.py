"""The plan of a run: everything that is settled before its first step, in one immutable object.

The same plan gives the same picture, whatever memory happens to be free. What had to be settled
otherwise than asked for, because memory is short, stands in `notice`. Recipes hold the plan, frames
refer to it, and a run can be given one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nst_core.engine import memory, tiles
from nst_core.engine.device import PRECISION_CHOICES, expected_seconds
from nst_core.engine.memory import MemoryModel, MemoryNeed
from nst_core.engine.objective import Objective
from nst_core.engine.schedule import SHORTEST_SIDE, Scale, schedule, schedule_for
from nst_core.errors import SettingsError
from nst_core.networks.network import PRECISIONS
from nst_core.optimizers.optimizer import MEMORIES
from nst_core.pictures.images import Picture
from nst_core.pictures.regions import Layout
from nst_core.sentence import Sentence
from nst_core.settings import DEFAULT_SIZE, SPECS, Settings

# Pictures of more pixels are painted in tiles and with a short L-BFGS memory, however much memory
# is free: as a whole they would take more than 7 GB.
MAX_WHOLE_PIXELS = 1536 * 1536


@dataclass(frozen=True)
class Plan:
    """What a run does."""

    width: int  # of the result, pixels
    height: int
    scales: tuple[Scale, ...]  # coarsest first; with a time budget their steps are an estimate
    precision: str  # of the activations, one of `PRECISIONS`
    tile: int | None  # side of the tiles, pixels; None: the whole picture at once
    lbfgs_memory: str  # one of `MEMORIES`
    notice: str = ""  # what is done otherwise than asked for, in words

    @property
    def size(self) -> int:
        """Long side of the result in pixels."""
        return max(self.width, self.height)

    @property
    def steps(self) -> int:
        """Of all scales together."""
        return sum(scale.steps for scale in self.scales)

    def tile_at(self, scale: Scale) -> int | None:
        """The side of the tiles at a scale; one that is as small as a tile needs none."""
        is_small = max(scale.height, scale.width) <= (self.tile or 0)
        return None if is_small else self.tile

    def up_to(self, steps: int) -> Plan | None:
        """The plan of a run that was stopped after so many steps; None before the first."""
        scales = []
        for scale in self.scales:
            done = min(scale.steps, steps)
            steps -= done
            if done:
                scales.append(replace(scale, steps=done))
        return replace(self, scales=tuple(scales)) if scales else None

    def settle(self, settings: Settings) -> Settings:
        """The same settings with this plan's choices for all that was left open."""
        return replace(
            settings,
            size=settings.size or max(self.size, int(SPECS["size"].minimum or 0)),
            precision=self.precision if settings.precision == "auto" else settings.precision,
            tile=settings.tile or self.tile,
            lbfgs_memory=self.lbfgs_memory
            if settings.lbfgs_memory == "auto"
            else settings.lbfgs_memory,
        )

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain values that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """The opposite of `to_dict`. Raises `SettingsError` for anything else."""
        try:
            plan = cls(**{**values, "scales": tuple(Scale(**one) for one in values["scales"])})
            _check(plan)
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError("The plan is damaged: it cannot be read as one.") from error
        return plan


def _check(plan: Plan) -> None:
    """Raise `ValueError` for what no run could have settled."""
    maximum = int(SPECS["size"].maximum or 0)
    sides = [plan.width, plan.height]
    sides += [side for scale in plan.scales for side in (scale.height, scale.width)]
    steps = [scale.steps for scale in plan.scales]
    tile = SHORTEST_SIDE if plan.tile is None else plan.tile
    is_sound = (
        bool(plan.scales)
        and {type(number) for number in [*sides, *steps, tile]} == {int}  # a bool is none
        and all(SHORTEST_SIDE <= side <= maximum for side in [*sides, tile])
        and all(one.height <= plan.height and one.width <= plan.width for one in plan.scales)
        and min(steps) >= 1
        and plan.precision in PRECISIONS
        and plan.lbfgs_memory in MEMORIES
        and isinstance(plan.notice, str)
    )
    if not is_sound:
        raise ValueError(f"not a plan: {plan}")


def make_plan(
    photo: Picture, paintings: Sequence[Picture], settings: Settings, objective: Objective
) -> Plan:
    """Settle everything for pictures that are loaded at `settings.size`, or at the default size.

    Where memory is short, first tiles are taken, then a short L-BFGS memory, then, if no size was
    asked for, a smaller one: the pictures have to be loaded again where the plan's size is another.

    Raises `SettingsError` when the size that was asked for does not fit into memory, or would need
    tiles that the loss cannot be computed in.
    """
    wanted, precision = _wanted(photo, settings), PRECISION_CHOICES[settings.precision]()
    check_tiles(wanted, objective)
    pixels, room = math.prod(photo.size), memory.available()
    largest_painting = max(math.prod(painting.size) for painting in paintings)

    def need(choice: Choice) -> MemoryNeed:
        if max(photo.size) <= (choice.tile or 0):  # one tile holds it: painted as a whole
            choice = replace(choice, tile=None)
        return needed(pixels, largest_painting, precision, choice, objective)

    choice = _affordable(wanted, settings, objective, need, room)
    (width, height), factor = photo.size, need(choice).fitting_factor(room)
    if factor < 1:
        whole = need(replace(choice, tile=None))  # smaller ones need no tiles: up to which size?
        by_size = (MAX_WHOLE_PIXELS / pixels) ** 0.5
        largest = settings.tile / max(photo.size) if settings.tile else by_size
        factor = max(factor, min(whole.fitting_factor(room), largest))
        size = _smaller(photo, settings, need(choice), factor, room)
        width, height = _sides_at(size, photo)
    return Plan(
        width,
        height,
        make_scales(height, width, settings, objective, precision),
        precision,
        choice.tile,
        choice.lbfgs_memory,
        _notice(photo, (width, height), wanted, choice),
    )


def check_tiles(choice: Choice | Plan, objective: Objective) -> None:
    """Raise `SettingsError` for tiles with a loss that cannot be computed in them."""
    whole = [term.name for term in objective.terms if not term.adds_up]
    if choice.tile and whole:
        raise SettingsError(
            "The {loss} loss cannot be computed in tiles, which this size or the tile setting asks "
            "for; choose a smaller size, no tile, or another loss.",
            loss=whole[0],
        )


def resettled(plan: Plan, before: Settings, after: Settings, photo: Picture) -> Plan:
    """The plan of a picture that is gone on with under other settings."""
    changes: dict[str, Any] = {}
    if before.precision != after.precision:
        changes["precision"] = PRECISION_CHOICES[after.precision]()
    wanted = _wanted(photo, after)
    if before.tile != after.tile:
        changes["tile"] = wanted.tile
    if before.lbfgs_memory != after.lbfgs_memory:
        changes["lbfgs_memory"] = wanted.lbfgs_memory
    return replace(plan, **changes)


def check_memory(
    plan: Plan, scale: Scale, photo: Picture, layout: Layout, objective: Objective
) -> None:
    """Raise `MemoryError` when a scale has come to need more than there is by now.

    Better than to try it: libraries below TensorFlow end the process where they get no memory.
    """
    largest_painting = max(math.prod(painting.size) for painting in layout.paintings)
    painting = round(scale.pixels / math.prod(photo.size) * largest_painting)
    choice = Choice(plan.tile_at(scale), plan.lbfgs_memory)
    need = needed(scale.pixels, painting, plan.precision, choice, objective)
    # What a run takes whatever its size, it has taken already.
    if need.total - memory.BYTES_PER_RUN > memory.available():
        raise MemoryError(f"{need.total:.0f} bytes")


def make_scales(
    height: int, width: int, settings: Settings, objective: Objective, precision: str
) -> tuple[Scale, ...]:
    """The schedule for the steps that were asked for, or for the time."""
    if settings.time_budget is None:
        return schedule(height, width, settings.steps, objective.coarse)
    pace = expected_pace(objective, precision)
    return schedule_for(height, width, settings.time_budget / pace, objective.coarse)


def expected_pace(objective: Objective, precision: str) -> float:
    """Seconds that a step is expected to take for each pixel."""
    return expected_seconds(objective.flop, precision)


@dataclass(frozen=True)
class Choice:
    """What memory may force."""

    tile: int | None
    lbfgs_memory: str


def needed(
    photo: int, painting: int, precision: str, choice: Choice | Plan, objective: Objective
) -> MemoryNeed:
    """What a run needs.

    Args:
        photo, painting: how many pixels they have; of several paintings, the largest.
    """
    optimizer = objective.optimizer(choice.lbfgs_memory)
    model = MemoryModel(objective.activations, precision, optimizer.bytes_per_pixel)
    if choice.tile is None:
        need = model.of_whole(photo, painting)
        terms = objective.bytes_per_pixel(precision) * photo
        return replace(
            need,
            fixed=need.fixed + objective.fixed_bytes,
            growing=need.growing + terms,
            # The first layers unfold last, when what the terms took is free again.
            unfolding=max(0.0, need.unfolding - terms),
        )
    kept = tiles.MAX_KEPT if objective.keeps_tiles else 0
    held = max(kept, tiles.largest(choice.tile, objective.network, objective.layers))
    need = model.of_tiles(max(photo, painting), held)
    fixed = need.fixed + objective.fixed_bytes + objective.bytes_per_pixel(precision) * held
    recoloured = memory.BYTES_PER_RECOLOURED_PIXEL * photo if objective.takes_colors else 0.0
    return replace(need, fixed=fixed, growing=need.growing + recoloured)


def _wanted(photo: Picture, settings: Settings) -> Choice:
    """What was asked for, and for what was left open, what the size decides."""
    is_large = math.prod(photo.size) > MAX_WHOLE_PIXELS
    by_size = Choice(tiles.SIDE, "short") if is_large else Choice(None, "full")
    is_open = settings.lbfgs_memory == "auto"
    return Choice(
        settings.tile or by_size.tile, by_size.lbfgs_memory if is_open else settings.lbfgs_memory
    )


def _affordable(
    wanted: Choice,
    settings: Settings,
    objective: Objective,
    need: Callable[[Choice], MemoryNeed],
    room: float,
) -> Choice:
    """The first choice that fits of what was left open, or the one that lets the most in."""
    sides = [wanted.tile]
    if wanted.tile is None and objective.adds_up:
        sides.append(tiles.SIDE)
    memories = [wanted.lbfgs_memory]
    if settings.lbfgs_memory == "auto":
        memories.append("short")
    options = [Choice(side, remembered) for remembered in memories for side in sides]
    fitting = [option for option in options if need(option).total <= room]
    return (fitting or [max(options, key=lambda one: need(one).fitting_factor(room))])[0]


def _notice(photo: Picture, size: tuple[int, int], wanted: Choice, choice: Choice) -> str:
    """What memory forced, in words."""
    if size != photo.size:
        return Sentence(
            "There is not enough free memory for {wanted} px: painted at {size} px.",
            wanted=max(photo.size),
            size=max(size),
        )
    forced = (choice.tile != wanted.tile, choice.lbfgs_memory != wanted.lbfgs_memory)
    return {
        (False, False): "",
        (True, False): Sentence("Free memory is short: painted in tiles."),
        (False, True): Sentence("Free memory is short: painted with a short L-BFGS memory."),
        (True, True): Sentence(
            "Free memory is short: painted in tiles and with a short L-BFGS memory."
        ),
    }[forced]


def _sides_at(size: int, photo: Picture) -> tuple[int, int]:
    """Width and height of the photo at another size."""
    width, height = (max(1, round(side * size / max(photo.size))) for side in photo.size)
    return width, height


def _smaller(
    photo: Picture, settings: Settings, need: MemoryNeed, factor: float, room: float
) -> int:
    """The largest size that fits, if none was asked for; else `SettingsError`."""
    largest = int(max(photo.size) * factor) // 16 * 16
    smallest = SPECS["size"].minimum or 0
    # The short side may have been rounded up.
    while largest > 0 and math.prod(_sides_at(largest, photo)) > factor**2 * math.prod(photo.size):
        largest -= 16
    if settings.size is None and largest >= smallest:
        return largest
    remedy = (
        Sentence("try size={size}", size=largest)
        if largest >= smallest
        else Sentence("close other programs")
    )
    raise SettingsError(
        "size is {size}, which needs {need:.1f} GB of memory here, but {room:.1f} GB are free; "
        "{remedy}.",
        size=settings.size or DEFAULT_SIZE,
        need=need.total / 1e9,
        room=room / 1e9,
        remedy=remedy,
    )
