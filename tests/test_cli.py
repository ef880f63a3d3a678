"""The command line in a process of its own: outcome, progress, errors, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, example, take_interrupts
from PIL import Image

from nst_core import Settings, Style, recipe, stylize
from nst_core.__main__ import main
from nst_core.settings import BRUSHWORK, SPECS

CASTLE, WAVE = str(example("content/castle")), str(example("style/great-wave"))


def reopened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def run(*arguments: object, **rest) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nst_core", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, **rest)


def test_paints_a_picture_and_says_so_in_json(tmp_path):
    out = tmp_path / "out.png"
    # A precision by name: two processes that try it out may come to different ends.
    flags = ["--size", 96, "--steps", 3, "--seed", 5, "--precision", "float32", "--json"]
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
    assert (outcome["width"], outcome["height"], outcome["steps"]) == (96, 64, 3)
    assert outcome["seconds"] > 0
    settings = Settings(size=96, steps=3, seed=5, precision="float32")
    assert Settings.from_dict(outcome["settings"]) == settings
    expected = stylize(CASTLE, WAVE, settings)
    np.testing.assert_array_equal(np.asarray(reopened(out)), expected.image)
    assert recipe.read(out) == recipe.make(CASTLE, WAVE, settings)
    assert "3/3" in done.stderr  # the progress bar
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
    done = run(CASTLE, ROOT / "README.md", "-o", tmp_path / "out.png")
    assert done.returncode == 2
    assert done.stderr.startswith("python -m nst_core: error: 'README.md' is not a picture")
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
    assert main([CASTLE, WAVE, "-o", str(out), "--force", "--size", "64", "--steps", "1"]) == 0
    assert reopened(out).size == (64, 43)
    assert [path.name for path in tmp_path.iterdir()] == ["there.png"]


def test_a_recipe_gives_the_settings_and_flags_overrule_it(tmp_path):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    flags = ["--size", "64", "--steps", "2", "--init", "content", "--enlarge"]
    assert main([CASTLE, WAVE, "-o", str(first), *flags]) == 0
    again = ["--recipe", str(first), "--steps", "1", "--no-enlarge"]
    assert main([WAVE, CASTLE, "-o", str(second), *again]) == 0
    settings = Settings(size=64, steps=1, init="content", enlarge=False)
    assert recipe.read(second) == recipe.make(WAVE, CASTLE, settings)


def test_a_picture_without_a_recipe_is_bad_input(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([CASTLE, WAVE, "-o", str(tmp_path / "out.png"), "--recipe", CASTLE])
    assert exit_.value.code == 2
    assert "holds no recipe" in capsys.readouterr().err


def test_a_film_shows_every_frame_of_the_run(tmp_path):
    arguments = ["--size", "64", "--steps", "3", "--frame-interval", "0"]
    films = ["--film", str(tmp_path / "run.webp")]
    assert main([CASTLE, WAVE, "-o", str(tmp_path / "out.png"), *arguments, *films]) == 0
    with Image.open(tmp_path / "run.webp") as image:
        assert (image.size, image.n_frames) == ((64, 43), 4)  # the first look and three steps


def test_a_film_that_cannot_be_written_is_told_before_the_work(tmp_path, capsys):
    (tmp_path / "old.mp4").write_bytes(b"old")
    for name, message in (("run.avi", "its ending must be one of"), ("old.mp4", "exists")):
        with pytest.raises(SystemExit):
            main([CASTLE, WAVE, "-o", str(tmp_path / "out.png"), "--film", str(tmp_path / name)])
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]


def test_ctrl_c_keeps_the_picture_so_far(tmp_path):
    out = tmp_path / "out.png"
    command = [sys.executable, "-m", "nst_core", CASTLE, WAVE, "-o", str(out), "--json"]
    process = subprocess.Popen(
        [*command, "--size", "96", "--steps", "5000", "--frame-interval", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=take_interrupts,
    )
    progress = ""
    assert process.stderr is not None
    deadline = time.monotonic() + 60
    while "step/s" not in progress or "loss" not in progress:
        assert time.monotonic() < deadline, progress
        progress += os.read(process.stderr.fileno(), 4096).decode()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "the picture so far is kept" in stderr
    assert 0 < json.loads(stdout)["steps"] < 5000
    assert reopened(out).size == (96, 64)


def test_every_setting_has_a_flag(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    for name in SPECS:
        assert "--" + name.replace("_", "-") in text


def test_help_does_not_wait_for_tensorflow():
    code = "import sys, nst_core.__main__ as m; m.make_parser(); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False", done


# --- Several paintings, masks -------------------------------------------------------------------

QUICK = ["--size", "96", "--steps", "2", "--precision", "float32"]


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
    settings = Settings(size=96, steps=2, precision="float32", color="linear", style_scale=0.5)
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
