"""Errors: one base for all, beside the built-in class that callers may know."""

from __future__ import annotations

import inspect

import pytest

from nst_core import NSTError, errors

BUILT_IN = {
    "SettingsError": ValueError,
    "ImageError": ValueError,
    "WeightsError": ValueError,
    "PreviewError": ValueError,
    "FilmError": ValueError,
    "ClipError": ValueError,
    "BatchError": ValueError,
    "OutOfMemoryError": MemoryError,
    "DivergenceError": ArithmeticError,
}


def error_classes() -> dict[str, type]:
    return {
        name: found
        for name, found in vars(errors).items()
        if inspect.isclass(found) and found.__module__ == errors.__name__
    }


def test_every_error_is_listed_here():
    assert set(error_classes()) == {"NSTError", *BUILT_IN}


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_error_has_the_common_base_and_a_built_in_one(name):
    found = error_classes()[name]
    assert issubclass(found, NSTError)
    assert issubclass(found, BUILT_IN[name])
    assert found.__doc__


def test_the_last_good_frame_is_in_the_error_of_a_run_that_diverged():
    frame = object()
    error = errors.DivergenceError("Step 3 gave NaN.", frame)
    assert (str(error), error.frame) == ("Step 3 gave NaN.", frame)
