"""The start that the feed-forward stylizer gives: the painting's colours from the first moment."""

from __future__ import annotations

import numpy as np

from nst_core.networks.stylizer import preview
from nst_core.pictures.pyramid import add_detail, resize
from nst_core.pictures.regions import Layout
from nst_core.starts.start import Request, Start

# Long side in pixels that the preview is shrunk to for a start, whatever the picture's size: its
# large shapes and colours survive; its scratch marks in skies and its bands over faces, which a
# short optimisation does not paint away, do not. Chosen by looking at the examples: at 96 px the
# astronaut loses her eyes, at 64 they fade; at 40 she keeps them, and the castle's sky still
# takes the painting's colour.
SHRUNK_SIDE = 40


def preview_start(request: Request) -> Start:
    """The stylizer's large shapes, mixed like the paintings, and the photo's detail."""
    photo = request.photo.rgb
    picture = preview_of(photo, request.layout, request.settings.stylizer)
    small = resize(photo, request.height, request.width)
    factor = min(1.0, SHRUNK_SIDE / max(request.height, request.width))
    shrunk = resize(picture, *(max(2, round(side * factor)) for side in small.shape[1:3]))
    return Start(add_detail(shrunk, small), picture)


def preview_of(photo: np.ndarray, layout: Layout, handle: str | None) -> np.ndarray:
    """Each region's preview where its mask is; where there is none, the photo."""
    picture = photo
    for region in layout.regions:
        paintings = [(painting.rgb, share) for painting, share in region.paintings]
        part = preview(photo, paintings, handle)
        picture = part if region.mask is None else picture + region.mask * (part - photo)
    return picture
