"""Every setting of a run: its default, unit, range and explanation, once.

The command line's flags, the page's controls, the API's parameters and the record in the result
are all derived from `Settings`. Names that are looked up in a table (`optimizer`, `pooling`, ...)
are checked where the table is: `engine.choices.CHOICES` joins those tables. Standard library only.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import reprlib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nst_core.errors import SettingsError
from nst_core.sentence import Sentence

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


# Long side in px of a picture whose size was left open; less where memory is short.
DEFAULT_SIZE = 512


class OnResume(enum.Enum):
    """What a change of a setting means for a picture that is gone on with."""

    FREE = "the optimizer's memory stays true"
    OBJECTIVE = "another objective: the optimizer's memory is dropped"
    FIXED = "cannot change any more"


@dataclass(frozen=True)
class Spec:
    """What a screen or a command line needs to know of a field besides its type and default."""

    label: str
    help: str
    on_resume: OnResume
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None  # of a slider; without one the number is typed
    unit: str = ""
    usual: float | None = None  # what an empty field comes to, for a control that cannot be empty
    local: bool = False  # of this machine, its files or its memory: not for strangers on a web page


def _setting(default: Any, label: str, help: str, on_resume: OnResume, **rest: Any) -> Any:
    spec = Spec(label, help, on_resume, **rest)
    return dataclasses.field(default=default, metadata={"spec": spec})


FREE, OBJECTIVE, FIXED = OnResume.FREE, OnResume.OBJECTIVE, OnResume.FIXED


@dataclass(frozen=True)
class Settings:
    """All choices of one run. Wrong types and values out of range raise `SettingsError`.

    Symbols in the explanations are those of Gatys, Ecker and Bethge (2015), as in `losses/`.
    """

    size: int | None = _setting(
        None,
        "Size",
        "Long side of the result; a smaller photo is not enlarged. Empty means "
        f"{DEFAULT_SIZE}, or less where memory is short",
        FIXED,
        usual=DEFAULT_SIZE,
        minimum=64,
        maximum=4096,
        step=64,
        unit="px",
    )
    steps: int = _setting(
        60, "Steps", "Steps of the optimizer; more is finer", FREE, minimum=1, maximum=5000
    )
    time_budget: float | None = _setting(
        None,
        "Time budget",
        "Paint for so long, from the start on, instead of a number of steps; empty means the steps",
        FREE,
        minimum=1,
        maximum=86400,
        unit="s",
    )
    seed: int = _setting(
        0,
        "Seed",
        "Seed of the noise start; no other start uses it",
        FIXED,
        minimum=0,
        maximum=2**31 - 1,
    )
    init: str = _setting("preview", "Start", "The picture before the first step", FIXED)
    optimizer: str = _setting(
        "lbfgs", "Optimizer", "How a step follows from the gradient", OBJECTIVE
    )
    lbfgs_memory: str = _setting(
        "auto",
        "L-BFGS memory",
        "How many curvature pairs L-BFGS remembers; auto takes the short one for very large "
        "pictures and where memory is short",
        OBJECTIVE,
        local=True,
    )
    learning_rate: float | None = _setting(
        None,
        "Learning rate",
        "Step size; empty means the optimizer's own",
        FREE,
        minimum=0,
        maximum=1e3,
    )
    strength: float = _setting(
        0.5,
        "Style strength",
        "0: close to the photo; 1: as painted as it gets",
        OBJECTIVE,
        minimum=0,
        maximum=1,
        step=0.05,
    )
    style_scale: float = _setting(
        1.0,
        "Style scale",
        "Size of the brush strokes, relative to the picture",
        OBJECTIVE,
        minimum=0.25,
        maximum=2,
        step=0.05,
    )
    color: str = _setting(
        "painting",
        "Colours",
        "painting: the painting's colours; oklab: those, laid where the photo has its own; "
        "luminance: the photo's colours in the picture's light and dark; both also after the run; "
        "linear, histogram: the painting recoloured to the photo's "
        "palette first",
        OBJECTIVE,
    )
    feather: float = _setting(
        1.0,
        "Soft edges",
        "How far the edges of masks are blurred, in percent of the long side",
        OBJECTIVE,
        minimum=0,
        maximum=10,
        step=0.5,
        unit="%",
    )
    subject: bool = _setting(
        True,
        "Keep faces, people and animals",
        "Whoever is in the photo is painted more faithfully than the rest",
        OBJECTIVE,
    )
    content_weight: float = _setting(
        7e-4,
        "Content weight",
        "How strictly the photo is kept (alpha)",
        OBJECTIVE,
        minimum=0,
        maximum=1e3,
    )
    style_weight: float = _setting(
        1.0,
        "Style weight",
        "How strictly the painting is followed (beta)",
        OBJECTIVE,
        minimum=0,
        maximum=1e6,
    )
    edge_weight: float | None = _setting(
        None,
        "Edge weight",
        "How strictly the photo's edges are kept; empty means the style loss's own: 1 with nearest "
        "features, 0 with others",
        OBJECTIVE,
        minimum=0,
        maximum=1e3,
    )
    gram_weight: float | None = _setting(
        None,
        "Gram weight",
        "How strictly the painting's averages, its Gram matrices, are followed beside the style "
        "loss, while the picture is still small; empty means the style loss's own: 1 with nearest "
        "features, 0 with others",
        OBJECTIVE,
        minimum=0,
        maximum=1e3,
    )
    tv_weight: float = _setting(
        100.0,
        "Smoothness",
        "How much the picture is smoothed: 100 calms flat areas, 1000 smooths all (gamma, the "
        "weight of the total variation)",
        OBJECTIVE,
        minimum=0,
        maximum=1e9,
    )
    content_layer: str = _setting(
        "block4_conv2",
        "Content layer",
        "Layer whose features of picture and photo are compared",
        OBJECTIVE,
    )
    style_layers: StyleLayers | None = _setting(
        None,
        "Style layers",
        "Layers whose features of picture and painting are compared, each with its weight, like "
        "'block1_conv1=0.2, block2_conv1=0.1', or a name: "
        + ", ".join(BRUSHWORK)
        + "; empty means the style loss's own",
        OBJECTIVE,
    )
    style_loss: str = _setting(
        "nearest",
        "Style loss",
        "nearest: every place looks like some place of the painting; gram: its averages, as "
        "published; wasserstein: mean and covariance",
        OBJECTIVE,
    )
    pooling: str = _setting(
        "max", "Pooling", "What the network keeps of each 2 x 2 block", OBJECTIVE
    )
    precision: str = _setting(
        "auto",
        "Precision",
        "Number format of the activations; auto takes the faster on this machine, by a short trial",
        OBJECTIVE,
    )
    enlarge: bool = _setting(
        False, "Enlarge", "Enlarge a photo that is smaller than the size", FIXED
    )
    tile: int | None = _setting(
        None,
        "Tile",
        "Paint in tiles of this side, without halo: the same gradient in less memory; empty means "
        "for very large pictures and where memory is short",
        FREE,
        minimum=128,
        maximum=4096,
        unit="px",
        local=True,
    )
    frame_interval: float = _setting(
        0.25,
        "Frame interval",
        "Shortest time between two pictures on the way, shown or filmed; 0 shows every step",
        FREE,
        minimum=0,
        maximum=3600,
        unit="s",
    )
    stylizer: str | None = _setting(
        None,
        "Stylizer",
        "Another feed-forward net for the preview, a TF-Hub handle or a SavedModel's folder; "
        "empty means the embedded one",
        FIXED,
        local=True,
    )
    network: str = _setting(
        "vgg16",
        "Network",
        "Whose features are compared; vgg19, that of Gatys et al. (2015), needs a weights file",
        OBJECTIVE,
        local=True,
    )
    weights: str | None = _setting(
        None,
        "Network weights",
        "A Keras weights file of the network without its top; empty means VGG-16's embedded one",
        OBJECTIVE,
        local=True,
    )

    def __post_init__(self) -> None:
        for name, spec in SPECS.items():
            value = getattr(self, name)
            if value is None and is_optional(name):
                continue
            value = _CONVERTERS[kind_of(name)](name, value)
            _check_range(name, value, spec)
            object.__setattr__(self, name, value)

    def changed(self, other: Settings, kind: OnResume) -> tuple[str, ...]:
        """The fields of this kind in which `other` differs."""
        return tuple(
            name
            for name, spec in SPECS.items()
            if spec.on_resume is kind and getattr(self, name) != getattr(other, name)
        )

    def resumed_with(self, other: Settings) -> Settings:
        """`other`, but with these settings where they cannot change any more."""
        return dataclasses.replace(
            other, **{name: getattr(self, name) for name in self.changed(other, FIXED)}
        )

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values that JSON can hold."""
        layers = None if self.style_layers is None else dict(self.style_layers)
        return dataclasses.asdict(self) | {"style_layers": layers}

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
    kind = kind_of(name)
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


