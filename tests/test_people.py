"""Faces and people: found where they are, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import ROOT

from nst_core import Settings, stylize
from nst_core.networks.people import FIGURE, find_faces, find_people, find_subject
from nst_core.pictures import images

CONTENT = ROOT / "examples" / "content"
EYES = (204, 101), (247, 103)  # of the astronaut at 512 px, x and y, found by eye


@pytest.fixture(scope="module")
def astronaut():
    return images.load(CONTENT / "astronaut.jpg", 512).rgb


def holds(face, x, y):
    return face.left < x < face.right and face.top < y < face.bottom


def test_a_face_is_found_with_its_eyes(astronaut):
    (face,) = find_faces(astronaut)
    assert all(holds(face, *eye) for eye in EYES)
    assert 80 < face.right - face.left < 140
    assert 80 < face.bottom - face.top < 140


@pytest.mark.parametrize("size", [64, 200, 1000])
def test_at_any_size(size):
    photo = images.load(CONTENT / "astronaut.jpg", size, enlarge=True).rgb
    (face,) = find_faces(photo)
    assert all(holds(face, x * size / 512, y * size / 512) for x, y in EYES)


def test_in_wide_and_tall_photos_and_more_than_one(astronaut):
    """Beside and above each other, so that the picture is filled up at different sides."""
    for axis, moved in ((2, (512, 0)), (1, (0, 512))):
        faces = find_faces(np.concatenate([astronaut, astronaut[:, :, ::-1]], axis=axis))
        assert len(faces) == 2
        eyes = EYES[0], (511 - EYES[0][0] + moved[0], EYES[0][1] + moved[1])
        assert all(any(holds(face, *eye) for face in faces) for eye in eyes)


@pytest.mark.parametrize("name", ["castle", "cat", "dog", "owl", "horses", "petra", "coffee"])
def test_no_face_in_things_and_animals(name):
    assert find_faces(images.load(CONTENT / f"{name}.jpg", 512).rgb) == []


@pytest.mark.parametrize("shape", [(64, 64), (16, 4096), (300, 3)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_no_face_in_plain_pictures(shape, value):
    assert find_faces(np.full([1, *shape, 3], value, np.float32)) == []


def test_people_are_told_from_what_is_behind_them(astronaut):
    mask = find_people(astronaut)[0, ..., 0]
    assert mask.shape == (512, 512)
    assert mask[112, 223] > 0.9  # the face
    assert mask[400, 150] > 0.9  # the suit
    assert mask[40, 330] < 0.1  # the wall
    assert mask[60, 30] < 0.3  # the flag
    assert 0 <= mask.min() <= mask.max() <= 1


def test_the_subject_is_the_face_most_and_the_rest_of_a_person_less(astronaut):
    mask = find_subject(astronaut)[0, ..., 0]
    assert mask[112, 223] == 1  # the face
    assert mask[400, 150] == pytest.approx(FIGURE, rel=0.1)  # the suit
    assert mask[40, 330] < 0.03  # the wall


@pytest.mark.parametrize("name", ["dog", "owl", "cat"])
def test_an_animal_in_front_is_the_subject(name):
    mask = find_subject(images.load(CONTENT / f"{name}.jpg", 512).rgb)
    assert mask.max() == pytest.approx(FIGURE, rel=0.1)


@pytest.mark.parametrize("name", ["hawa-mahal", "eiffel-tower", "colosseum"])
def test_a_photo_of_nobody_has_no_subject(name):
    assert find_subject(images.load(CONTENT / f"{name}.jpg", 512).rgb) is None


def test_a_face_is_kept_nearer_to_the_photo(astronaut):
    """After the same steps, in the face and not elsewhere."""
    settings = Settings(size=256, steps=24, frame_interval=3600)
    painting = ROOT / "examples" / "style" / "auvers.jpg"
    photo = images.load(CONTENT / "astronaut.jpg", 256).rgb[0] @ np.float32([0.299, 0.587, 0.114])

    def likeness(subject: bool, rows: slice, columns: slice) -> float:
        changed = Settings.from_dict(settings.to_dict() | {"subject": subject})
        image = stylize(CONTENT / "astronaut.jpg", painting, changed).image.mean(axis=-1)
        return float(np.corrcoef(image[rows, columns].ravel(), photo[rows, columns].ravel())[0, 1])

    face = slice(36, 84), slice(88, 136)
    assert likeness(True, *face) > likeness(False, *face) + 0.02
