"""Formats with one file for a run: parts in the order of their names, whatever the order of the work."""

import json
import os
from pathlib import Path

import pytest

from ahs_seg.output.formats.base import ExportItem, FormatError
from ahs_seg.output.formats.parts import FOLDER, FilePart, MergedFileFormat, Parts
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import WORDS, item


def part(one: ExportItem) -> FilePart:
    return {"name": one.name.as_posix(), "classes": sorted(set(one.result.labels.ravel().tolist()))}


def join(output: Path, vocabulary: Vocabulary, parts: Parts) -> tuple[Path, ...]:
    path = output / "all.json"
    path.write_text(json.dumps({"words": vocabulary.labels, "parts": list(parts), "again": len(list(parts))}))
    return (path,)


def example(folder: Path, words: Vocabulary = WORDS) -> MergedFileFormat:
    return MergedFileFormat(folder, words, "example", part, join)


@pytest.mark.parametrize("names", [("a", "b", "deep/c"), ("deep/c", "b", "a")])
def test_the_file_does_not_depend_on_the_order(tmp_path: Path, names: tuple[str, ...]) -> None:
    exporter = example(tmp_path)
    exporter.start()
    for name in names:
        exporter.add(item(name, [[0, 2]]))
    (path,) = exporter.finish()
    written = json.loads(path.read_text())
    assert [one["name"] for one in written["parts"]] == ["a", "b", "deep/c"]
    assert written["again"] == 3
    assert written["words"] == WORDS.labels


def test_a_part_of_the_same_name_is_replaced(tmp_path: Path) -> None:
    exporter = example(tmp_path)
    exporter.start()
    exporter.add(item("a", [[0]]))
    exporter.add(item("a", [[1]]))
    assert json.loads(exporter.finish()[0].read_text())["parts"] == [{"name": "a", "classes": [1]}]


def test_a_run_that_was_killed_goes_on_and_a_new_one_forgets(tmp_path: Path) -> None:
    first = example(tmp_path)
    first.start()
    first.add(item("a", [[0]]))
    again = example(tmp_path)
    again.start(resume=True)
    assert again.has(Path("a"))
    assert not again.has(Path("b"))
    again.start()
    assert not again.has(Path("a"))


def test_parts_of_an_earlier_run_that_cannot_be_removed_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = example(tmp_path)
    first.start()
    first.add(item("earlier", [[0]]))

    def refused(path: object, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "unlink", refused)
    with pytest.raises(PermissionError):
        example(tmp_path).start()


def test_resuming_with_other_classes_is_refused(tmp_path: Path) -> None:
    example(tmp_path).start()
    with pytest.raises(FormatError, match="example run with other classes; resume with the same classes"):
        example(tmp_path, Vocabulary.parse("cat, dog")).start(resume=True)
    example(tmp_path).start(resume=True)


def test_two_formats_in_a_folder_do_not_meet(tmp_path: Path) -> None:
    one, other = example(tmp_path), MergedFileFormat(tmp_path, WORDS, "other", part, join)
    for exporter in (one, other):
        exporter.start()
    one.add(item("a", [[0]]))
    assert not other.has(Path("a"))
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == {"example", "other"}
