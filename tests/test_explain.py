"""Explanations: what is said of the network and the losses is true, and the report holds it all."""

from __future__ import annotations

import base64
import html
import io
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import example
from PIL import Image

from nst_core import ImageError, Settings, SettingsError, StopToken
from nst_core.cli.main import main
from nst_core.engine.engine import KEPT_STEPS, Engine
from nst_core.engine.job import load_job
from nst_core.engine.objective import Objective
from nst_core.explain import explore, losses, maps, markup, panels, parts, report, sections
from nst_core.networks.extractor import Extractor
from nst_core.pictures import images
from nst_core.pictures.regions import as_styles
from nst_core.presets import PRESETS
from nst_core.sentence import Sentence

PHOTO, PAINTING = example("content/castle"), example("style/great-wave")
NO_WORDS = parts.Words(Sentence(""), Sentence(""), "")
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
    place, *others = maps.most_excited(found, layer, channel, photo.shape[1:3], 3)
    assert place.feature == found[..., channel].max() == found[place.row, place.column, channel]
    assert place.box == maps.receptive_field(layer, place.row, place.column, photo.shape[1:3])
    assert [one.feature for one in others] == sorted((one.feature for one in others), reverse=True)
    with pytest.raises(IndexError):
        maps.most_excited(found, layer, found.shape[-1], photo.shape[1:3])


def test_no_place_sees_the_middle_of_another():
    found = np.ones([40, 30, 1], np.float32)
    found[:, 20:] = 0  # silent there
    places = maps.most_excited(found, "block2_conv1", 0, (80, 60), 1000)
    reach = maps.NETWORK["block2_conv1"].halo / maps.NETWORK["block2_conv1"].stride
    assert len(places) > 10
    assert all(place.feature > 0 for place in places)
    for place, other in itertools.combinations(places, 2):
        assert max(abs(place.row - other.row), abs(place.column - other.column)) > reach


def test_a_silent_channel_has_one_place():
    assert (
        len(maps.most_excited(np.zeros([5, 5, 1], np.float32), "block1_conv1", 0, (5, 5), 4)) == 1
    )


