"""Charts of the ablation tables that the pages show: `python -m benchmarks.charts` draws them from the results."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ahs_seg.experiments.ablation.charts import difference_chart, save_png
from ahs_seg.experiments.ablation.table import Table
from benchmarks.stored import stored

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
SUITES: Final = ("ahs_seg", "ahs_seg_lite", "hps_seg", "ebseg", "tuned")
"""Tables whose differences a page shows as `ablation-NAME.png`."""


def draw(suite: str, images: Path = IMAGES) -> Path:
    """Draw the differences of a table to its baseline; returns the path of the chart."""
    name = f"ablation_{suite}"
    table = Table.parse(stored(name), source=f"{name}.json")
    path = images / f"ablation-{suite}.png"
    save_png(difference_chart(table), path)
    return path


def main() -> None:
    """Draw all of them."""
    for suite in SUITES:
        print(draw(suite))


if __name__ == "__main__":
    main()
