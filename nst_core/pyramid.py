"""One picture at several sizes: shrinking, enlarging, giving detail back, and moving all at once.

Pictures are float32 RGB [1, H, W, 3], in [0, 1] if nothing else is said.
"""

from __future__ import annotations

import numpy as np

from nst_core.lazy import tf


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """`image` at another size, bicubic, with antialiasing where it shrinks; same size: itself."""
    if image.shape[1:3] == (height, width):
        return image
    return np.clip(_resized(image, height, width), 0.0, 1.0)


def add_detail(coarse: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """`coarse` enlarged to the photo's size, with the detail that only the photo's size can show.

        up(coarse) + photo - up(down(photo))

    The two pyramid levels of Burt and Adelson (1983, "The Laplacian Pyramid as a Compact Image
    Code"), the lower one painted and the upper one the photo's. The optimisation of a larger
    scale starts from this: from the plain enlargement it would spend its first steps on finding
    the photo's edges again. At the same size, `coarse` itself.
    """
    height, width = photo.shape[1:3]
    if coarse.shape == photo.shape:
        return coarse
    low = _resized(_resized(photo, *coarse.shape[1:3]), height, width)
    return np.clip(_resized(coarse, height, width) + photo - low, 0.0, 1.0)


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return tf.image.resize(image, [height, width], method="bicubic", antialias=True).numpy()


# Halving by the binomial filter, as in Burt and Adelson's pyramid, for each colour by itself.
_BINOMIAL = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
_HALVING = np.float32(_BINOMIAL[:, :, np.newaxis, np.newaxis] * np.eye(3))


def over_scales(image: tf.Tensor, levels: int) -> tf.Tensor:
    """`image`, of any range, and its `levels` halvings, each brought back to full size, added up.

        P = I + 4 D^T P' D,   D halving, P' the same for one level less

    As a linear map it is symmetric and positive definite, D^T being the exact adjoint of D: so it
    can stand in for an inverse Hessian. It makes much of what is large in the picture.
    """
    if levels == 0:
        return image
    half = over_scales(tf.nn.conv2d(image, _HALVING, 2, "SAME"), levels - 1)
    return image + 4 * tf.nn.conv2d_transpose(half, _HALVING, tf.shape(image), 2, "SAME")
