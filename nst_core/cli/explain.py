"""The command line of explanations: `python -m nst_core explain PHOTO PAINTING -o FOLDER`.

Writes one HTML file that needs no other. Exit codes: 0 it is written, 2 bad input, 3 out of memory,
130 stopped by Ctrl-C or SIGTERM; then nothing is written.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from nst_core.cli.flags import DONE, OUT_OF_MEMORY, STOPPED, Parser, stopped_by_signals
from nst_core.errors import NSTError, OutOfMemoryError
from nst_core.explain import report

NAME = "explain"


def make_parser() -> Parser:
    """The parser."""
    parser = Parser(
        prog=f"python -m nst_core {NAME}",
        description="Explain style transfer on a photo and a painting: what the network sees, "
        "content and style layer by layer, the losses as they fall. One HTML file, for a course.",
    )
    parser.add_argument("photo", metavar="PHOTO", type=Path, help="the photo")
    parser.add_argument("painting", metavar="PAINTING", type=Path, help="the painting")
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", required=True, type=Path, help="made where missing"
    )
    parser.add_argument("--force", action="store_true", help="replace a report that is there")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    target = options.output / report.NAME
    if target.exists() and not options.force:
        parser.error(f"{str(target)!r} exists; give another folder, or --force to replace it.")
    with stopped_by_signals() as stop:
        try:
            file = report.write(
                options.photo,
                options.painting,
                options.output,
                stop,
                lambda title: tqdm.write(title, file=sys.stderr),
            )
        except OutOfMemoryError as error:
            tqdm.write(f"error: {error}", file=sys.stderr)
            return OUT_OF_MEMORY
        except (NSTError, OSError) as error:
            parser.error(str(error))
        except KeyboardInterrupt:  # the second Ctrl-C
            file = None
    if file is None:
        tqdm.write("Stopped; nothing was written.", file=sys.stderr)
        return STOPPED
    print(file)
    return DONE
