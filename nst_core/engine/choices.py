"""The choices behind the settings that are names: each field's table, and the check against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nst_core.colors import COLOR_MODES
from nst_core.engine.device import PRECISION_CHOICES
from nst_core.losses import STYLE_LOSSES
from nst_core.networks import NETWORKS
from nst_core.networks.network import POOLINGS
from nst_core.optimizers import OPTIMIZERS
from nst_core.optimizers.optimizer import MEMORIES
from nst_core.settings import DEFAULTS, Settings, one_of, unwanted
from nst_core.starts import INITS

# Field of `Settings` -> the table that holds its choices. Layers are those of the default network.
CHOICES: dict[str, Mapping[str, Any]] = {
    "init": INITS,
    "optimizer": OPTIMIZERS,
    "lbfgs_memory": {"auto": None, **MEMORIES},
    "style_loss": STYLE_LOSSES,
    "network": NETWORKS,
    "pooling": POOLINGS,
    "precision": PRECISION_CHOICES,
    "color": COLOR_MODES,
    "content_layer": dict.fromkeys(NETWORKS[DEFAULTS["network"]].names),
    "style_layers": dict.fromkeys(NETWORKS[DEFAULTS["network"]].names),
}


def check_choices(settings: Settings) -> None:
    """Raise `SettingsError` for a name that its table, or the network, does not hold."""
    tables = dict(CHOICES)
    if settings.network in NETWORKS:
        layers = dict.fromkeys(NETWORKS[settings.network].names)
        tables |= {"content_layer": layers, "style_layers": layers}
    for field, table in tables.items():
        value = getattr(settings, field)
        for name in [value] if isinstance(value, str) else dict(value or ()):
            if name not in table:
                raise unwanted(field, name, one_of(table))