def kind_of(name: str) -> Any:
    """The field's type without the `| None`."""
    if is_optional(name):
        return next(t for t in typing.get_args(TYPES[name]) if t is not types.NoneType)
    return TYPES[name]


def _unknown(names: list[str]) -> SettingsError:
    return SettingsError(
        "Unknown setting: {names}. Known are: {known}.",
        names=", ".join(names),
        known=", ".join(sorted(SPECS)),
    )


_SHORT = reprlib.Repr()  # whoever sends a million letters gets some of them back
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxtuple = _SHORT.maxlist = 13


def unwanted(name: str, value: Any, wanted: Sentence) -> SettingsError:
    """The error to raise for a value: what arrived, in short, and what is `wanted`."""
    return SettingsError(
        "{setting} is {value}, but it must be {wanted}.",
        setting=name,
        value=_SHORT.repr(value),
        wanted=wanted,
    )


def one_of(names: Iterable[str]) -> Sentence:
    """What is wanted where only these names are known."""
    return Sentence("one of: {names}", names=", ".join(sorted(names)))


def _check_range(name: str, value: Any, spec: Spec) -> None:
    if spec.minimum is None or spec.maximum is None:
        return
    if not spec.minimum <= value <= spec.maximum:
        unit = f" {spec.unit}" if spec.unit else ""
        wanted = Sentence(
            "between {least:g} and {most:g}{unit}",
            least=spec.minimum,
            most=spec.maximum,
            unit=unit,
        )
        raise unwanted(name, value, wanted)


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise unwanted(name, value, _WANTED[kind_of(name)])
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
_WANTED: dict[Any, Sentence] = {
    int: Sentence("a whole number"),
    float: Sentence("a finite number"),
    str: Sentence("a text"),
    bool: Sentence("true or false"),
    StyleLayers: Sentence(
        "one or more different layers with weights of 0 or more, "
        "like block1_conv1=0.2, block2_conv1=0.2, or one of: {names}",
        names=", ".join(BRUSHWORK),
    ),
}
