"""Neural style transfer: paint a photo in the style of a painting.

    from nst_core import Settings, stylize

    frame = stylize("photo.jpg", "painting.jpg", Settings(size=512))
    frame.to_pil().save("result.png")

`stream` is the same as a generator of frames, and an `Easel` can be stopped and gone on with.
Importing this package is cheap: TensorFlow is imported when the first picture is painted.
"""

from nst_core.features import WeightsError
from nst_core.images import ImageError
from nst_core.preview import PreviewError
from nst_core.regions import Style
from nst_core.settings import Settings, SettingsError
from nst_core.transfer import DivergenceError, Easel, Frame, stream, stylize

__version__ = "0.1.0"

__all__ = [
    "DivergenceError",
    "Easel",
    "Frame",
    "ImageError",
    "PreviewError",
    "Settings",
    "SettingsError",
    "Style",
    "WeightsError",
    "stream",
    "stylize",
]
