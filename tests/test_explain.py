"""Explanations: what is said of the network and the losses is true, and the report holds it all."""

from __future__ import annotations

import base64
import html
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import example
from PIL import Image

from nst_core import ImageError, Settings, StopToken
from nst_core.cli.main import main
from nst_core.engine.engine import Engine
from nst_core.engine.job import load_job
from nst_core.engine.objective import Objective
from nst_core.explain import losses, maps, panels, report, sections
from nst_core.networks.extractor import Extractor
from nst_core.pictures import images
from nst_core.pictures.regions import as_styles
from nst_core.sentence import Sentence

PHOTO, PAINTING = example("content/castle"), example("style/great-wave")
NO_WORDS = panels.Words(Sentence(""), Sentence(""), "")
ENDS = ("block1_conv1", "block2_conv2", "block4_conv3", "block5_conv3")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return images.load(PHOTO, 96).rgb


# --- The network --------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ENDS)
def test_a_position_sees_its_receptive_field_and_nothing_else(layer, photo, rng):
    found = maps.features(photo, [layer])[layer]
    row, column = found.shape[0] // 2, found.shape[1] // 2
    field = maps.receptive_field(layer, row, column, photo.shape[1:3])
    inside = np.zeros(photo.shape[1:3], bool)
    inside[field.top : field.bottom, field.left : field.right] = True
    other = rng.random(photo.shape, dtype=np.float32)
    elsewhere = np.where(inside[..., np.newaxis], photo, other)
    within = np.where(inside[..., np.newaxis], other, photo)
    before = found[row, column]
    # A field that reaches the border also sees the border's mirror image, which is in the field.
    np.testing.assert_allclose(
        maps.features(elsewhere, [layer])[layer][row, column], before, atol=1e-3 * before.max()
    )
    assert abs(maps.features(within, [layer])[layer][row, column] - before).max() > 0.1


@pytest.mark.parametrize("layer", ENDS)
def test_receptive_fields_cover_the_picture_to_its_last_pixel(layer, photo):
    height, width = photo.shape[1:3]
    found = maps.features(photo, [layer])[layer]
    first = maps.receptive_field(layer, 0, 0, (height, width))
    last = maps.receptive_field(layer, found.shape[0] - 1, found.shape[1] - 1, (height, width))
    assert (first.top, first.left) == (0, 0)
    assert (last.bottom, last.right) == (height, width)


def test_features_are_the_networks_own_without_its_padding(photo):
    layer = "block2_conv1"
    found = maps.features(photo, [layer])[layer]
    whole = Extractor((layer,))(photo)[layer].numpy()[0]
    np.testing.assert_array_equal(found, whole[4:-4, 4:-4])


def test_the_strongest_channels_come_first(rng):
    found = rng.random([5, 4, 7], dtype=np.float32)
    found[..., 3] += 2
    found[..., 5] = 0
    means = found.mean(axis=(0, 1))
    strongest = maps.strongest(found, 7)
    assert [one.channel for one in strongest] == sorted(range(7), key=lambda c: -means[c])
    assert strongest[0].values.max() == 1
    assert strongest[-1].image.max() == 0  # a silent channel is black, and no division by nothing


def test_what_excites_a_channel_most_is_its_largest_feature(photo):
    layer, channel = "block3_conv1", 7
    found = maps.features(photo, [layer])[layer]
    place = maps.most_excited(found, layer, channel, photo.shape[1:3])
    assert place.feature == found[..., channel].max() == found[place.row, place.column, channel]
    assert place.box == maps.receptive_field(layer, place.row, place.column, photo.shape[1:3])
    with pytest.raises(IndexError):
        maps.most_excited(found, layer, found.shape[-1], photo.shape[1:3])


# --- The losses ---------------------------------------------------------------------------------


