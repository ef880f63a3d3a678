"""Many pictures in one go: what there is to paint, what is done already, and how each one ended.

A picture that was painted holds its recipe, so a batch that was cut off is gone on with by starting
it again: what has the recipe that it would get is there already. Nothing is printed here.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from nst_core import recipe
from nst_core.engine.easel import stream
from nst_core.engine.frame import Frame
from nst_core.engine.objective import Objective
from nst_core.errors import BatchError, NSTError, SettingsError
from nst_core.files import write_whole
from nst_core.pictures import images
from nst_core.recipe import Recipe
from nst_core.settings import SPECS, Settings, parse
from nst_core.stop import StopToken

SUMMARY = "summary.csv"  # its name, in the folder of the pictures
TO_DO, PAINTED, THERE, FAILED = "to do", "painted", "there already", "failed"

# Endings of what is taken for a picture in a folder: those of `images.READABLE`.
ENDINGS = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".heif")
)

# Columns of a table of jobs; all others are fields of `Settings`.
COLUMNS = ("content", "style", "mix", "output")

# What costs one picture and not the others.
TASK_ERRORS = (NSTError, MemoryError, OSError)


@dataclass(frozen=True)
class Task:
    """One picture to be painted."""

    content: Path
    style: tuple[tuple[Path, float], ...]  # paintings and their weights
    settings: Settings
    output: Path  # a PNG, which can keep its recipe


@dataclass(frozen=True)
class Outcome:
    """How a task ended: a row of the summary."""

    content: str
    style: str
    output: str
    outcome: str = TO_DO
    reason: str = ""  # why it failed
    width: int | None = None  # pixels
    height: int | None = None
    steps: int | None = None
    seconds: float | None = None
    loss: float | None = None  # the last total
    notice: str = ""  # what was done otherwise than asked for


Numbered = tuple[int, Task]  # a task and its place in the batch
PaintAll = Callable[[Sequence[Numbered], StopToken], Iterator[tuple[int, Outcome]]]


# --- What there is to paint ---------------------------------------------------------------------


def from_folders(photos: Path, paintings: Path, output: Path, settings: Settings) -> list[Task]:
    """Every photo of one folder in the style of every painting of the other.

    What does not end like a picture is left out. Raises `BatchError` when a folder holds none.
    """
    pairs = [(photo, style) for photo in pictures_in(photos) for style in pictures_in(paintings)]
    names = _unique(_name(photo, [style]) for photo, style in pairs)
    return [
        Task(photo, ((style, 1.0),), settings, output / name)
        for (photo, style), name in zip(pairs, names, strict=True)
    ]


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by their endings, in order; raises `BatchError` for none."""
    if not folder.is_dir():
        raise BatchError(f"{str(folder)!r} is not a folder; give one with pictures.")
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in ENDINGS)
    if not found:
        endings = ", ".join(sorted(ENDINGS))
        raise BatchError(f"There is no picture in {str(folder)!r}; looked for {endings}.")
    return found


def from_table(file: Path, output: Path, settings: Settings) -> list[Task | Outcome]:
    """The jobs of a CSV file: a task for each row, or the outcome of a row that makes none.

    Its columns are `content`; `style`, one painting or several between semicolons; and, if wanted,
    `mix`, their weights like 2,1; `output`, the name of a PNG; and any field of `Settings`. An
    empty cell means `settings`. Paths are relative to the file's folder.

    Raises `BatchError` when the file cannot be read, has no row, or has an unknown column.
    """
    rows = _read_table(file)
    made = [_task(row, file.parent, output, settings) for row in rows]
    unnamed = [task for task, row in zip(made, rows, strict=True) if not row.get("output")]
    names = iter(_unique(_name_of(task) for task in unnamed))
    named = [
        task if row.get("output") else _renamed(task, output / next(names))
        for task, row in zip(made, rows, strict=True)
    ]
    return _without_twins(named)