@pytest.mark.parametrize("layer", ENDS)
def test_spans_are_the_receptive_fields(layer):
    size = 70, 50
    rows, columns = maps.spans(layer, size)
    for row, column in ((0, 0), (len(rows) // 2, len(columns) // 2), (-1, -1)):
        field = maps.receptive_field(layer, row % len(rows), column % len(columns), size)
        assert (rows[row].start, rows[row].end) == (field.top, field.bottom)
        assert (columns[column].start, columns[column].end) == (field.left, field.right)
    for spans, side in ((rows, 70), (columns, 50)):
        starts = [one.own for one in spans]
        assert starts[0] == 0
        assert starts == sorted(set(starts))
        assert side - maps.NETWORK[layer].stride <= starts[-1] < side
        assert all(one.start <= one.own < one.end for one in spans)


@pytest.mark.parametrize("layer", ENDS)
def test_peaks_are_the_strongest_places(layer):
    picture = images.load(PHOTO, 80)
    size = picture.rgb.shape[1:3]
    found = maps.features(picture.rgb, [layer])[layer]
    peaks = maps.peaks(picture)[layer]
    for channel in (0, found.shape[-1] // 2, found.shape[-1] - 1):
        (place,) = maps.most_excited(found, layer, channel, size)
        assert peaks.of(layer, channel, size) == place
    with pytest.raises(IndexError):
        peaks.of(layer, found.shape[-1], size)


def test_peaks_are_found_once_for_equal_pictures(monkeypatch):
    pixels = np.random.default_rng(3).integers(0, 256, [40, 48, 3], dtype=np.uint8)
    first = maps.peaks(images.load(pixels, 48))
    monkeypatch.setattr(maps, "features", None)
    assert maps.peaks(images.load(pixels.copy(), 48)) is first


# --- Explored by clicks -------------------------------------------------------------------------


def explored(unit: str, others=None, stop=None) -> list[parts.Section]:
    return list(explore.explore(PHOTO, explore.Unit.parse(unit), others or {}, stop))


def parts_of(section: parts.Section, kind: type) -> list:
    return [part for part in section.parts if isinstance(part, kind)]


def test_a_layer_shows_its_strongest_channels_and_where_they_are_excited():
    (section,) = explored("block4_conv1")
    (network,) = parts_of(section, parts.Network)
    assert network.chosen == "block4_conv1"
    strongest, crops = parts_of(section, parts.Grid)
    assert [one.is_chosen for one in strongest.figures] == [True] + [False] * (explore.MAPS - 1)
    units = [explore.Unit.parse(one.choice) for one in strongest.figures]
    assert {one.layer for one in units} == {"block4_conv1"}
    assert len({one.channel for one in units}) == explore.MAPS
    assert 1 <= len(crops.figures) <= explore.PLACES


@pytest.mark.parametrize("channel", [0, 511])
def test_any_channel_can_be_looked_at(channel):
    (section,) = explored(f"block5_conv3/{channel}")
    strongest, _ = parts_of(section, parts.Grid)
    (chosen,) = [one for one in strongest.figures if one.is_chosen]
    assert chosen.choice == f"block5_conv3/{channel}"


def test_the_examples_that_excite_a_channel_most_come_first():
    others = {name: example(f"content/{name}") for name in ("cat", "dog", "duck", "owl", "rocket")}
    unit = explore.Unit("block3_conv2", 40)
    last = list(explore.explore(PHOTO, unit, others))[-1]
    figures = parts_of(last, parts.Grid)[-1].figures
    strength = {}
    for name, file in others.items():
        picture = images.load(file, explore.SIZE)
        found = maps.features(picture.rgb, [unit.layer])[unit.layer]
        strength[name] = found[..., unit.channel].max()
    assert [one.caption for one in figures] == sorted(others, key=lambda name: -strength[name])


def test_exploring_ends_within_a_picture(monkeypatch):
    stop, looked_at = StopToken(), []
    peaks = maps.peaks

    def stopping(picture):
        looked_at.append(picture)
        stop.stop()
        return peaks(picture)

    monkeypatch.setattr(maps, "peaks", stopping)
    explored("block1_conv1", {"a": PHOTO, "b": PAINTING, "c": PHOTO}, stop)
    assert len(looked_at) == 1


@pytest.mark.parametrize("text", ["block1_conv2", "block1_conv2/0", "block5_conv3/511"])
def test_units_are_read_as_they_are_spelled(text):
    assert explore.Unit.parse(text).spell() == text


@pytest.mark.parametrize(
    "text",
    ["", "conv1", "block1_conv2/64", "block1_conv2/-1", "block1_conv2/x", "block1_conv2/²",
     "block1_conv2/" + 5000 * "1"],
)  # fmt: skip
def test_units_that_are_not_there_are_refused(text):
    with pytest.raises(SettingsError, match="must be"):
        explore.Unit.parse(text)


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
    found = losses.layer_losses(canvas, photo, painting, layers[:1], layers[1:])
    assert (set(found.content), set(found.style)) == ({"block1_conv1"}, {"block2_conv1"})
    found = losses.layer_losses(canvas, photo, painting, layers, layers)
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


def one_row(cells) -> panels.Panel:
    return panels.Panel(NO_WORDS, tuple(cells), len(cells))


def last_frames(cells, photo=PHOTO, painting=PAINTING):
    return {one.cell: one.frame for one in panels.paint(one_row(cells), photo, painting)}


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


@pytest.mark.parametrize(
    ("content", "style"), [("castle", "great-wave"), ("owl", "auvers"), ("cat", "summertime")]
)
def test_alpha_leads_from_the_paintings_colours_to_the_photo(content, style):
    """In the row of block 1, whose texts promise its colours."""
    files = example(f"content/{content}"), example(f"style/{style}")
    row = panels.PANELS["dials"].cells[: panels.PANELS["dials"].columns]
    last = last_frames(row, *files)
    photo, painting = (images.load(file, row[0].settings.size).rgb for file in files)
    colours = [texture_error(as_picture(last[cell]), painting, "block1_conv1") for cell in range(4)]
    kept = [relative_error(as_picture(last[cell]), photo, "block4_conv2") for cell in range(4)]
    assert colours[0] < colours[2] < colours[3]
    assert kept[0] > kept[2] > kept[3]
    assert colours[0] < texture_error(photo, painting, "block1_conv1") / 3
    assert kept[-1] < 0.5


@pytest.mark.parametrize("name", panels.PANELS)
def test_panels_fill_their_rows(name):
    panel = panels.PANELS[name]
    assert len(panel.cells) % panel.columns in (0, panel.columns - 1)


def test_steps_are_gone_through_from_the_same_start(short_panels):
    *_, last = sections.grow("optimizers", PHOTO, PAINTING)
    (steps,) = last.parts
    for _, pictures in steps.runs:
        assert len(pictures) == 3  # the start, and after each of two steps
        np.testing.assert_array_equal(pictures[0], steps.runs[0][1][0])
        assert (pictures[1] != pictures[2]).any()


def test_a_slider_moves_a_strip_of_all_steps():
    pictures = tuple(np.full([6, 9, 3], 60 * number, np.uint8) for number in range(4))
    section = parts.Section(NO_WORDS, (parts.Steps((("A", pictures), ("B", pictures[:3]))),))
    shown = markup.section_html(section)
    assert "max=3" in shown
    strips = [
        Image.open(io.BytesIO(base64.b64decode(data)))
        for data in re.findall(r"data:image/jpeg;base64,([^']*)", shown)
    ]
    assert [one.size for one in strips] == [(9, 24), (9, 18)]


def test_the_weights_that_are_told_are_those_of_the_curves(monkeypatch):
    """Times the loss of the table they are what the curves begin at."""
    monkeypatch.setattr(sections, "EXPLAINED", replace(sections.EXPLAINED, steps=2))
    *_, last = sections.grow("losses", PHOTO, PAINTING)
    (curves,), (table,) = (parts_of(last, kind) for kind in (parts.Curves, parts.Table))
    told = parts_of(last, parts.Paragraph)[0].text
    alpha = float(re.search("α is ([0-9.e-]+),", told)[1])
    start = {row[1]: float(row[2]) for row in table.rows}  # of content there is one row
    assert curves.terms["content"][0] == pytest.approx(alpha * start["content"], rel=0.1)


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0%"), (1e-9, "<1%"), (0.0049, "<1%"), (0.0051, "1%"), (1.0, "100%"), (1.07, "107%")],
)
def test_a_little_is_never_shown_as_nothing(share, shown):
    assert sections.in_percent(share) == shown


@pytest.mark.parametrize("losses_after", [[9e9, 3.1e7], [5.0, 2e-9], [7.0, 7.0], [1.0]])
def test_a_plot_ends_at_a_grid_line(losses_after):
    curves = parts.Curves({"total": losses_after})
    shown = markup.section_html(parts.Section(NO_WORDS, (curves,)))
    assert float(re.findall(r"y1='([\d.]+)'", shown)[0]) == 200  # where the axis of steps is
    (points,) = re.findall("points='([^']*)'", shown)
    heights = [float(point.partition(",")[2]) for point in points.split()]
    assert len(heights) == len(losses_after)
    assert all(0 <= height <= 200 for height in heights)


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
    assert all(re.match("data:image/(png|jpeg);base64,", source) for source in sources)
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


@pytest.mark.parametrize("last", [0, 1, 6, 60])
def test_a_plot_has_its_steps_below_and_a_name(last):
    terms = {"total": [10.0 ** (3 - step / 60) for step in range(last + 1)]}
    drawn = markup.section_html(
        parts.Section(sections.TOPICS["losses"].words, (parts.Curves(terms),))
    )
    assert ">0</text>" in drawn
    assert (">60</text>" in drawn) == (last == 60)
    assert f"{markup.PLOTTED}" in drawn


def test_terms_and_sources_beside_the_equations_are_said_in_the_readers_language():
    section = parts.Section(sections.TOPICS["losses"].words, (parts.Curves({"total": [1.0]}),))
    drawn = markup.section_html(section, lambda text: "!" if isinstance(text, Sentence) else text)
    assert "Gatys" not in drawn
    assert "<i>!</i>" in drawn


def test_a_stopped_report_leaves_nothing(tmp_path):
    stop = StopToken()
    assert report.write(PHOTO, PAINTING, tmp_path, stop, lambda _title: stop.stop()) is None
    assert not list(tmp_path.iterdir())


def test_what_panels_and_presets_compile_is_kept():
    """Or each would take away what another one has compiled."""
    painted = [cell.settings for panel in panels.PANELS.values() for cell in panel.cells]
    painted += [preset.settings for preset in PRESETS.values()]
    steps = {(Objective.of(one), one.precision, one.lbfgs_memory) for one in painted}
    assert 16 < len(steps) <= KEPT_STEPS
