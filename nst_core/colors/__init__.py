"""Whose colours a picture has: the painting's, or in one of three ways the photo's, or both.

To add a mode, write it in a file of its own and enter it here.
"""

from nst_core.colors.luminance import LUMINANCE
from nst_core.colors.mode import ColorMode
from nst_core.colors.oklab import OKLAB
from nst_core.colors.palette import HISTOGRAM, LINEAR
from nst_core.settings import one_of, unwanted

COLOR_MODES: dict[str, ColorMode] = {
    "painting": ColorMode("The painting's"),
    "oklab": OKLAB,
    "luminance": LUMINANCE,
    "linear": LINEAR,
    "histogram": HISTOGRAM,
}


def color_mode(name: str) -> ColorMode:
    """The mode of this name, or a `SettingsError` with the known ones."""
    try:
        return COLOR_MODES[name]
    except (KeyError, TypeError):
        raise unwanted("color", name, one_of(COLOR_MODES)) from None
