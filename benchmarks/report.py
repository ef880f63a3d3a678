"""What all benchmarks share: where results are kept, tables, figures, and the machine's limit."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nst_core.lazy import tf

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"  # not in git: measurements of one machine
FIGURES = ROOT / "docs" / "benchmarks"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows under their head in Markdown, aligned, so that it reads well anywhere."""
    texts = [list(head), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(head))]
    texts.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in texts)


def publish(name: str, *paragraphs: str) -> None:
    """Print the outcome, and keep it with its figure where the README points to.

    Args:
        name: of the module, in a file's way of writing: with hyphens.
    """
    text = "\n\n".join([machine(), *paragraphs])
    print(text)
    FIGURES.mkdir(parents=True, exist_ok=True)
    title = name.replace("-", " ").capitalize()
    head = f"# {title}\n\nPrinted by `python -m benchmarks.{name.replace('-', '_')}`."
    figure = f"\n\n![{name}]({name}.svg)" if (FIGURES / f"{name}.svg").exists() else ""
    (FIGURES / f"{name}.md").write_text(f"{head}\n\n{text}{figure}\n")


def _text(cell: Any) -> str:
    """Floats with three digits, or all before the point."""
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.3g}" if abs(cell) < 100 else f"{cell:.0f}"


def keep(file: Path, content: Any) -> None:
    """Write a result in one move, so that a run that is cut off leaves no half file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1))
    part.replace(file)


def save_figure(figure: Any, name: str) -> None:
    """Keep a figure where the README shows it; without a date, so that only data changes it."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None})


def machine() -> str:
    """One line about where this was measured."""
    cores = len(os.sched_getaffinity(0))
    return f"{platform.machine()}, {cores} cores, TensorFlow {tf.__version__}"


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


PEAK_SIDE = 4096  # of the matrix product that stands for the machine's limit
PEAK_FLOP = 2 * PEAK_SIDE**3


def matrix_product(precision: str) -> Callable[[], object]:
    """A product of two large matrices, of `PEAK_FLOP` operations, warmed up."""
    matrix = tf.ones([PEAK_SIDE, PEAK_SIDE], precision)
    product = tf.function(lambda: tf.matmul(matrix, matrix)[0, 0])
    product()
    return lambda: product().numpy()


def peak_flops(precision: str, runs: int = 3) -> float:
    """FLOP/s of such a product: what the machine can do in this precision just now."""
    multiply = matrix_product(precision)
    return PEAK_FLOP / min(seconds(multiply) for _ in range(runs))
