"""TensorFlow, imported at its first use: late, quietly, and by one thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

# What all programs below begin with: threads that start together, and what they raise.
TOGETHER = """
import importlib, os, sys, threading
from nst_core.lazy import GROWING_MEMORY, LOG_LEVEL, tf

errors = []

def run_together(*works):
    barrier = threading.Barrier(len(works))

    def run(work):
        barrier.wait()
        try:
            work()
        except BaseException as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
"""

TWO_FIRST_USERS = """
assert "tensorflow" not in sys.modules
sums = []

def use():
    sums.append(float(tf.reduce_sum(tf.constant([1.0, 2.0]))))

run_together(use, use)
assert sums == [3.0, 3.0], sums
assert LOG_LEVEL not in os.environ
assert os.environ[GROWING_MEMORY] == "true"
os.write(2, b"standard error is open")
"""

# Those below import a module of this name that calls the program, and greets as TensorFlow does.
STAND_IN = """
import os, __main__
os.write(2, b"greeting ")
__main__.importing()
constant = int
"""

# A program's own `import tensorflow` is held in its middle until our module was used: until that
# has failed, or waits for the import, too.
BESIDE_A_PLAIN_IMPORT = """
is_importing, is_used = threading.Event(), threading.Event()
import_module = importlib.import_module

def importing():
    is_importing.set()
    is_used.wait()

def import_as_ours(name):
    is_used.set()
    return import_module(name)

def plain():
    import tensorflow

def ours():
    is_importing.wait()
    importlib.import_module = import_as_ours
    try:
        assert tf.constant(1) == 1
    finally:
        is_used.set()

run_together(plain, ours)
"""

FIRST_USE = """
seen = []

def importing():
    seen.append(os.environ[LOG_LEVEL])

tf.constant(1)
print(*seen, os.environ.get(LOG_LEVEL))
"""


def run(program: str, folder: Path | None = None, **environment: str) -> tuple[str, str]:
    """Run a program in a fresh process; returns what it wrote to standard output and error.

    Args:
        folder: where to put `STAND_IN` and use it instead of TensorFlow; None for the real one.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    if folder is not None:
        (folder / "tensorflow.py").write_text(STAND_IN)
        environment["PYTHONPATH"] = str(folder)
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER + program],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout, done.stderr


def test_two_first_users_leave_standard_error_and_the_environment_as_they_were():
    """Once, the second to begin restored what the first had redirected, or raised KeyError."""
    assert run(TWO_FIRST_USERS) == ("", "standard error is open")


def test_the_greetings_are_dropped_unless_the_log_level_is_set(tmp_path):
    assert run(FIRST_USE, tmp_path) == ("3 None\n", "")
    assert run(FIRST_USE, tmp_path, TF_CPP_MIN_LOG_LEVEL="1") == ("1 1\n", "greeting ")


def test_a_module_that_another_thread_is_importing_is_waited_for(tmp_path):
    run(BESIDE_A_PLAIN_IMPORT, tmp_path)


@pytest.mark.parametrize("module", ["nst_core", "nst_core.engine.choices", "nst_core.cli.main"])
def test_our_modules_do_not_import_tensorflow(module):
    run(f"import {module}; assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules")
