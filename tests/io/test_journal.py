"""Records survive the process that wrote them; what was cut off is not read."""

import subprocess
import sys
from pathlib import Path

import pytest

from ahs_seg.io.journal import Journal, as_read, changes, differing_keys, journals_in, read_records


def test_records_come_back_in_order_behind_their_header(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "a.jsonl", header={"run": 1})
    assert not journal.path.exists()
    for index in range(3):
        journal.append({"index": index, "name": "grün\n"})
    assert list(read_records(journal.path)) == [{"run": 1}, *({"index": i, "name": "grün\n"} for i in range(3))]
    journal.close()
    journal.close()


@pytest.mark.parametrize("kept", range(1, 40))
def test_a_file_cut_anywhere_gives_its_whole_records(tmp_path: Path, kept: int) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    records = [{"index": index, "text": "x" * index} for index in range(3)]
    for record in records:
        journal.append(record)
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:kept])
    assert list(read_records(journal.path)) == records[: content[:kept].count(b"\n")]


def test_a_record_survives_a_crash_right_after_it(tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom ahs_seg.io.journal import Journal\n"
        "Journal(Path(sys.argv[1])).append({'done': 1})\nos._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.jsonl")], check=False, timeout=60)
    assert list(read_records(tmp_path / "a.jsonl")) == [{"done": 1}]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"mine": 1}\n')
    with pytest.raises(FileExistsError):
        Journal(path).append({})
    assert list(read_records(path)) == [{"mine": 1}]


def test_journals_and_identities(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.json"):
        (tmp_path / name).touch()
    assert [path.name for path in journals_in(tmp_path)] == ["a.jsonl", "b.jsonl"]
    identity = as_read({"words": ("a", "b"), "size": 3})
    assert identity == {"words": ["a", "b"], "size": 3}
    assert differing_keys({"words": ["a"], "size": 3, "more": 1, "none": None}, identity) == ["words", "more"]


def test_a_damaged_line_costs_itself(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"index": 1}\n{"ind\xff\x00\n{"index": 2}\n{"index": 3')
    assert [record["index"] for record in read_records(path)] == [1, 2]


def test_changes_name_every_key_with_both_values() -> None:
    found = {"a": {"b": 1, "root": "/x", "c": None}, "d": [1], "e": 2}
    now = {"a": {"b": 2, "root": "/y", "c": None}, "d": [1], "f": "x" * 1000}
    lines = changes(found, now, free={"root"}).splitlines()
    assert lines[:2] == ["  a.b: was 1, now 2", "  e: was 2, now not there"]
    assert lines[2].startswith('  f: was not there, now "xxx')
    assert len(lines[2]) < 200
    assert changes(found, found) == ""
