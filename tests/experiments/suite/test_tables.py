"""Tables of a suite: a row per benchmark and protocol, a line per class."""

import csv
import io

from ahs_seg.experiments.suite.tables import class_table, suite_table
from tests.support.reports import NAMES, evaluation


def test_rows_in_percent_with_a_note_per_protocol() -> None:
    reports = [evaluation("cat_seg", [9, 8, 7], "one"), evaluation("cat_seg", [5, 5, 5], "two")]
    lines = suite_table(reports, ["own"], "cat_seg", 512).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert [row[0] for row in rows] == ["data", "one", "two"]
    scores = reports[0].scores
    assert scores.miou is not None
    assert scores.seen is not None
    assert rows[1][3] == f"**{100 * scores.miou:.2f}**"
    assert rows[1][10] == f"{100 * scores.seen:.2f}"
    assert rows[1][4:6] == ["", ""]  # nothing is published of these
    assert sum("Protocol whole." in line for line in lines) == 1
    assert {line.count("|") for line in lines if line.startswith("|")} == {13}


def test_a_line_per_class_that_programs_read() -> None:
    found = list(csv.DictReader(io.StringIO(class_table(evaluation("m", [9, 8, 0])))))
    assert [row["class"] for row in found] == list(NAMES)
    assert [row["seen"] for row in found] == ["1", "0", "0"]
    assert [row["labelled"] for row in found] == ["10"] * 3
    assert [row["hits"] for row in found] == ["9", "8", "0"]
    assert float(found[0]["accuracy"]) == 0.9
    assert float(found[2]["iou"]) == 0
    assert "boundary_iou" not in found[0]
