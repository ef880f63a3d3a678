"""The notebook for a course: `.ci/run` executes it; here it is looked at."""

from __future__ import annotations

import json

import pytest
from conftest import ROOT

CELLS = json.loads((ROOT / "docs" / "inside.ipynb").read_text())["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


@pytest.mark.parametrize("cell", CODE, ids=lambda cell: cell["id"])
def test_no_output_is_kept(cell):
    assert cell["outputs"] == []
    assert cell["execution_count"] is None