def _read_table(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text, strict=True)
            rows, columns = list(reader), set(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BatchError(f"{str(file)!r} cannot be read as CSV in UTF-8: {error}.") from error
    unknown = sorted(columns - {*COLUMNS, *SPECS})
    if unknown or not {"content", "style"} <= columns:
        told = f"has the unknown column {unknown[0]!r}" if unknown else "lacks content or style"
        known = ", ".join([*COLUMNS, *SPECS])
        raise BatchError(
            f"{str(file)!r} {told}; its columns are content, style and any of {known}."
        )
    if not rows:
        raise BatchError(f"{str(file)!r} has no row below its head; give one for each picture.")
    return rows


def _task(row: Mapping[Any, Any], folder: Path, output: Path, settings: Settings) -> Task | Outcome:
    try:
        if None in row or None in row.values():
            raise SettingsError("The row has another number of cells than the head.")
        content, *paintings = [
            folder / name.strip() for name in (row["content"], *row["style"].split(";"))
        ]
        given = {name: text for name, text in row.items() if name in SPECS and text.strip()}
        changes = {name: parse(name, text) for name, text in given.items()}
        return Task(
            content,
            tuple(zip(paintings, _mix(row.get("mix", ""), len(paintings)), strict=True)),
            replace(settings, **changes),
            output / _checked_name(row.get("output", "")),
        )
    except SettingsError as error:
        content, style, name = (row.get(column) or "" for column in ("content", "style", "output"))
        return Outcome(content, style, name, FAILED, str(error))


def _mix(text: str, count: int) -> list[float]:
    try:
        weights = [float(part) for part in text.split(",")] if text.strip() else [1.0] * count
    except ValueError:
        raise SettingsError(f"mix is {text!r}, but it must be weights like 2,1.") from None
    if len(weights) != count:
        raise SettingsError(f"mix has {len(weights)} weights for {count} paintings.")
    return weights


def _checked_name(name: str) -> str:
    if name and (Path(name).name != name or Path(name).suffix.lower() != ".png"):
        raise SettingsError(
            f"output is {name!r}, but it must be the name of a PNG, which keeps its recipe, "
            "without a folder."
        )
    return name


def _name(content: Path, paintings: Iterable[Path]) -> str:
    return "-".join([content.stem, *(painting.stem for painting in paintings)]) + ".png"


def _name_of(task: Task | Outcome) -> str:
    return _name(task.content, [path for path, _ in task.style]) if isinstance(task, Task) else ""


def _renamed(task: Task | Outcome, output: Path) -> Task | Outcome:
    return replace(task, output=output) if isinstance(task, Task) else task


def _unique(names: Iterable[str]) -> list[str]:
    """The same names, with a number behind those that came before."""
    given: set[str] = set()
    unique = []
    for name in names:
        path, number, chosen = Path(name), 1, name
        while chosen.lower() in given:  # some file systems do not tell capitals
            number += 1
            chosen = f"{path.stem}-{number}{path.suffix}"
        given.add(chosen.lower())
        unique.append(chosen)
    return unique


def _without_twins(tasks: list[Task | Outcome]) -> list[Task | Outcome]:
    """A row that would write over another's picture fails."""
    taken: set[str] = set()
    kept: list[Task | Outcome] = []
    for task in tasks:
        if isinstance(task, Task) and str(task.output).lower() in taken:
            task = failed(task, f"Another row writes to {task.output.name!r}; give another name.")
        elif isinstance(task, Task):
            taken.add(str(task.output).lower())
        kept.append(task)
    return kept


# --- Painting -----------------------------------------------------------------------------------


def run(
    tasks: Sequence[Task | Outcome],
    paint_all: PaintAll,
    is_there: Callable[[Task], bool],
    stop: StopToken | None = None,
) -> Iterator[tuple[int, Outcome]]:
    """Paint what is still to be painted; yields a task's number and its outcome as it ends.

    Args:
        paint_all: paints some of them, in any order: `paint_here`, or a cluster's.
        is_there: whether a picture may stay: `is_painted`, or one that never says so.
        stop: ends the work within a step; what was being painted then has no outcome.
    """
    to_do: list[Numbered] = []
    for number, task in enumerate(tasks):
        if isinstance(task, Outcome):
            yield number, task
            continue
        try:
            there = is_there(task)
        except TASK_ERRORS as error:
            yield number, failed(task, str(error))
            continue
        if there:
            yield number, _seen(task)
        else:
            to_do.append((number, task))
    yield from paint_all(sorted(to_do, key=_sort_key), stop or StopToken())


def is_painted(task: Task) -> bool:
    """Whether the picture is there, with the recipe that it would get.

    Raises `BatchError` when something else is in its place, and what `recipe.make` raises.
    """
    if not task.output.exists():
        return False
    try:
        same = recipe.read(task.output).is_same_picture(_recipe(task))
    except SettingsError:
        same = False
    if not same:
        raise BatchError(
            f"{task.output.name!r} is there, but was painted from other pictures or with other "
            "settings; move it away, or use --force to replace it."
        )
    return True


def paint_here(tasks: Sequence[Numbered], stop: StopToken) -> Iterator[tuple[int, Outcome]]:
    """Paint one after another in this process."""
    for number, task in tasks:
        outcome = None if stop.is_set() else paint(task, stop=stop)
        if outcome is None:
            return
        yield number, outcome


def paint(task: Task, *, precision: str = "auto", stop: StopToken | None = None) -> Outcome | None:
    """Paint one picture and save it with its recipe; what goes wrong is in the outcome.

    Args:
        precision: what "auto" comes to for all pictures of a batch.
        stop: ends the work within a step; nothing is saved then, and None returns.
    """
    settings = task.settings
    if settings.precision == "auto":
        settings = replace(settings, precision=precision)
    try:
        last = deque(stream(task.content, list(task.style), settings, stop=stop), maxlen=1)
        if not last or not last[0].done:
            return None
        (frame,) = last
        made = replace(_recipe(task), plan=frame.plan)
        images.save(frame.to_pil(), task.output, {recipe.KEY: made.to_json()})
    except TASK_ERRORS as error:
        return failed(task, str(error))
    return _done(task, frame)


def _recipe(task: Task) -> Recipe:
    return recipe.make(task.content, list(task.style), task.settings)


def _sort_key(numbered: Numbered) -> str:
    """Tasks with the same key share what is compiled, and then their shapes: they go in a row."""
    _, task = numbered
    settings = task.settings
    try:
        with Image.open(task.content) as image:
            shape = image.size
        return repr(
            (Objective.of(settings), settings.precision, settings.tile, settings.size, shape)
        )
    except Exception:  # whatever is wrong is told when the task's turn has come
        return ""


# --- How it went --------------------------------------------------------------------------------


def to_do(task: Task | Outcome) -> Outcome:
    """What the summary says of a task before its turn."""
    if isinstance(task, Outcome):
        return task
    style = ";".join(str(path) for path, _ in task.style)
    return Outcome(str(task.content), style, task.output.name)


def failed(task: Task, reason: str) -> Outcome:
    """The outcome of a task that came to nothing."""
    return replace(to_do(task), outcome=FAILED, reason=reason)


def _done(task: Task, frame: Frame) -> Outcome:
    height, width, _ = frame.image.shape
    return replace(
        to_do(task),
        outcome=PAINTED,
        width=width,
        height=height,
        steps=frame.step,
        seconds=round(frame.elapsed, 3),
        loss=frame.losses["total"],
        notice=frame.notice,
    )


def _seen(task: Task) -> Outcome:
    with Image.open(task.output) as image:
        width, height = image.size
    return replace(to_do(task), outcome=THERE, width=width, height=height)


def save_summary(outcomes: Iterable[Outcome], folder: Path) -> None:
    """Write the summary, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in dataclasses.fields(Outcome)])
    writer.writeheader()
    writer.writerows(dataclasses.asdict(outcome) for outcome in outcomes)
    write_whole(text.getvalue().encode(), folder / SUMMARY)
