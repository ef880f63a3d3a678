"""Many pictures and films in one go: what there is to paint, what is done, how each one ended.

What was painted holds its recipe, so a batch that was cut off is gone on with by starting
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
from nst_core.films.clip import probe
from nst_core.films.folder import is_whole
from nst_core.films.painter import QUICK
from nst_core.many import clips
from nst_core.many.task import CLIPS, PICTURES, Task, is_clip
from nst_core.pictures import images
from nst_core.recipe import Recipe
from nst_core.settings import SPECS, Settings, parse
from nst_core.stop import StopToken

SUMMARY = "summary.csv"  # its name, in the folder of the pictures
TO_DO, PAINTED, THERE, FAILED = "to do", "painted", "there already", "failed"

# Columns of a table of jobs; all others are fields of `Settings`.
COLUMNS = ("content", "style", "mix", "output", "quality")

# What costs one picture and not the others.
TASK_ERRORS = (NSTError, MemoryError, OSError)


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


def from_folders(
    photos: Path,
    paintings: Path,
    output: Path,
    settings: Settings,
    quality: str = QUICK,
    film_settings: Settings | None = None,
) -> list[Task]:
    """Every photo and clip of one folder in the style of every painting of the other.

    What does not end like one is left out. Raises `BatchError` when a folder holds none.

    Args:
        quality: of the films.
        film_settings: those of films; the same `settings` when left out.
    """
    contents, styles = files_in(photos, PICTURES | CLIPS), files_in(paintings)
    pairs = [(photo, style) for photo in contents for style in styles]
    names = _unique(_name(photo, [style]) for photo, style in pairs)
    of_kind = {False: settings, True: film_settings or settings}
    return [
        Task(photo, ((style, 1.0),), of_kind[is_clip(photo)], output / name, quality)
        for (photo, style), name in zip(pairs, names, strict=True)
    ]


def files_in(folder: Path, wanted: frozenset[str] = PICTURES) -> list[Path]:
    """The files of a folder with these endings, in order; raises `BatchError` for none."""
    if not folder.is_dir():
        raise BatchError(f"{str(folder)!r} is not a folder; give one with pictures.")
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in wanted)
    if not found:
        endings = ", ".join(sorted(wanted))
        raise BatchError(f"There is no picture in {str(folder)!r}; looked for {endings}.")
    return found


def from_table(
    file: Path,
    output: Path,
    settings: Settings,
    quality: str = QUICK,
    film_settings: Settings | None = None,
) -> list[Task | Outcome]:
    """The jobs of a CSV file: a task for each row, or the outcome of a row that makes none.

    Its columns are `content`, a photo or clip; `style`, one painting or several between semicolons;
    and, if wanted, `mix`, their weights like 2,1; `output`, the name of a PNG, or of an MP4 for a
    clip; `quality`, of a film; and any field of `Settings`. An empty cell means `settings`, of a
    film `film_settings`, or `quality`. Paths are relative to the file's folder.

    Raises `BatchError` when the file cannot be read, has no row, or has an unknown column.
    """
    rows = _read_table(file)
    of_kind = {False: settings, True: film_settings or settings}
    made = [_task(row, file.parent, output, of_kind, quality) for row in rows]
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


def _task(
    row: Mapping[Any, Any],
    folder: Path,
    output: Path,
    of_kind: Mapping[bool, Settings],
    quality: str,
) -> Task | Outcome:
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
            replace(of_kind[is_clip(content)], **changes),
            output / _checked_name(row.get("output", ""), _ending(content)),
            row.get("quality", "").strip() or quality,
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


def _checked_name(name: str, ending: str) -> str:
    if name and (Path(name).name != name or Path(name).suffix.lower() != ending):
        raise SettingsError(
            f"output is {name!r}, but it must be the name of a {ending[1:].upper()}, which keeps "
            "its recipe, without a folder."
        )
    return name


def _name(content: Path, paintings: Iterable[Path]) -> str:
    return "-".join([content.stem, *(one.stem for one in paintings)]) + _ending(content)


def _ending(content: Path) -> str:
    """Of what is painted of a photo or clip."""
    return ".mp4" if is_clip(content) else ".png"


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
    """Whether the picture or film is there, with the recipe that it would get.

    Raises `BatchError` when something else is in its place, and what `recipe.make` raises.
    """
    if not is_whole(task.output):
        return False
    if not _is_same(task):
        raise BatchError(
            f"{task.output.name!r} is there, but was painted from other pictures or with other "
            "settings; move it away, or use --force to replace it."
        )
    return True


def _is_same(task: Task) -> bool:
    if task.is_clip:
        return clips.is_painted(task)
    try:
        return recipe.read(task.output).is_same_picture(_recipe(task))
    except SettingsError:
        return False


def paint_here(tasks: Sequence[Numbered], stop: StopToken) -> Iterator[tuple[int, Outcome]]:
    """Paint one after another in this process."""
    for number, task in tasks:
        outcome = None if stop.is_set() else paint(task, stop=stop)
        if outcome is None:
            return
        yield number, outcome


def paint(task: Task, *, precision: str = "auto", stop: StopToken | None = None) -> Outcome | None:
    """Paint one picture or film, kept with its recipe; what goes wrong is in the outcome.

    Args:
        precision: what "auto" comes to for all pictures of a batch.
        stop: ends the work within a step; no picture is saved then, a film as far as it is there,
            and None returns.
    """
    settled = with_precision(task, precision)
    try:
        if task.is_clip:
            shown = clips.paint(settled, stop)
            return film_done(task, shown.image.shape[1::-1], shown.elapsed) if shown else None
        last = deque(stream(task.content, list(task.style), settled.settings, stop=stop), maxlen=1)
        if not last or not last[0].done:
            return None
        (frame,) = last
        made = replace(_recipe(task), plan=frame.plan)
        images.save(frame.to_pil(), task.output, {recipe.KEY: made.to_json()})
    except TASK_ERRORS as error:
        return failed(task, str(error))
    return _done(task, frame)


def with_precision(task: Task, precision: str) -> Task:
    """The task, painted in this precision where it leaves that open."""
    if task.settings.precision != "auto":
        return task
    return replace(task, settings=replace(task.settings, precision=precision))


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


def film_done(task: Task, size: tuple[int, ...], seconds: float | None = None) -> Outcome:
    """The outcome of a film, of so many pixels wide and high."""
    width, height = size
    rounded = None if seconds is None else round(seconds, 3)
    return replace(to_do(task), outcome=PAINTED, width=width, height=height, seconds=rounded)


def _seen(task: Task) -> Outcome:
    if task.is_clip:
        film = probe(task.output)
        return replace(to_do(task), outcome=THERE, width=film.width, height=film.height)
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
