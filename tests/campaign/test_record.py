"""The page shows the figures of the record, and the record is without a fault."""

from __future__ import annotations

import json

import pytest

from tests.campaign.driver import Verdict
from tests.campaign.record import BEGIN, PAGE, RESULTS, Part, joined, shown, table


@pytest.mark.skipif(not RESULTS.exists(), reason="no campaign was recorded yet")
def test_the_page_shows_what_was_recorded() -> None:
    values = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert BEGIN in page
    assert shown(page) == table(values)
    assert [part["faults"] for part in values["parts"].values() if part["faults"]] == []


def test_every_fault_is_counted_and_told() -> None:
    part = Part(7, None)
    part.add(Verdict("fine", "done", peak_mib=3, seconds=2), cases=5)
    part.add(Verdict("loud", "traceback", "Traceback ...", events=("executes: rm", "writes outside: /etc")))
    part.add(Verdict("large", "refused", peak_mib=2000), ["a.png is missing"])
    found = part.to_dict()
    assert found["seed"] == 7
    assert (found["cases"], found["peak_mib"], found["ends"]) == (7, 2000, {"done": 1, "refused": 1, "traceback": 1})
    assert (found["executions"], found["writes outside"], found["lost or half-written"]) == (1, 1, 1)
    assert len(found["faults"]) == 5
    assert "peak of 2000 MiB where 1024 are allowed" in found["faults"][3]


def test_shares_of_a_part_are_added_up() -> None:
    shares = []
    for number in (1, 2):
        part = Part(7, None)
        part.add(Verdict("fine", "done", peak_mib=number, seconds=3 - number), cases=5)
        part.add(Verdict("slow", "hang"))
        shares.append({"part": "files", **part.to_dict()})
    found = joined([*shares, {"part": "other", **Part(7, None).to_dict()}])
    assert list(found) == ["files", "other"]
    figures = found["files"]
    assert (figures["cases"], figures["hangs"], figures["ends"]) == (12, 2, {"done": 2, "hang": 2})
    assert (figures["peak_mib"], figures["longest_seconds"], figures["seed"]) == (2, 2, 7)
    assert len(figures["faults"]) == 2
