"""What the tests share: real pictures at small sizes, and a hook into every step."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import corpus
import fake_engine
import numpy as np
import pytest
import visitor
from fake_engine import Steps
from PIL import Image
from stranger import Server

from nst_core import Engine
from nst_core.pictures import images
from nst_core.stop import Condition
from page.turns import Ticket, Turns

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def example(name: str) -> Path:
    """The file of an example picture, like "content/castle"."""
    return EXAMPLES / f"{name}.jpg"


def take_interrupts() -> None:
    """For a process that is sent Ctrl-C, and whose parents may have been told to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="attack in full: 50,000 files, an hour of visitors"
    )


class Features(dict):
    """Of a photo of nobody, as far as the targets of most terms ask about it."""

    subject = None


class Attack:
    """How far the tests in `test_attack_*.py` go, and what they found."""

    def __init__(self, is_full: bool) -> None:
        self.is_full = is_full
        self.told: list[str] = []

    def extent(self, short: float, full: float) -> int:
        """How many, or how long."""
        return round(full if self.is_full else short)

    def tell(self, text: str) -> None:
        """A line of figures for the end of the run."""
        self.told.append(text)


ATTACK = pytest.StashKey[Attack]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ATTACK] = Attack(config.getoption("--full"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for text in config.stash[ATTACK].told:
        terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def attack(request) -> Attack:
    return request.config.stash[ATTACK]


@pytest.fixture(scope="session")
def castle() -> np.ndarray:
    """A real photo, uint8 [64, 96, 3]."""
    return images.to_uint8(images.load(example("content/castle"), 96).rgb)


@pytest.fixture(scope="session")
def castle_512() -> np.ndarray:
    """The same photo at a size that is painted from coarse to fine, uint8 [342, 512, 3]."""
    return images.to_uint8(images.load(example("content/castle"), 512).rgb)


@pytest.fixture(scope="session")
def great_wave() -> np.ndarray:
    """A real painting of another size and aspect ratio, uint8 [80, 118, 3]."""
    return images.to_uint8(images.load(example("style/great-wave"), 118).rgb)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def before_each_step(monkeypatch) -> Callable[[Callable[[Any], Any]], None]:
    """Install a function that sees, and may replace, the state before each step of any run."""
    step = Engine.step

    def install(hook: Callable[[Any], Any]) -> None:
        monkeypatch.setattr(
            Engine, "step", lambda engine, state, problem: step(engine, hook(state), problem)
        )

    return install


@pytest.fixture
def steps_done(before_each_step) -> list[int]:
    """A list that grows with every step that any run does from now on."""
    steps: list[int] = []

    def count(state: Any) -> Any:
        steps.append(len(steps) + 1)
        return state

    before_each_step(count)
    return steps


# --- The page -----------------------------------------------------------------------------------


@pytest.fixture
def steps(monkeypatch) -> Iterator[Steps]:
    """The steps of a fake engine, which is in the place of the real one."""
    steps = Steps()
    fake_engine.install(monkeypatch, steps)
    yield steps
    steps.release()  # a run that a failed test leaves behind


class WatchedTurns(Turns):
    """Turns that remember the tickets of all who joined."""

    def __init__(self) -> None:
        super().__init__()
        self.tickets: list[Ticket] = []

    @contextlib.contextmanager
    def join(
        self, session: str, *conditions: Condition, client: str | None = None
    ) -> Iterator[Ticket]:
        with super().join(session, *conditions, client=client) as ticket:
            self.tickets.append(ticket)
            yield ticket


@pytest.fixture
def turns(monkeypatch) -> WatchedTurns:
    """Turns of the test's own: a run that another left behind keeps none waiting."""
    from page import turns as room  # here, because Gradio takes seconds to import

    turns = WatchedTurns()
    monkeypatch.setattr(room, "TURNS", turns)
    return turns


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with visitor.chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def server(tmp_path_factory, attack) -> Iterator[Server]:
    """The app that all attacks share, but for those it does not survive.

    In full with the real engine, whose memory may grow.
    """
    folder = tmp_path_factory.mktemp("attacked")
    script = visitor.APP if attack.is_full else visitor.FAKE_APP
    many = {"NST_REQUESTS_AT_ONCE": "1e6", "NST_BYTES_AT_ONCE": "1e12"}  # as they are one client
    with visitor.started(folder, script, **many) as address:
        yield Server(address, folder)


@pytest.fixture(scope="session")
def pair(server) -> dict[str, Any]:
    """Photo and painting, uploaded, and the shortest of runs."""
    pair = server.upload_pair()
    server.call("stylize", **pair, steps=2)  # warm
    return pair


@pytest.fixture(scope="session")
def hostile_files(tmp_path_factory) -> list[Path]:
    """The corpus of `corpus.py`."""
    return corpus.write(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def page_address(tmp_path_factory) -> Iterator[str]:
    """The page with the fake engine, served for all browser tests but one."""
    with visitor.served(tmp_path_factory.mktemp("app"), visitor.FAKE_APP) as address:
        yield address


@pytest.fixture
def page(browser, page_address) -> Iterator[Any]:
    """A visitor on a laptop who has just opened the page."""
    with visitor.visit(browser, page_address) as page:
        yield page


@pytest.fixture
def short(browser, page_address) -> Iterator[Any]:
    """A visitor who has opened a link to a run of a few steps."""
    with visitor.visit(browser, page_address, visitor.SHORT) as page:
        yield page


@pytest.fixture
def half(tmp_path) -> str:
    """A mask of the left half."""
    mask = np.zeros([20, 30], np.uint8)
    mask[:, :15] = 255
    Image.fromarray(mask).save(tmp_path / "half.png")
    return str(tmp_path / "half.png")
