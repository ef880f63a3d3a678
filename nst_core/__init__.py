"""Neural style transfer: paint a photo in the style of a painting.

    from nst_core import Settings, stylize

    frame = stylize("photo.jpg", "painting.jpg", Settings(size=512))
    frame.to_pil().save("result.png")

`stream` is the same as a generator of frames, an `Easel` can be stopped and gone on with, an
`Engine` does single steps, `origins` tells where each place of a picture comes from, and a `Film`
paints clips. Importing
this package is cheap: TensorFlow is imported when the first picture is painted.
"""

from nst_core.engine.easel import Easel, origins, stream, stylize
from nst_core.engine.engine import Engine
from nst_core.engine.frame import Frame
from nst_core.engine.origins import Origin, Origins
from nst_core.engine.plan import Plan
from nst_core.errors import (
    ClipError,
    DivergenceError,
    FilmError,
    ImageError,
    NSTError,
    OutOfMemoryError,
    PreviewError,
    SettingsError,
    WeightsError,
)
from nst_core.films.painter import Film, FilmFrame
from nst_core.pictures.regions import Style
from nst_core.settings import Settings
from nst_core.stop import StopToken
from nst_core.version import __version__

__all__ = [
    "ClipError",
    "DivergenceError",
    "Easel",
    "Engine",
    "Film",
    "FilmError",
    "FilmFrame",
    "Frame",
    "ImageError",
    "NSTError",
    "Origin",
    "Origins",
    "OutOfMemoryError",
    "Plan",
    "PreviewError",
    "Settings",
    "SettingsError",
    "StopToken",
    "Style",
    "WeightsError",
    "__version__",
    "origins",
    "stream",
    "stylize",
]
