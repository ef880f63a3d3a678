"""The page's functions, and the running app through its own client."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import gradio as gr
import gradio_client
import numpy as np
import pytest
from conftest import example
from PIL import Image

import app
from nst_core import Settings, images
from nst_core.settings import DEFAULTS, SPECS, format_layers

CASTLE, WAVE = str(example("content/castle")), str(example("style/great-wave"))


# --- Derived from Settings ----------------------------------------------------------------------


def test_controls_and_settings_agree():
    controls = [app.make_control(name) for name in app.VISITOR_SETTINGS]
    assert app.settings_from(tuple(control.value for control in controls)) == Settings()


def test_visitors_cannot_name_files_of_this_machine():
    assert "weights" in SPECS
    assert "weights" not in app.VISITOR_SETTINGS


def test_the_endpoint_is_documented():
    page = app.make_page()
    endpoint = page.get_api_info()["named_endpoints"]
    assert list(endpoint) == ["/stylize"]
    parameters = {p["parameter_name"]: p for p in endpoint["/stylize"]["parameters"]}
    assert list(parameters) == ["content", "style", *app.VISITOR_SETTINGS]
    for name, parameter in parameters.items():
        assert parameter["parameter_has_default"] == (name not in ("content", "style")), name
    for name in app.VISITOR_SETTINGS:
        default = DEFAULTS[name]
        expected = format_layers(default) if isinstance(default, tuple) else default
        assert parameters[name]["parameter_default"] == expected
        assert SPECS[name].help in app.paint.__doc__
    assert len(endpoint["/stylize"]["returns"]) == 3


def test_every_example_has_its_source_and_every_pair_exists():
    for kind in ("content", "style"):
        files = {path.stem for path in (app.EXAMPLES / kind).iterdir()}
        assert files == set(app.NAMES[kind])
        assert len(files) == 20
        assert all(app.caption(kind, name) for name in files)
    assert len(app.PAIRS) >= 8
    assert ("castle", "great-wave") in app.PAIRS
    for content, style in app.PAIRS:
        assert Path(app.example_path("content", content)).is_file()
        assert Path(app.example_path("style", style)).is_file()
    assert all(row["licence"] and row["source"] for row in app.SOURCES.values())


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (7.2, "8 s"), (60, "1 min 0 s"), (125, "2 min 5 s")]
)
def test_seconds_in_words(seconds, text):
    assert app.seconds_text(seconds) == text


def test_plot_leaves_out_terms_of_zero():
    assert app.plot_data([]) is None
    table = app.plot_data([(1, "total", 1000.0), (1, "tv", 0.0)])
    assert table.to_dict("records") == [{"step": 1, "term": "total", "loss": pytest.approx(3)}]


# --- Uploads ------------------------------------------------------------------------------------


def test_an_upload_that_is_no_picture_is_taken_away(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(gr, "Warning", said.append)
    (tmp_path / "page.jpg").write_text("<html>")
    assert app.check_upload(str(tmp_path / "page.jpg")) is None
    assert "not a picture" in said[0]


def test_an_upload_that_browsers_cannot_show_is_shown_as_png(tmp_path):
    Image.new("RGB", (40, 30), (10, 200, 30)).save(tmp_path / "phone.heic", quality=95)
    shown = app.check_upload(str(tmp_path / "phone.heic"))
    with Image.open(shown) as image:
        assert (image.format, image.size) == ("PNG", (40, 30))


def test_other_uploads_stay_as_they_are():
    assert app.check_upload(CASTLE) == gr.skip()


# --- The generator ------------------------------------------------------------------------------


def values_of(**changed) -> list:
    plain = DEFAULTS | {"style_layers": format_layers(DEFAULTS["style_layers"])} | changed
    return [plain[name] for name in app.VISITOR_SETTINGS]


def test_the_first_thing_shown_is_the_photo():
    run = app.paint(CASTLE, WAVE, *values_of(size=96))
    picture, status, losses, painting = next(run)
    np.testing.assert_array_equal(picture, images.to_uint8(images.load(CASTLE, 96).rgb))
    assert status == app.ready_text()
    assert losses is None
    assert painting == gr.skip()
    run.close()


def test_the_last_thing_shown_is_a_png_of_the_last_frame():
    *_, (picture, status, losses, painting) = app.paint(CASTLE, WAVE, *values_of(size=96, steps=2))
    assert status.startswith("Done: 2 steps in ")
    assert Path(picture).name == "castle-great-wave.png"
    with Image.open(picture) as image:
        np.testing.assert_array_equal(np.asarray(image), painting.frame.image)
    assert set(losses["term"]) == {"total", "content", "style", "tv"}
    assert app.download_button(painting).value["path"] == picture


@pytest.mark.parametrize(
    ("content", "style", "changed", "message"),
    [
        (None, WAVE, {}, "Choose a photo first."),
        (CASTLE, None, {}, "Choose a painting first."),
        (CASTLE, WAVE, {"size": 7}, "size is 7, but it must be between 64 and 2048 px."),
        (CASTLE, WAVE, {"optimizer": "magic"}, "optimizer is 'magic'"),
        (CASTLE, WAVE, {"style_layers": "nonsense"}, "style_layers is 'nonsense'"),
        (CASTLE, __file__, {}, "is not a picture"),
    ],
)
def test_errors_are_one_plain_sentence(content, style, changed, message):
    shown = []
    with pytest.raises(gr.Error) as error:
        shown.extend(app.paint(content, style, *values_of(**changed)))
    assert message in error.value.message
    assert not error.value.print_exception
    # The status says it, too; picture, losses and the painting of the run before stay.
    assert shown == [(gr.skip(), error.value.message, gr.skip(), gr.skip())]


def painting_step(painting) -> int:
    """The step of a painting; 0 where the page keeps what it has."""
    return painting.frame.step if isinstance(painting, app.Painting) else 0


def test_stop_before_the_first_step_and_after():
    assert app.keep(None) == (gr.skip(), "Stopped before the first step.")
    run = app.paint(CASTLE, WAVE, *values_of(size=96, steps=50, frame_interval=0))
    painting = next(painting for *_, painting in run if painting_step(painting) == 2)
    run.close()
    path, text = app.keep(painting)
    assert text == "Stopped at step 2 of 50; the picture is kept."
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), painting.frame.image)


def test_stop_before_the_first_step_of_a_second_run_keeps_the_first_picture():
    *_, (path, _, _, painting) = app.paint(CASTLE, WAVE, *values_of(size=64, steps=1))
    assert app.keep(painting) == (path, "Stopped before the first step; the last picture is kept.")


def test_very_long_names_of_files_are_cut(tmp_path):
    name = tmp_path / ("x" * 200 + ".png")
    Image.new("RGB", (32, 32)).save(name)
    *_, (path, _, _, _) = app.paint(str(name), str(name), *values_of(size=64, steps=1))
    assert Path(path).name == "x" * 60 + "-" + "x" * 60 + ".png"


# --- The running app ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address():
    """The app, served on the loopback address."""
    page = app.make_page()
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **app.LAUNCH)
    yield url
    page.close()


@pytest.fixture
def client(address):
    client = gradio_client.Client(address, verbose=False)
    yield client
    client.close()


def test_a_client_sees_the_picture_change(client):
    job = client.submit(
        gradio_client.handle_file(CASTLE),
        gradio_client.handle_file(WAVE),
        size=96,
        steps=6,
        frame_interval=0,
        api_name="/stylize",
    )
    pictures, statuses = [], []
    for picture, status, _ in job:
        with Image.open(picture) as image:
            pictures.append(image.tobytes())
            assert image.size == (96, 64)
            last_format = image.format
        statuses.append(status)
    assert len(set(pictures)) >= 4
    assert last_format == "PNG"
    assert statuses[-1].startswith("Done: 6 steps")
    assert any("step 3 of 6" in status for status in statuses)


def test_defaults_may_be_left_out(client):
    result = client.predict(
        gradio_client.handle_file(CASTLE),
        gradio_client.handle_file(WAVE),
        size=64,
        steps=1,
        api_name="/stylize",
    )
    assert result[1].startswith("Done: 1 step in")


def test_cancelling_ends_the_work(client, steps_done):
    """A real client goes away; the steps stop, and the next run is not blocked."""
    pictures = gradio_client.handle_file(CASTLE), gradio_client.handle_file(WAVE)
    job = client.submit(*pictures, size=96, steps=5000, frame_interval=0, api_name="/stylize")
    wait_for(lambda: len(steps_done) >= 3)
    job.cancel()
    time.sleep(1.0)
    stopped_at = len(steps_done)
    time.sleep(1.5)
    assert len(steps_done) == stopped_at
    assert client.predict(*pictures, size=64, steps=1, api_name="/stylize")[1].startswith("Done")


def test_an_error_reaches_the_client_as_its_sentence(client, tmp_path):
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(Exception, match=r"'page\.jpg' is not a picture that can be read"):
        client.predict(
            gradio_client.handle_file(str(tmp_path / "page.jpg")),
            gradio_client.handle_file(WAVE),
            api_name="/stylize",
        )


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{threading.active_count()} threads"
        time.sleep(0.05)
