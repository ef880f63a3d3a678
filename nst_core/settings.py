"""Every setting of a run: its default, unit, range and explanation, once.

The command line's flags, the page's controls, the API's parameters and the record in the result
are all derived from `Settings`. Names that are looked up in a table (`optimizer`, `pooling`, ...)
are checked where the table is: `transfer.CHOICES` joins those tables. Standard library only.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

StyleLayers = tuple[tuple[str, float], ...]


def _first_of_each_block(*weights: float) -> StyleLayers:
    return tuple((f"block{block}_conv1", weight) for block, weight in enumerate(weights, start=1))


# Weights under names that say what one sees. "balanced" is inverse to each layer's number of
# channels; the paper has 1/5 for all, which lets block3 and block4 rule. docs/choices.md tells what
# that looks like, and how the others were chosen.
BRUSHWORK: dict[str, StyleLayers] = {
    "fine texture": _first_of_each_block(1.0, 0.5, 0.05, 0.0, 0.0),
    "balanced": _first_of_each_block(0.5, 0.25, 0.125, 0.0625, 0.0625),
    "bold shapes": _first_of_each_block(0.05, 0.05, 0.125, 0.25, 1.0),
}


class SettingsError(ValueError):
    """A setting that cannot be used; the message says what arrived and what is accepted."""


@dataclass(frozen=True)
class Spec:
    """What a screen or a command line needs to know of a field besides its type and default."""

    label: str
    help: str
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None  # of a slider; without one the number is typed
    unit: str = ""
    local: bool = False  # of this machine, its files or its memory: not for strangers on a web page


def _setting(default: Any, label: str, help: str, **rest: Any) -> Any:
    return dataclasses.field(default=default, metadata={"spec": Spec(label, help, **rest)})


@dataclass(frozen=True)
class Settings:
    """All choices of one run. Wrong types and values out of range raise `SettingsError`.

    Symbols in the explanations are those of Gatys, Ecker and Bethge (2015), as in `losses.py`.
    """

    size: int = _setting(
        512,
        "Size",
        "Long side of the result; a smaller photo is not enlarged",
        minimum=64,
        maximum=4096,
        step=64,
        unit="px",
    )
    steps: int = _setting(
        60, "Steps", "Steps of the optimizer; more is finer", minimum=1, maximum=5000
    )
    time_budget: float | None = _setting(
        None,
        "Time budget",
        "Paint for so long instead of a number of steps; empty means the steps",
        minimum=1,
        maximum=86400,
        unit="s",
    )
    seed: int = _setting(
        0, "Seed", "The random numbers of the noise start", minimum=0, maximum=2**31 - 1
    )
    init: str = _setting("preview", "Start", "The picture before the first step")
    optimizer: str = _setting("lbfgs", "Optimizer", "How a step follows from the gradient")
    learning_rate: float | None = _setting(
        None,
        "Learning rate",
        "Step size; empty means the optimizer's own",
        minimum=0,
        maximum=1e3,
    )
    strength: float = _setting(
        0.5,
        "Style strength",
        "From a hint of the painting (0) to all style (1); 0.5 leaves the weights as they are",
        minimum=0,
        maximum=1,
        step=0.05,
    )
    style_scale: float = _setting(
        1.0,
        "Style scale",
        "Size of the brush strokes, relative to the picture",
        minimum=0.25,
        maximum=2,
        step=0.05,
    )
    color: str = _setting(
        "painting",
        "Colours",
        "Whose colours the picture has; the painting's and the photo's also after the run",
    )
    feather: float = _setting(
        1.0,
        "Soft edges",
        "How far the edges of masks are blurred, in percent of the long side",
        minimum=0,
        maximum=10,
        step=0.5,
        unit="%",
    )
    content_weight: float = _setting(
        7e-4, "Content weight", "alpha: how strictly the photo is kept", minimum=0, maximum=1e3
    )
    style_weight: float = _setting(
        1.0, "Style weight", "beta: how strictly the painting is followed", minimum=0, maximum=1e6
    )
    tv_weight: float = _setting(
        100.0,
        "Smoothness",
        "gamma: weight of the total variation; 100 calms flat areas, 1000 smooths all",
        minimum=0,
        maximum=1e9,
    )
    content_layer: str = _setting(
        "block4_conv2", "Content layer", "Layer of VGG-16 that compares picture and photo"
    )
    style_layers: StyleLayers = _setting(
        BRUSHWORK["balanced"],
        "Style layers",
        "Layers of VGG-16 that compare picture and painting, each with its weight, or a name: "
        + ", ".join(BRUSHWORK),
    )
    pooling: str = _setting("max", "Pooling", "What VGG-16 keeps of each 2 x 2 block")
    precision: str = _setting(
        "auto",
        "Precision",
        "Numbers of VGG-16's activations; auto takes the faster on this machine, by a short trial",
    )
    enlarge: bool = _setting(False, "Enlarge", "Enlarge a photo that is smaller than the size")
    tile: int | None = _setting(
        None,
        "Tile",
        "Paint in tiles of so many pixels a side, the same picture in less memory; empty means "
        "where it would otherwise be too much",
        minimum=128,
        maximum=4096,
        unit="px",
        local=True,
    )
    frame_interval: float = _setting(
        0.25,
        "Frame interval",
        "Shortest time between two pictures shown on the way; 0 shows every step",
        minimum=0,
        maximum=3600,
        unit="s",
    )
    stylizer: str | None = _setting(
        None,
        "Stylizer",
        "Another feed-forward net for the preview, a TF-Hub handle or a SavedModel's folder; "
        "empty means the embedded one",
        local=True,
    )
    weights: str | None = _setting(
        None,
        "VGG-16 weights",
        "Another Keras weights file of VGG-16 without its top; empty means the embedded one",
        local=True,
    )

    def __post_init__(self) -> None:
        for name, spec in SPECS.items():
            value = getattr(self, name)
            if value is None and is_optional(name):
                continue
            value = _CONVERTERS[_kind(name)](name, value)
            _check_range(name, value, spec)
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values that JSON can hold."""
        return dataclasses.asdict(self) | {"style_layers": dict(self.style_layers)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """The opposite of `to_dict`; an unknown name raises `SettingsError`."""
        unknown = sorted(set(values) - set(SPECS))
        if unknown:
            raise _unknown(unknown)
        return cls(**values)


SPECS: dict[str, Spec] = {
    field.name: field.metadata["spec"] for field in dataclasses.fields(Settings)
}
DEFAULTS: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(Settings)}
TYPES: dict[str, Any] = typing.get_type_hints(Settings)


