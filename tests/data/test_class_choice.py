"""Classes of a file and of a class list: which belong together."""

import logging
from pathlib import Path

import pytest

from ahs_seg.data.class_choice import ClassChoice
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.class_name import VocabularyError


def test_the_classes_of_the_file_without_those_of_no_label() -> None:
    vocabulary, table = ClassChoice().apply(["background", "door, gate", "Void", "car"], "f")
    assert vocabulary.labels == ["door, gate", "car"]
    assert vocabulary.entries[0].words == ["door", "gate"]
    assert table.tolist() == [IGNORE, 0, IGNORE, 1, IGNORE]


def test_a_class_for_pixels_without_a_label() -> None:
    vocabulary, table = ClassChoice(unlabelled="background").apply(["background", "car"], "f")
    assert vocabulary.labels == ["car", "background"]
    assert table.tolist() == [1, 0, 1]
    vocabulary, table = ClassChoice.of(("car", "Ground"), "ground").apply(["car"], "f")
    assert (vocabulary.labels, table.tolist()) == (["car", "Ground"], [0, 1])


@pytest.mark.parametrize(("text", "label"), [("wall, floor", "wall"), ("other = rest; void", "other")])
def test_the_class_of_pixels_without_a_label_may_have_other_words(text: str, label: str) -> None:
    vocabulary, table = ClassChoice(unlabelled=text).apply(["car"], "f")
    assert (vocabulary.labels, table.tolist()) == (["car", label], [0, 1])
    vocabulary, table = ClassChoice.of((text, "car"), text).apply(["car"], "f")
    assert (vocabulary.labels, table.tolist()) == ([label, "car"], [1, 0])


def test_a_class_of_a_file_whose_name_has_a_comma_can_be_that_of_pixels_without_a_label() -> None:
    vocabulary, table = ClassChoice(unlabelled="door, gate").apply(["car", "door, gate"], "f")
    assert (vocabulary.labels, table.tolist()) == (["car", "door, gate"], [0, 1, 1])


def test_a_class_list_takes_classes_of_the_file_together(tmp_path: Path, caplog) -> None:
    (tmp_path / "classes.txt").write_text("tree\nvehicle = car; bus\n")
    choice = ClassChoice.of(str(tmp_path / "classes.txt"))
    with caplog.at_level(logging.WARNING):
        vocabulary, table = choice.apply(["Bus", "lamp", "tree", "car", "void"], "f.json")
    assert vocabulary.labels == ["tree", "vehicle"]
    assert table.tolist() == [1, IGNORE, 0, 1, IGNORE, IGNORE]
    assert caplog.messages == ["f.json: not in the class list, and not labelled therefore: lamp"]


def test_lists_are_files_known_vocabularies_or_names() -> None:
    assert len(ClassChoice.of("ade20k-150").classes or ()) == 150
    assert ClassChoice.of(("a", "b")).vocabulary(["x"]).labels == ["a", "b"]
    with pytest.raises(VocabularyError, match=r"nowhere\.txt"):
        ClassChoice.of("nowhere.txt")


def test_lists_that_do_not_fit_are_refused() -> None:
    with pytest.raises(VocabularyError, match=r"f: no class of its file \(cat\) is in the class list \(dog\)"):
        ClassChoice.of(("dog",)).apply(["cat"], "f")
    with pytest.raises(VocabularyError, match=r"names no class; .*data\.classes"):
        ClassChoice().apply(["void"], "f")
