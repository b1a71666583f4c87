"""The tables in the pages of the methods are those of the results, digit by digit."""

import json
from pathlib import Path

import pytest

from ahs_seg.experiments.ablation.markdown import by_chance, markdown
from ahs_seg.experiments.ablation.table import Table

ROOT = Path(__file__).parents[3]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("ablation_*.json"))


def test_there_are_tables() -> None:
    assert {path.stem.removeprefix("ablation_") for path in RESULTS} >= {"ahs_seg", "ahs_seg_lite", "hps_seg", "ebseg"}


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_page_of_a_method_shows_its_table_as_it_came_out(path: Path) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    suite = path.stem.removeprefix("ablation_").removesuffix("_sweep")
    page = (ROOT / "docs" / "methods" / f"{suite}.md").read_text(encoding="utf-8")
    text = markdown(Table.parse(values, source=path.name))
    if path.stem.endswith("_sweep"):  # of one seed: scores alone
        text = text.partition("\nDifference to ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) > 2
    assert [row for row in rows if row not in page] == []


def test_markdown_has_every_row_and_both_intervals(found) -> None:
    text = markdown(found)
    better = found.row("better").differences["unseen"]
    value, low = f"**{100 * better.difference:+.1f}**", f"[{100 * better.student.low:+.1f}, "
    line = next(line for line in text.splitlines() if line.startswith("| better | **"))
    assert value in line
    assert low in line
    assert line.count("resolved") == 4
    assert "| H-CLIP | " in text
    assert "1,000,000" in text
    assert "+1,234" in text
    assert "reaches 2.0 points" in text
    assert by_chance(found) == "12 differences at 95 %: some 0.6 intervals miss by chance."
    assert r"full, seed 2 failed: \<out of memory>" in text  # literally, and no markup
