"""What is told of measurements is what was measured."""

from pathlib import Path

from benchmarks import tables

ROOT = Path(__file__).parents[1]


def test_the_page_of_results_is_made_from_them() -> None:
    assert (tables.RESULTS / "README.md").read_text(encoding="utf-8") == "\n".join(tables.page())


def test_methods_stand_side_by_side_as_measured() -> None:
    page = (ROOT / "docs" / "methods" / "index.md").read_text(encoding="utf-8")
    rows = [row for row in tables.methods() if row.startswith("| ")]
    assert len(rows) == 9
    assert [row for row in rows if row not in page] == []
