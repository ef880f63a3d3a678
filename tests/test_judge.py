"""The two numbers that judge a picture: where they must be at their ends."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.judge import edge_correlation, patch_distance


def test_edges_of_the_same_picture_agree_and_those_of_noise_do_not(castle, rng):
    noise = rng.integers(0, 256, castle.shape, np.uint8)
    assert edge_correlation(castle, castle) == pytest.approx(1)
    assert abs(edge_correlation(noise, castle)) < 0.2
    tinted = (castle * np.array([0.9, 0.7, 0.5])).astype(np.uint8)
    assert edge_correlation(tinted, castle) > 0.9
    mirrored = castle[:, ::-1]
    assert edge_correlation(mirrored, castle) < 0.5


def test_patches_of_the_painting_itself_are_near_and_those_of_other_colours_far(great_wave):
    own = patch_distance(great_wave, great_wave)
    assert own == pytest.approx(0, abs=1e-5)
    assert patch_distance(great_wave[::-1], great_wave) > own
    inverted = patch_distance(255 - great_wave, great_wave)
    assert inverted > 1.5 * patch_distance(great_wave[:, ::-1], great_wave)
