"""The first image: a feed-forward stylizer, through TensorFlow Hub.

One pass through Magenta's arbitrary image stylization (Ghiasi et al. 2017, arXiv 1705.06830) gives
a picture in the painting's colours and strokes within a fraction of a second. It is a first look,
and a start for the optimisation, which paints its marks away: see `soften`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nst_core.lazy import tf

EMBEDDED_STYLIZER = Path(__file__).parent / "weights" / "preview"

# What the net sees, in pixels. The long side of the content: at 256 windows dissolve, at 1024 a
# grid shows in flat areas. The style: the geometric mean of its sides, as in the net's training.
CONTENT_SIDE = 640
STYLE_SIDE = 256

# Long side in pixels that `soften` shrinks the preview to, whatever the picture's size: masses and
# colours survive. Chosen by looking at the examples: at 96 px the astronaut loses her eyes, at 64
# they fade; at 40 she keeps them, and the castle's sky still takes the painting's colour.
COARSE_SIDE = 40


class PreviewError(ValueError):
    """A stylizer that cannot be used; the message names it, what was wrong and the remedy."""


def preview(content: np.ndarray, style: np.ndarray, handle: str | None) -> np.ndarray:
    """`content` in the style of `style`, both float32 RGB [1, H, W, 3] in [0, 1].

    Args:
        content: the photo, of any size.
        style: the painting, of any size.
        handle: a TF-Hub handle or a folder with a SavedModel that is called as
            `module(content, style)[0]`; None for the embedded one.

    Returns:
        The picture, float32 [1, H, W, 3] in [0, 1], of the content's size.

    Raises:
        PreviewError: the stylizer cannot be loaded, or does not work as described.
    """
    height, width = content.shape[1:3]
    small = _scaled(content, CONTENT_SIDE / max(height, width))
    painting = _scaled(style, STYLE_SIDE / np.sqrt(style.shape[1] * style.shape[2]))
    stylizer = load_stylizer(handle)
    try:
        picture = tf.convert_to_tensor(stylizer(small, painting)[0])
        picture = tf.ensure_shape(picture, small.shape)
    except Exception as error:  # TensorFlow raises whatever the module leads it to
        raise _preview_error(handle, "it cannot be called as module(content, style)[0]") from error
    return np.clip(_resized(picture, height, width).numpy(), 0.0, 1.0)


def soften(picture: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """A start for the optimisation: the preview's colours and masses, the photo's detail.

        low(preview) + photo - low(photo)

    The preview as it is leaves scratch marks in skies, and bands over faces, that a short
    optimisation does not paint away. All float32 [1, H, W, 3] in [0, 1].
    """
    return np.clip(_low(picture) + photo - _low(photo), 0.0, 1.0).astype(np.float32)


@functools.cache
def load_stylizer(handle: str | None) -> Callable[..., Any]:
    """The stylizer of `handle`, or the embedded one, once per process; or `PreviewError`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")  # says tensorflow_hub
        import tensorflow_hub as hub  # at first use, like TensorFlow

    try:
        return hub.load(str(EMBEDDED_STYLIZER) if handle is None else handle)
    except Exception as error:  # hub raises whatever the network and the bytes lead it to
        raise _preview_error(handle, "it is not a SavedModel that can be loaded") from error


def _preview_error(handle: str | None, reason: str) -> PreviewError:
    name = EMBEDDED_STYLIZER if handle is None else handle
    remedy = (
        "Restore nst_core/weights, for example with `git checkout -- nst_core/weights`."
        if handle is None
        else "Check the name and the network, or leave the setting empty for the embedded one."
    )
    return PreviewError(f"Stylizer {name}: {reason}. {remedy}")


def _low(image: np.ndarray) -> np.ndarray:
    """What is left of an image after shrinking it to `COARSE_SIDE` and enlarging it again."""
    height, width = image.shape[1:3]
    small = _scaled(image, min(1.0, COARSE_SIDE / max(height, width)))
    return _resized(small, height, width).numpy()


def _scaled(image: np.ndarray, factor: float) -> tf.Tensor:
    height, width = (max(2, round(side * factor)) for side in image.shape[1:3])
    return _resized(image, height, width)


def _resized(image: Any, height: int, width: int) -> tf.Tensor:
    return tf.image.resize(image, [height, width], method="bicubic", antialias=True)