def test_the_parts_of_the_gradient_add_up_to_it(photo, rng):
    settings = Settings(style_loss="gram", size=96, subject=False, precision="float32")
    canvas = rng.random(photo.shape, dtype=np.float32)
    parts = dict(losses.gradients(canvas, PHOTO, PAINTING, settings))
    assert set(parts) == {"content", "style", "tv"}
    job, _ = load_job(PHOTO, as_styles(PAINTING), settings, None, Objective.of(settings))
    engine = Engine(settings)
    whole = engine.start(canvas, engine.problem(job.photo.rgb, job.layout)).gradient.numpy()[0]
    np.testing.assert_allclose(
        np.sum(list(parts.values()), axis=0), whole, atol=1e-4 * abs(whole).max()
    )


def test_a_term_without_weight_wants_nothing(photo):
    settings = Settings(style_loss="gram", size=96, subject=False, tv_weight=0, content_weight=0)
    assert set(dict(losses.gradients(photo, PHOTO, PAINTING, settings))) == {"style"}


def test_layer_losses_are_the_papers(photo, rng):
    painting = images.load(PAINTING, 80).rgb
    canvas = rng.random(photo.shape, dtype=np.float32)
    layers = ("block1_conv1", "block2_conv1")
    found = losses.layer_losses(canvas, photo, painting, layers)
    for layer in layers:
        own, kept, painted = (
            Extractor((layer,))(one)[layer].numpy().reshape(-1, {"1": 64, "2": 128}[layer[5]])
            for one in (canvas, photo, painting)
        )
        assert found.content[layer] == pytest.approx(((own - kept) ** 2).sum() / 2, rel=1e-4)
        gram, wanted = (one.T @ one / len(one) for one in (own, painted))
        expected = ((gram - wanted) ** 2).sum() / (4 * own.shape[1] ** 2)
        assert found.style[layer] == pytest.approx(expected, rel=1e-4)


def test_a_wish_is_grey_where_nothing_is_to_change_and_light_where_lighter():
    gradient = np.zeros([4, 5, 3], np.float32)
    gradient[0, 0], gradient[1, 1] = -2, 2
    picture = losses.wish(gradient)
    assert picture[2, 2].tolist() == [128] * 3
    assert picture[0, 0].tolist() == [255] * 3
    assert picture[1, 1].tolist() == [0] * 3
    assert (losses.wish(np.zeros([2, 2, 3], np.float32)) == 128).all()


# --- Panels -------------------------------------------------------------------------------------


def last_frames(cells):
    panel = panels.Panel(NO_WORDS, tuple(cells), 1)
    return {moment.cell: moment.frame for moment in panels.paint(panel, PHOTO, PAINTING)}


def relative_error(picture: np.ndarray, photo: np.ndarray, layer: str) -> float:
    """|F - P| / |P| of a layer's features, both pictures float32 [1, H, W, 3] in [0, 1]."""
    found, wanted = (Extractor((layer,))(one)[layer].numpy() for one in (picture, photo))
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def texture_error(picture: np.ndarray, painting: np.ndarray, layer: str) -> float:
    """|G - A| / |A| of a layer's Gram matrices per position, pictures of any size."""

    def gram(one: np.ndarray) -> np.ndarray:
        found = Extractor((layer,))(one)[layer].numpy()
        flat = found.reshape(-1, found.shape[-1])
        return flat.T @ flat / len(flat)

    wanted = gram(painting)
    return float(np.linalg.norm(gram(picture) - wanted) / np.linalg.norm(wanted))


def as_picture(frame) -> np.ndarray:
    return frame.image[np.newaxis].astype(np.float32) / 255


@pytest.mark.parametrize(("block", "least"), [(1, 0.05), (2, 0.05)])
def test_shallow_layers_rebuild_the_photo(block, least):
    cell = panels.PANELS["content"].cells[block - 1]
    frame = last_frames([cell])[0]
    shown = images.load(PHOTO, panels.SIZE).rgb
    assert relative_error(as_picture(frame), shown, cell.label) < least


