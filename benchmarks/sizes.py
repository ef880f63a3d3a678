"""Whether a setting gives the same look at every size.

    python -m benchmarks.sizes

The weighted content loss beside the weighted style loss at the end of a run, for the pairs that the
page offers, small and large: with the default number of steps, and with a time to paint, as the
page has it.
"""

from __future__ import annotations

from typing import Any

from tqdm import tqdm

from benchmarks import report
from nst_core import Settings, stylize
from nst_core.presets import PRESETS
from page import examples

SIZES = (256, 512, 768)
PAIRS = examples.PAIRS[:6]
BUDGET = PRESETS["gallery"].settings.time_budget
KINDS: dict[str, dict[str, Any]] = {
    f"{Settings().steps} steps": {},
    f"{BUDGET} s": {"time_budget": BUDGET},
}


def ratio(content: str, style: str, settings: Settings) -> float:
    """Weighted content loss over weighted style loss."""
    photo, painting = map(examples.path_of, examples.KINDS, (content, style))
    losses = stylize(photo, painting, settings).losses
    return losses["content"] / losses["style"]


def main() -> None:
    rows = []
    for kind, changes in KINDS.items():
        for content, style in tqdm(PAIRS, desc=kind):
            found = [
                ratio(content, style, Settings(size=size, style_loss="gram", **changes))
                for size in SIZES
            ]
            spread = f"{max(found) / min(found):.2f}"
            rows.append([kind, f"{content} × {style}", *found, spread])
    head = ("painted for", "pair", *(f"{size} px" for size in SIZES), "largest / smallest")
    report.publish("sizes", "Content loss / style loss at the end.", report.table(head, rows))


if __name__ == "__main__":
    main()
