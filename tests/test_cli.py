"""The command line in a process of its own: outcome, progress, errors, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, example, take_interrupts
from PIL import Image

from nst_core import Settings, Style, recipe, stylize
from nst_core.cli.main import main
from nst_core.engine import memory
from nst_core.engine import plan as plan_module
from nst_core.engine import run as run_module
from nst_core.engine.objective import Objective
from nst_core.engine.plan import Choice, needed
from nst_core.settings import BRUSHWORK, SPECS
from nst_core.starts import INITS

CASTLE, WAVE = str(example("content/castle")), str(example("style/great-wave"))

# The losses look at the first layer alone, so that a step takes no time.
SHALLOW = Settings(
    style_loss="gram",
    size=64,
    init="content",
    precision="float32",
    content_layer="block1_conv1",
    style_layers={"block1_conv1": 1.0},
)
FIRST_LAYER = ["--content-layer", "block1_conv1", "--style-layers", "block1_conv1"]
FLAGS = ["--size", "64", "--init", "content", "--precision", "float32", *FIRST_LAYER]
FLAGS += ["--style-loss", "gram"]


def reopened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def pixels(path: Path) -> np.ndarray:
    return np.asarray(reopened(path))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nst_core", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def paint(out: Path, *flags: object, photo: object = CASTLE, painting: object = WAVE) -> int:
    """The command line in this process."""
    return main([str(photo), str(painting), "-o", str(out), *map(str, flags)])


def test_paints_a_picture_and_says_so_in_json(tmp_path):
    """In a process of its own, and the same bytes as here."""
    out = tmp_path / "out.png"
    # A precision by name: two processes that try it out may come to different ends.
    flags = ["--size", 64, "--steps", 2, "--seed", 5, "--precision", "float32", "--json"]
    done = run(CASTLE, WAVE, "-o", out, *flags)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert set(outcome) == {
        "output",
        "width",
        "height",
        "steps",
        "seconds",
        "losses",
        "settings",
    }
    assert outcome["output"] == str(out)
    assert (outcome["width"], outcome["height"], outcome["steps"]) == (64, 43, 2)
    assert outcome["seconds"] > 0
    settings = Settings(size=64, steps=2, seed=5, precision="float32")
    assert Settings.from_dict(outcome["settings"]) == settings
    expected = stylize(CASTLE, WAVE, settings)
    np.testing.assert_array_equal(pixels(out), expected.image)
    assert recipe.read(out) == replace(recipe.make(CASTLE, WAVE, settings), plan=expected.plan)
    assert "2/2" in done.stderr  # the progress bar
    assert "cuda" not in done.stderr.lower()
    # Nothing but the bar: no greetings of TensorFlow.
    assert all("step" in line for line in done.stderr.strip().splitlines()), done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.jpg", WAVE], "no picture file 'absent.jpg'"),
        ([CASTLE, str(ROOT / "README.md")], "'README.md' is not a picture"),
        ([CASTLE, WAVE, "--size", "7"], "size is 7, but it must be between 64 and 4096 px"),
        ([CASTLE, WAVE, "--size", "big"], "size is 'big', but it must be a whole number"),
        ([CASTLE, WAVE, "--steps", "nan"], "steps is 'nan'"),
        ([CASTLE, WAVE, "--learning-rate", "nan"], "learning_rate is nan"),
        ([CASTLE, WAVE, "--optimizer", "magic"], "one of: adam, gradient_descent, lbfgs"),
        ([CASTLE, WAVE, "--style-layers", "block9_conv1=1"], "style_layers is 'block9_conv1'"),
        ([CASTLE, WAVE, "--magic"], "unrecognized arguments: --magic"),
        ([CASTLE], "required: STYLE"),
        ([CASTLE, WAVE, "--weights", "absent.h5"], "VGG-16 weights absent.h5"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, "-o", str(tmp_path / "out.png")])
    printed = capsys.readouterr()
    assert exit_.value.code == 2
    assert printed.out == ""
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_bad_input_in_a_process_has_exit_code_2_and_no_traceback(tmp_path):
    done = run(CASTLE, WAVE, "-o", tmp_path / "out.png", "--size", "big")
    assert done.returncode == 2
    assert done.stderr.startswith("python -m nst_core: error: argument --size: size is 'big'")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("out.xyz", "its ending must be one of"),
        ("there.png", "exists; give another name, or --force"),
        ("folder.png", "is a folder"),
        ("no/such/folder/out.png", "does not exist or cannot be written"),
    ],
)
def test_an_output_that_cannot_be_written_is_told_before_the_work(
    output, message, tmp_path, capsys
):
    (tmp_path / "there.png").write_bytes(b"old")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SystemExit) as exit_:
        main([CASTLE, WAVE, "-o", str(tmp_path / output)])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "there.png").read_bytes() == b"old"


def test_force_replaces(tmp_path, capsys):
    out = tmp_path / "there.png"
    out.write_bytes(b"old")
    assert paint(out, "--force", "--steps", 1, *FLAGS) == 0
    assert reopened(out).size == (64, 43)
    assert [path.name for path in tmp_path.iterdir()] == ["there.png"]


def test_a_film_shows_every_frame_of_the_run(tmp_path):
    film = tmp_path / "run.webp"
    flags = ["--steps", 3, "--frame-interval", 0, "--film", film]
    assert paint(tmp_path / "out.png", *FLAGS, *flags) == 0
    with Image.open(film) as image:
        assert (image.size, image.n_frames) == ((64, 43), 4)  # the first look and three steps


def test_a_film_that_cannot_be_written_is_told_before_the_work(tmp_path, capsys):
    (tmp_path / "old.mp4").write_bytes(b"old")
    for name, message in (("run.avi", "its ending must be one of"), ("old.mp4", "exists")):
        with pytest.raises(SystemExit):
            main([CASTLE, WAVE, "-o", str(tmp_path / "out.png"), "--film", str(tmp_path / name)])
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]


def test_a_film_has_another_name_than_the_picture(tmp_path, capsys):
    out = str(tmp_path / "out.webp")
    with pytest.raises(SystemExit, match="2"):
        main([CASTLE, WAVE, "-o", out, "--film", out])
    assert "--film has the name of the picture" in capsys.readouterr().err


def test_steps_that_are_asked_for_overrule_a_presets_time(tmp_path):
    out = tmp_path / "out.png"
    assert paint(out, "--preset", "sketch", "--steps", 2, *FLAGS) == 0
    assert recipe.read(out).plan.steps == 2
    assert recipe.read(out).settings.time_budget is None


def test_every_setting_has_a_flag(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    for name in SPECS:
        assert "--" + name.replace("_", "-") in text


def test_help_does_not_wait_for_tensorflow():
    code = "import sys, nst_core.cli.main as m; m.make_parser(); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False", done


# --- Several paintings, masks -------------------------------------------------------------------

QUICK = ["--size", "96", "--steps", "2", "--precision", "float32", "--style-loss", "gram"]


def test_paintings_are_mixed_and_masked_and_the_recipe_restores_it(tmp_path):
    mask = np.zeros([64, 96], np.uint8)
    mask[:, :48] = 255
    Image.fromarray(mask).save(tmp_path / "left.png")
    Image.fromarray(mask[::-1, ::-1]).resize((30, 20)).save(tmp_path / "right.png")
    other = str(example("style/composition-viii"))
    out, again = tmp_path / "out.png", tmp_path / "again.png"
    flags = ["--mix", "2,1", "--mask", f"2={tmp_path / 'left.png'}"]
    flags += ["--keep", tmp_path / "right.png", "--color", "linear", "--style-scale", "0.5"]
    assert main([CASTLE, WAVE, other, "-o", str(out), *QUICK, *map(str, flags)]) == 0
    styles = [Style(WAVE, 2), Style(other, 1, mask)]
    settings = Settings(
        style_loss="gram", size=96, steps=2, precision="float32", color="linear", style_scale=0.5
    )
    expected = stylize(CASTLE, styles, settings, tmp_path / "right.png")
    np.testing.assert_array_equal(np.asarray(reopened(out)), expected.image)
    assert main([CASTLE, WAVE, other, "-o", str(again), "--recipe", str(out)]) == 0
    np.testing.assert_array_equal(np.asarray(reopened(again)), expected.image)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--mix", "1,2"], "--mix has 2 weights for 1 paintings"),
        (["--mix", "much"], "no list of weights"),
        (["--mix", "0"], "style must be"),
        (["--mask", "2=mask.png"], "there is no painting 2"),
        (["--mask", "mask.png"], "not like 2=mask.png"),
        (["--mask", "1=mask.png"], "no picture file 'mask.png'"),
        (["--keep", "mask.png"], "no picture file 'mask.png'"),
        (["--color", "sepia"], "must be one of: histogram"),
        (["--style-scale", "9"], "between 0.25 and 2"),
        (["--style-layers", "huge shapes"], "or one of: fine texture"),
    ],
)
def test_what_cannot_be_mixed_is_one_clear_line(flags, told, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit:
        main([CASTLE, WAVE, "-o", str(tmp_path / "out.png"), *flags])
    assert exit.value.code == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_style_layers_by_name(tmp_path, capsys):
    out = tmp_path / "out.png"
    flags = ["--style-layers", "bold shapes", "--json"]
    assert main([CASTLE, WAVE, "-o", str(out), *QUICK, *flags]) == 0
    layers = json.loads(capsys.readouterr().out)["settings"]["style_layers"]
    assert tuple(layers.items()) == BRUSHWORK["bold shapes"]


# --- An own canvas ------------------------------------------------------------------------------


def test_a_run_starts_from_a_canvas_and_its_recipe_tells(tmp_path, capsys):
    out, again, same = (tmp_path / f"{name}.png" for name in ("out", "again", "same"))
    assert paint(out, *FLAGS, "--steps", 2, "--canvas", WAVE) == 0
    expected = stylize(CASTLE, WAVE, replace(SHALLOW, steps=2), canvas=WAVE).image
    np.testing.assert_array_equal(pixels(out), expected)
    made = recipe.read(out)
    assert made.canvas == made.style[0]
    assert paint(again, "--recipe", out) == 0
    assert "started from another one, 'great-wave.jpg'" in capsys.readouterr().err
    assert paint(same, "--recipe", out, "--canvas", WAVE) == 0
    assert "will differ" not in capsys.readouterr().err
    assert same.read_bytes() == out.read_bytes()


def test_a_canvas_that_cannot_be_used_is_one_clear_line(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        paint(tmp_path / "out.png", *FLAGS, "--canvas", ROOT / "README.md")
    assert "'README.md' is not a picture" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# --- Stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_picture_so_far(number, tmp_path):
    out = tmp_path / "out.png"
    command = [sys.executable, "-m", "nst_core", CASTLE, WAVE, "-o", str(out), "--json"]
    process = subprocess.Popen(
        [*command, *FLAGS, "--steps", "5000", "--frame-interval", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=take_interrupts,
    )
    try:
        progress = ""
        while "step/s" not in progress or "loss" not in progress:
            told = os.read(process.stderr.fileno(), 4096).decode()
            assert told, progress  # it has ended
            progress += told
        process.send_signal(number)
        stdout, stderr = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "the picture so far is kept" in stderr
    steps = json.loads(stdout)["steps"]
    assert 0 < steps < 5000
    assert reopened(out).size == (64, 43)
    assert recipe.read(out).plan.steps == steps, "the recipe tells what was done"


def interrupt() -> None:
    """Ctrl-C, as the terminal sends it to this process."""
    signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interrupt_third_step(before_each_step):
    calls: list[int] = []

    def hook(state):
        calls.append(1)
        if len(calls) == 3:
            interrupt()
        return state

    before_each_step(hook)
    return calls


def test_ctrl_c_before_any_frame_writes_nothing(tmp_path, capsys, monkeypatch):
    start = INITS["content"]

    def interrupted(request):
        interrupt()
        return start(request)

    monkeypatch.setitem(INITS, "content", interrupted)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    films = ["--film", tmp_path / "run.webp"]
    assert paint(tmp_path / "out.png", *FLAGS, *films, "--json") == 130
    printed = capsys.readouterr()
    assert "nothing was painted yet" in printed.err
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_ctrl_c_keeps_a_picture_that_was_not_due(tmp_path, capsys, interrupt_third_step):
    """Between two frames; the picture is that of a run of so many steps."""
    out = tmp_path / "out.png"
    assert paint(out, *FLAGS, "--steps", 50, "--frame-interval", 3600) == 130
    assert len(interrupt_third_step) == 3
    expected = stylize(CASTLE, WAVE, replace(SHALLOW, steps=3)).image
    np.testing.assert_array_equal(pixels(out), expected)


def test_a_second_ctrl_c_does_not_wait_for_the_step(tmp_path, capsys, before_each_step):
    """The last frame that was sent is kept."""
    calls = []

    def interrupt_twice(state):
        calls.append(1)
        if len(calls) == 3:
            interrupt()
            interrupt()
            pytest.fail("the step is done after all")
        return state

    before_each_step(interrupt_twice)
    out = tmp_path / "out.png"
    assert paint(out, *FLAGS, "--steps", 50, "--frame-interval", 0) == 130
    assert "the picture so far is kept" in capsys.readouterr().err
    expected = stylize(CASTLE, WAVE, replace(SHALLOW, steps=2)).image
    np.testing.assert_array_equal(pixels(out), expected)


@pytest.mark.parametrize("moment", ["first look", "reading"])
def test_a_second_ctrl_c_before_any_frame_writes_nothing(moment, tmp_path, capsys, monkeypatch):
    def interrupt_twice(*_):
        interrupt()
        interrupt()
        pytest.fail("the work is done after all")

    if moment == "reading":
        monkeypatch.setattr(recipe, "make", interrupt_twice)
    else:
        monkeypatch.setitem(INITS, "content", interrupt_twice)
    assert paint(tmp_path / "out.png", *FLAGS) == 130
    assert list(tmp_path.iterdir()) == []


# --- Recipes ------------------------------------------------------------------------------------


def test_a_picture_without_a_recipe_is_bad_input(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([CASTLE, WAVE, "-o", str(tmp_path / "out.png"), "--recipe", CASTLE])
    assert exit_.value.code == 2
    assert "holds no recipe" in capsys.readouterr().err


def test_a_recipe_gives_the_settings_and_flags_overrule_it(tmp_path):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    assert paint(first, *FLAGS, "--steps", 2, "--enlarge") == 0
    again = ["--recipe", first, "--steps", 1, "--no-enlarge"]
    assert paint(second, *again, photo=WAVE, painting=CASTLE) == 0
    made = recipe.make(WAVE, CASTLE, replace(SHALLOW, steps=1))
    assert replace(recipe.read(second), plan=None) == made


def test_the_recipe_tells_the_scales_and_steps_that_were_done(tmp_path, castle_512):
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    Image.fromarray(castle_512[160:192]).save(photo)
    assert paint(out, *FLAGS, "--size", 512, "--steps", 5, photo=photo) == 0
    plan = recipe.read(out).plan
    scales = [(scale.height, scale.width, scale.steps) for scale in plan.scales]
    assert scales == [(16, 256, 2), (32, 512, 3)]
    assert (plan.width, plan.height, plan.precision, plan.tile) == (512, 32, "float32", None)


class Clock:
    """A clock that stands still but for what is added to it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_the_recipe_of_a_run_by_time_gives_the_same_picture_to_the_byte(
    tmp_path, monkeypatch, before_each_step
):
    """However many steps the same time would be worth by now."""
    clock, seconds = Clock(), [0.25]
    monkeypatch.setattr(run_module, "time", clock)
    monkeypatch.setattr(plan_module, "expected_seconds", lambda flop, precision: 1e-5)

    def take_time(state):
        clock.now += seconds[0]
        return state

    before_each_step(take_time)
    first, again, other = (tmp_path / f"{name}.png" for name in ("first", "again", "other"))
    assert paint(first, *FLAGS, "--time-budget", 1) == 0
    assert recipe.read(first).plan.steps == 4
    seconds[0] = 0.5
    assert paint(again, "--recipe", first) == 0
    assert again.read_bytes() == first.read_bytes()
    assert paint(other, "--recipe", first, "--strength", 0.8) == 0  # another run
    assert recipe.read(other).plan.steps == 2
    assert recipe.read(other).settings == replace(SHALLOW, time_budget=1, strength=0.8)


