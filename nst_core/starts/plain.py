"""Starts that need no network: the photo, white noise, grey, and a picture of the caller's own."""

from __future__ import annotations

import numpy as np

from nst_core.pictures.pyramid import resize
from nst_core.starts.start import Request, Start


def photo_start(request: Request) -> Start:
    """The photo itself."""
    return own_start(request, request.photo.rgb)


def noise_start(request: Request) -> Start:
    """Gatys' start: white noise."""
    rng = np.random.default_rng(request.settings.seed)
    noise = rng.random([1, request.height, request.width, 3], dtype=np.float32)
    return Start(noise, resize(noise, *request.photo.rgb.shape[1:3]))


def grey_start(request: Request) -> Start:
    """The course paper's start: a blank canvas."""
    return own_start(request, np.full_like(request.photo.rgb, 0.5))


def own_start(request: Request, picture: np.ndarray) -> Start:
    """Any picture, float32 [1, H, W, 3] in [0, 1], of the photo's size."""
    return Start(resize(picture, request.height, request.width), picture)