@pytest.mark.parametrize("last", [1, 3])
def test_textures_have_the_paintings_statistics(last):
    cell = panels.PANELS["style"].cells[last - 1]
    frame = last_frames([cell])[0]
    painting = images.load(PAINTING, panels.SIZE).rgb
    for layer in losses.blocks_up_to(last):
        assert texture_error(as_picture(frame), painting, layer) < 0.05


def test_the_pictures_of_a_panel_grow_together():
    cells = panels.PANELS["optimizers"].cells
    panel = panels.Panel(NO_WORDS, cells, 1)
    order = [
        moment.cell
        for moment, _ in zip(panels.paint(panel, PHOTO, PAINTING), range(9), strict=False)
    ]
    assert order == [0, 1, 2] * 3


def test_a_panel_ends_within_a_step(steps_done):
    stop = StopToken()
    panel = panels.PANELS["optimizers"]
    for count, _ in enumerate(panels.paint(panel, PHOTO, PAINTING, stop)):
        if count == 7:
            stop.stop()
            before = len(steps_done)
    assert len(steps_done) == before


@pytest.mark.parametrize("name", panels.PANELS)
def test_panels_fill_their_rows(name):
    panel = panels.PANELS[name]
    assert len(panel.cells) % panel.columns in (0, panel.columns - 1)


# --- The report ---------------------------------------------------------------------------------


@pytest.fixture
def short_panels(monkeypatch):
    """Two runs of each panel, in two steps at 64 px."""

    def short(settings):
        return replace(settings, size=64, steps=2)

    for name, panel in panels.PANELS.items():
        cells = tuple(replace(cell, settings=short(cell.settings)) for cell in panel.cells[:2])
        less = replace(panel, cells=cells)
        monkeypatch.setitem(panels.PANELS, name, less)
        monkeypatch.setitem(sections.TOPICS, name, sections.topic_of(less))
    monkeypatch.setattr(sections, "EXPLAINED", replace(sections.EXPLAINED, steps=2))


def test_the_report_is_one_file_with_all_pictures_inside(tmp_path, short_panels, capsys):
    assert main(["explain", str(PHOTO), str(PAINTING), "-o", str(tmp_path / "r")]) == 0
    assert [file.name for file in (tmp_path / "r").iterdir()] == ["index.html"]
    text = (tmp_path / "r" / "index.html").read_text()
    assert capsys.readouterr().out.strip().endswith("index.html")
    sources = re.findall(r"(?:src|href)='([^']*)'", text)
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in text
    cells = sum(len(panel.cells) for panel in panels.PANELS.values())
    assert len(sources) > cells + 5 * sections.MAPS
    for source in sources:
        Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).verify()
    for topic in sections.TOPICS.values():
        assert html.escape(topic.words.title) in text
    assert text.count("<polyline") == len(losses.TERMS)


def test_a_report_that_is_there_is_not_replaced(tmp_path, capsys):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(SystemExit) as ended:
        main(["explain", str(PHOTO), str(PAINTING), "-o", str(tmp_path)])
    assert ended.value.code == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "mine"


def test_a_broken_picture_costs_no_time_and_leaves_nothing(tmp_path, steps_done):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with pytest.raises(ImageError):
        report.write(broken, PAINTING, tmp_path / "r")
    assert not steps_done
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("name", sections.TOPICS)
def test_every_section_grows_and_ends_when_it_is_told_to(name, short_panels):
    grown = list(sections.grow(name, PHOTO, PAINTING))
    assert grown[-1].parts
    assert grown[-1].words.source
    assert 1 <= len(re.findall(r"[.!?](?:\s|$)", grown[-1].words.text)) <= 3
    stop = StopToken()
    stop.stop()
    assert len(list(sections.grow(name, PHOTO, PAINTING, stop))) <= 1


def test_a_stopped_report_leaves_nothing(tmp_path):
    stop = StopToken()
    assert report.write(PHOTO, PAINTING, tmp_path, stop, lambda _title: stop.stop()) is None
    assert not list(tmp_path.iterdir())