def is_optional(name: str) -> bool:
    """Whether the field may be empty (None)."""
    return types.NoneType in typing.get_args(TYPES[name])


def parse(name: str, text: str) -> Any:
    """The value of field `name` that `text` spells, as the command line and the page get it.

    `style_layers` is spelled `block1_conv1=0.2, block2_conv1`, where a layer alone has weight 1, or
    as a name of `BRUSHWORK`; yes and no are `true` and `false`; an empty text is None where the
    field may be empty. Raises `SettingsError` when the text spells no such value, or there is no
    such field.
    """
    if name not in SPECS:
        raise _unknown([name])
    text = text.strip()
    if not text and is_optional(name):
        return None
    kind = _kind(name)
    try:
        return _PARSERS[kind](text)
    except (ValueError, KeyError):
        raise unwanted(name, text, _WANTED[kind]) from None


def spell(value: Any) -> str:
    """The text that `parse` reads as this value of a field."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        names = [name for name, layers in BRUSHWORK.items() if layers == value]
        if names:
            return names[0]
        return ", ".join(f"{layer}={weight:g}" for layer, weight in value)
    return str(value).removesuffix(".0")


def _parse_layers(text: str) -> StyleLayers:
    return BRUSHWORK[text] if text in BRUSHWORK else tuple(map(_parse_layer, text.split(",")))


def _parse_layer(text: str) -> tuple[str, float]:
    layer, equals, weight = text.partition("=")
    (name,) = layer.split()  # one word
    return name, float(weight) if equals else 1.0


_PARSERS: dict[Any, Callable[[str], Any]] = {
    int: int,
    float: float,
    str: str,
    bool: {"true": True, "false": False}.__getitem__,
    StyleLayers: _parse_layers,
}


def _kind(name: str) -> Any:
    """The field's type without the `| None`."""
    if is_optional(name):
        return next(t for t in typing.get_args(TYPES[name]) if t is not types.NoneType)
    return TYPES[name]


def _unknown(names: list[str]) -> SettingsError:
    return SettingsError(
        f"Unknown setting: {', '.join(names)}. Known are: {', '.join(sorted(SPECS))}."
    )


_SHORT = reprlib.Repr()  # whoever sends a million letters gets some of them back
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxtuple = _SHORT.maxlist = 13


def unwanted(name: str, value: Any, wanted: str) -> SettingsError:
    """The error to raise for a value: what arrived, in short, and what is `wanted`."""
    return SettingsError(f"{name} is {_SHORT.repr(value)}, but it must be {wanted}.")


def _check_range(name: str, value: Any, spec: Spec) -> None:
    if spec.minimum is None or spec.maximum is None:
        return
    if not spec.minimum <= value <= spec.maximum:
        unit = f" {spec.unit}" if spec.unit else ""
        raise unwanted(name, value, f"between {spec.minimum:g} and {spec.maximum:g}{unit}")


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise unwanted(name, value, _WANTED[_kind(name)])
    return number


def _to_int(name: str, value: Any) -> int:
    number = _number(name, value)
    if number != int(number):
        raise unwanted(name, value, _WANTED[int])
    return int(number)


def _to_str(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise unwanted(name, value, _WANTED[str])
    return value


def _to_bool(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise unwanted(name, value, _WANTED[bool])
    return value


def _to_layers(name: str, value: Any) -> StyleLayers:
    if isinstance(value, str) and value in BRUSHWORK:
        return BRUSHWORK[value]
    pairs = value.items() if isinstance(value, Mapping) else value
    try:
        layers = tuple((str(layer), _number(name, weight)) for layer, weight in pairs)
    except (TypeError, ValueError):
        raise unwanted(name, value, _WANTED[StyleLayers]) from None
    if not layers or len(dict(layers)) < len(layers) or min(w for _, w in layers) < 0:
        raise unwanted(name, value, _WANTED[StyleLayers])
    return layers


_CONVERTERS: dict[Any, Callable[[str, Any], Any]] = {
    int: _to_int,
    float: _number,
    str: _to_str,
    bool: _to_bool,
    StyleLayers: _to_layers,
}
_WANTED: dict[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    bool: "true or false",
    StyleLayers: "one or more different layers with weights of 0 or more, "
    "like block1_conv1=0.2, block2_conv1=0.2, or one of: " + ", ".join(BRUSHWORK),
}
