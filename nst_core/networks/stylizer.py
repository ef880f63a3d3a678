"""The feed-forward stylizer, through TensorFlow Hub: a preview in a fraction of a second.

One pass through Magenta's arbitrary image stylization (Ghiasi et al. 2017, arXiv 1705.06830) gives
a picture in the painting's colours and strokes within a fraction of a second. It is a first look,
and a start for the optimisation.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from cachetools import LRUCache, cached

from nst_core.errors import PreviewError
from nst_core.lazy import tf
from nst_core.networks import embedded
from nst_core.pictures.images import checksum
from nst_core.pictures.pyramid import resize
from nst_core.sentence import Sentence

EMBEDDED_STYLIZER = embedded.FOLDER / "preview"

# What the net sees, in pixels. The long side of the content: at 256 windows dissolve, at 1024 a
# grid shows in flat areas. The style: the geometric mean of its sides, as in the net's training.
CONTENT_SIDE = 640
STYLE_SIDE = 256

KEPT_VECTORS = 64  # of paintings, the last ones; some 400 B each


Styles = Sequence[tuple[np.ndarray, float]]


def preview(content: np.ndarray, paintings: Styles, handle: str | None) -> np.ndarray:
    """`content` in the mixed style of `paintings`; pictures are float32 RGB [1, H, W, 3] in [0, 1].

    A stylizer that has its halves `predict` and `transform`, like the embedded one, mixes the
    styles' vectors (Ghiasi et al. 2017, section 3.6); of another, the pictures are mixed.

    Args:
        content: the photo, of any size.
        paintings: with their shares, which sum to 1; of any size.
        handle: a TF-Hub handle or a folder with a SavedModel that is called as
            `module(content, style)[0]`; None for the embedded one.

    Returns:
        The picture, float32 [1, H, W, 3] in [0, 1], of the content's size.

    Raises:
        PreviewError: the stylizer cannot be loaded, or does not work as described.
        MemoryError, or TensorFlow's errors for it: there is not enough memory.
    """
    height, width = content.shape[1:3]
    small = _scaled(content, CONTENT_SIDE / max(height, width))
    styles = [(_style_sized(rgb), share) for rgb, share in paintings]
    stylizer = load_stylizer(handle)
    has_halves = hasattr(stylizer, "predict") and hasattr(stylizer, "transform")
    try:
        if has_halves:
            mixed = stylizer.transform(small, _mixed_vector(handle, styles))  # type: ignore[attr-defined]
        else:
            mixed = _mixed_pictures(stylizer, small, styles)
        picture = tf.ensure_shape(mixed, small.shape).numpy()
    except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.AbortedError):
        raise  # the machine's fault and not the stylizer's
    except Exception as error:  # TensorFlow raises whatever the module leads it to
        reason = Sentence("it cannot be called as module(content, style)[0]")
        raise _preview_error(handle, reason) from error
    return resize(np.clip(picture, 0.0, 1.0), height, width)


def style_vector(painting: np.ndarray) -> np.ndarray:
    """What the embedded stylizer knows of a painting, float32 [1, 1, 1, 100].

    Args:
        painting: float32 RGB [1, H, W, 3] in [0, 1], of any size.
    """
    return np.asarray(load_stylizer(None).predict(_style_sized(painting)))  # type: ignore[attr-defined]


def look(content: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """A picture in the style of a vector, at once and of its own size; like `content`.

    Args:
        content: float32 RGB [1, H, W, 3] in [0, 1].
        vector: of `style_vector`.
    """
    picture = load_stylizer(None).transform(content, vector)  # type: ignore[attr-defined]
    return np.clip(picture, 0.0, 1.0)


def _style_sized(painting: np.ndarray) -> np.ndarray:
    return _scaled(painting, STYLE_SIDE / np.sqrt(painting.shape[1] * painting.shape[2]))


def _mixed_vector(handle: str | None, styles: Styles) -> tf.Tensor:
    return tf.add_n([share * kept_vector(handle, style) for style, share in styles])


def _key(handle: str | None, style: np.ndarray) -> tuple[str | None, str]:
    return handle, checksum(style)


@cached(LRUCache(KEPT_VECTORS), _key, threading.Lock())
def kept_vector(handle: str | None, style: np.ndarray) -> tf.Tensor:
    """What a stylizer knows of a painting, which a film asks for at each frame."""
    return load_stylizer(handle).predict(style)  # type: ignore[attr-defined]


def _mixed_pictures(stylizer: Any, content: np.ndarray, styles: Styles) -> tf.Tensor:
    pictures = [tf.convert_to_tensor(stylizer(content, style)[0]) for style, _ in styles]
    return tf.add_n([share * p for p, (_, share) in zip(pictures, styles, strict=True)])


_loading = threading.Lock()  # two first users must not load the same net twice


def load_stylizer(handle: str | None) -> Callable[..., Any]:
    """The stylizer of `handle`, or the embedded one, loaded once per process.

    Raises `PreviewError` when it cannot be loaded.
    """
    with _loading:
        return _load_stylizer(handle)


@functools.cache
def _load_stylizer(handle: str | None) -> Callable[..., Any]:
    if handle is None and (file := embedded.damaged("preview/")):
        reason = Sentence("{file} is not the file that was shipped", file=file.name)
        raise _preview_error(handle, reason)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")  # says tensorflow_hub
        import tensorflow_hub as hub  # at first use, like TensorFlow

    try:
        return hub.load(str(EMBEDDED_STYLIZER) if handle is None else handle)
    except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.AbortedError):
        raise
    except Exception as error:  # hub raises whatever the network and the bytes lead it to
        reason = Sentence("it is not a SavedModel that can be loaded")
        raise _preview_error(handle, reason) from error


def _preview_error(handle: str | None, reason: Sentence) -> PreviewError:
    name = EMBEDDED_STYLIZER if handle is None else handle
    remedy = (
        embedded.REMEDY
        if handle is None
        else Sentence(
            "Check the name and the network, or leave the setting empty for the embedded one."
        )
    )
    return PreviewError(
        "Stylizer {name}: {reason}. {remedy}", name=name, reason=reason, remedy=remedy
    )


def _scaled(image: np.ndarray, factor: float) -> np.ndarray:
    height, width = (max(2, round(side * factor)) for side in image.shape[1:3])
    return resize(image, height, width)