def test_the_recipe_gives_the_same_picture_whatever_memory_is_free(
    tmp_path, monkeypatch, castle_512
):
    """A picture that was made smaller because memory was short, painted again where it is not."""
    photo, first, again = (tmp_path / f"{name}.png" for name in ("photo", "first", "again"))
    Image.fromarray(castle_512).save(photo)
    flags = ["--init", "content", *FIRST_LAYER, "--steps", 2, "--style-loss", "gram"]
    flags += ["--precision", "float32"]
    shallow = Objective.of(SHALLOW)
    room = needed(70 * 104, 0, "float32", Choice(None, "short"), shallow).total
    with monkeypatch.context() as patch:
        patch.setattr(memory, "available", lambda: room)
        assert paint(first, *flags, photo=photo) == 0
    made = recipe.read(first)
    assert (made.settings.size, made.plan.size, made.plan.lbfgs_memory) == (None, 96, "short")
    assert "not enough free memory" in made.plan.notice
    assert paint(again, "--recipe", first, photo=photo) == 0
    assert again.read_bytes() == first.read_bytes()


def test_the_recipe_of_a_stopped_run_gives_the_picture_it_was_stopped_at(
    tmp_path, capsys, interrupt_third_step
):
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    assert paint(first, *FLAGS, "--steps", 50) == 130
    assert paint(again, "--recipe", first) == 0
    assert again.read_bytes() == first.read_bytes()
