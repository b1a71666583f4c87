"""Formats of single files, names of images, and the classes that annotations hold."""

from pathlib import Path
from typing import Any

import pytest

from ahs_seg.output.formats import open_format
from ahs_seg.output.formats.base import (
    MOST_CLASSES,
    Exporter,
    ExportItem,
    FormatError,
    SingleFiles,
    foreground_classes,
)
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import ClassName, Vocabulary
from tests.support.results import WORDS, item, made
from tests.support.shape_checks import unchecked


def names(one: ExportItem, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(one.file_name)


def test_a_file_for_every_image_and_nothing_for_the_run(tmp_path: Path) -> None:
    exporter = SingleFiles(tmp_path, WORDS, ".txt", names)
    assert isinstance(exporter, Exporter)
    exporter.start()
    assert not exporter.has(Path("deep/a.b"))
    exporter.add(item("deep/a.b", [[0]]))
    assert exporter.has(Path("deep/a.b"))
    assert (tmp_path / "deep/a.b.txt").read_text() == "deep/a.b.png"
    exporter.start()  # another run: files stay until they are written again
    assert exporter.has(Path("deep/a.b"))
    assert exporter.finish() == ()


@pytest.mark.parametrize(("source", "expected"), [(None, "in/a.png"), (Path("/photos/in/a.JPG"), "in/a.JPG")])
def test_an_image_has_the_suffix_of_its_source(source: Path | None, expected: str) -> None:
    assert item("in/a", [[0]], source=source).file_name == expected


def test_paths_may_be_texts(tmp_path: Path) -> None:
    with unchecked():  # as for users
        one = ExportItem("deep/a", made([[0]]), "/photos/in/a.JPG")  # type: ignore[arg-type]
        open_format("png", str(tmp_path), WORDS.labels).add(one)
    assert (tmp_path / "deep/a.png").is_file()
    assert one.file_name == "deep/a.JPG"


def test_a_format_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    told = r"no format is called 'jpeg'; choose one of png, overlay, .*video\.$"
    with unchecked(), pytest.raises(FormatError, match=told):
        open_format("jpeg", tmp_path, WORDS)  # type: ignore[arg-type]


def test_objects_are_the_classes_found_largest_first() -> None:
    assert foreground_classes(made([[1, 1, 2], [1, 2, 0]])) == [1, 2, 0]
    assert foreground_classes(made([[1, IGNORE, IGNORE]])) == [1]


def test_background_is_no_object() -> None:
    words = Vocabulary.parse("cat, dog").with_background(["wall"])
    assert foreground_classes(made([[2, 2, 0]], words)) == [0]


@pytest.mark.parametrize("name", ["png", "geotiff", "video", "npz", "coco"])
def test_more_classes_than_a_label_map_holds_are_refused_before_anything_is_written(name: Any, tmp_path: Path) -> None:
    """65,535 classes and the value of unknown pixels fill 16 bits; one more would have the index of another."""
    most = Vocabulary(tuple(ClassName(str(index), (str(index),)) for index in range(MOST_CLASSES)))
    more = Vocabulary((*most.entries, ClassName("one more", ("one more",))))
    assert isinstance(open_format(name, tmp_path, most), Exporter)
    if name in ("npz", "coco"):
        assert isinstance(open_format(name, tmp_path, more), Exporter)
        return
    with pytest.raises(
        FormatError, match=r"65,536 classes: a label map stores at most 65,535\. Give fewer classes, or"
    ):
        open_format(name, tmp_path, more)
    with pytest.raises(FormatError, match="a label map stores at most"):
        made([[0, 65_535]], more).save(tmp_path / "scene.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["png", "coco", "yolo"])
@pytest.mark.parametrize("name", ["../a", "deep/../../a", "/a", ""])
def test_no_file_is_written_or_removed_outside_of_the_folder(form: Any, name: str, tmp_path: Path) -> None:
    exporter = open_format(form, tmp_path / "out", WORDS)
    exporter.start()
    for use in (lambda: exporter.add(item(name, [[0]])), lambda: exporter.has(Path(name))):
        with pytest.raises(FormatError, match=r"^an image called '.*Give a relative path without '\.\.'\.$"):
            use()
    assert [path.name for path in tmp_path.iterdir() if path.name != "out"] == []
