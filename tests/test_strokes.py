"""Where strokes come from, as the page shows it."""

from __future__ import annotations

import numpy as np

from nst_core import Origins
from page import strokes

NAN = np.float32(np.nan)


def test_the_data_tell_cell_by_cell_where_each_comes_from():
    origins = Origins(
        painting=np.array([[0, 1, -1]], np.int32),
        row=np.array([[0.25, 1, NAN]], np.float32),
        column=np.array([[0.5, 0.0004, NAN]], np.float32),
        distance=np.zeros([1, 3], np.float32),
        cell=(4.0, 4.0),
        sizes=((40, 80), (2, 16)),
    )
    assert strokes.as_data(origins) == {
        "height": 1,
        "width": 3,
        "painting": [0, 1, -1],
        "row": [250, 1000, 0],
        "column": [500, 0, 0],
        "patches": [[0.1, 0.05], [1.0, 0.25]],  # no larger than the painting
    }
