"""Finds faces and people in a photo, with two small embedded nets.

BlazeFace in its full-range version (Bazarevsky et al. 2019, "BlazeFace: Sub-millisecond Neural Face
Detection on Mobile GPUs", arXiv 1907.05047) and the selfie segmentation, both of MediaPipe; see
`nst_core/weights/build_people.py`.
"""

from __future__ import annotations

import functools
import threading
from typing import Any, NamedTuple

import numpy as np

from nst_core.errors import WeightsError
from nst_core.lazy import tf
from nst_core.networks import embedded
from nst_core.pictures.pyramid import resize

FACE_SIDE, CELLS = 192, 48  # px of what the face net sees, and its cells along a side
PERSON_SIDE = 256  # px of what the other net sees

MIN_SCORE = 0.6  # of 0 to 1, as in MediaPipe's own use of it
MAX_OVERLAP = 0.3  # of two boxes, the common area over that of both: beyond it they are one face

# Of the subject's mask: how much people count beside faces, and the least mean of their mask.
FIGURE, MIN_FIGURES = 0.65, 0.01

# The ellipse that a face is kept in, in sizes of its box, and where its soft edge ends.
WIDER, FADE = 1.1, 1.5


class Face(NamedTuple):
    """A face in a photo: an upright box from the brow to the chin, pixels."""

    left: float
    top: float
    right: float
    bottom: float


def find_faces(photo: np.ndarray) -> list[Face]:
    """The faces in a photo, surest first; from about 2 % of the long side on.

    Args:
        photo: float32 RGB [1, H, W, 3] in [0, 1].
    """
    scale = FACE_SIDE / max(photo.shape[1:3])
    height, width = (max(1, round(side * scale)) for side in photo.shape[1:3])
    top, left = (FACE_SIDE - height) // 2, (FACE_SIDE - width) // 2
    seen = np.zeros([1, FACE_SIDE, FACE_SIDE, 3], np.float32)  # grey around
    seen[:, top : top + height, left : left + width] = 2 * resize(photo, height, width) - 1
    boxes, logits = (found[0].numpy() for found in _net("faces")(seen))
    scores = 1 / (1 + np.exp(-np.clip(logits[:, 0], -80, 80)))
    likely = np.flatnonzero(scores >= MIN_SCORE)
    corners = _corners(boxes, likely)
    kept = tf.image.non_max_suppression(corners, scores[likely], len(likely), MAX_OVERLAP).numpy()
    y0, x0, y1, x1 = (corners[kept].T - np.array([[top], [left]] * 2)) / scale
    return [Face(*box) for box in zip(*(side.tolist() for side in (x0, y0, x1, y1)), strict=True)]


def find_subject(photo: np.ndarray) -> np.ndarray | None:
    """Whom a photo shows: a mask, float32 [1, H, W, 1]; None for nobody.

    1 on faces, `FIGURE` on the rest of people. The net for people takes an animal in front for one.
    """
    faces, figures = _face_mask(photo), find_people(photo)
    if figures.mean() < MIN_FIGURES:
        return faces
    return FIGURE * figures if faces is None else np.maximum(FIGURE * figures, faces)


def _face_mask(photo: np.ndarray) -> np.ndarray | None:
    faces = find_faces(photo)
    if not faces:
        return None
    y, x = (np.arange(side, dtype=np.float32) + 0.5 for side in photo.shape[1:3])
    masks = [_oval(face, y[:, np.newaxis], x) for face in faces]
    return np.max(masks, axis=0)[np.newaxis, ..., np.newaxis]


def _oval(face: Face, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """1 in the ellipse around a face's box, falling to 0 at `FADE` times its axes."""
    half_width, half_height = (face.right - face.left) / 2, (face.bottom - face.top) / 2
    away = np.hypot(
        (x - face.left - half_width) / (WIDER * half_width),
        (y - face.top - half_height) / (WIDER * half_height),
    )
    return np.clip((FADE - away) / (FADE - 1), 0, 1)


def _corners(boxes: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """Top, left, bottom and right of some cells' boxes in the pixels that the net sees, [F, 4].

    A box's centre is told from that of its cell on.
    """
    cell = FACE_SIDE / CELLS
    x = boxes[likely, 0] + (likely % CELLS + 0.5) * cell
    y = boxes[likely, 1] + (likely // CELLS + 0.5) * cell
    half_width, half_height = boxes[likely, 2] / 2, boxes[likely, 3] / 2
    return np.stack([y - half_height, x - half_width, y + half_height, x + half_width], axis=1)


def find_people(photo: np.ndarray) -> np.ndarray:
    """Where people are in a photo: a mask, float32 [1, H, W, 1] in [0, 1].

    For one or a few people who fill a good part of it; small ones in the distance are not found.

    Args:
        photo: float32 RGB [1, H, W, 3] in [0, 1].
    """
    (mask,) = _net("people")(resize(photo, PERSON_SIDE, PERSON_SIDE))
    return np.clip(resize(mask.numpy(), *photo.shape[1:3]), 0, 1)


_loading = threading.Lock()


def _net(name: str) -> Any:
    with _loading:
        return _loaded(name).__call__


@functools.cache
def _loaded(name: str) -> Any:
    if file := embedded.damaged(f"{name}/"):
        raise WeightsError(
            "{file} is not the file that was shipped. {remedy}", file=file, remedy=embedded.REMEDY
        )
    return tf.saved_model.load(str(embedded.FOLDER / name))
