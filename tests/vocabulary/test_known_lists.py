"""Which known list somebody means."""

import pytest

from ahs_seg.vocabulary.known_lists import find_known, known_text, known_vocabularies, near_known


@pytest.mark.parametrize("text", ["ade20k-150", "ADE20K-150", " Ade20K_150 ", "ADE20K 150"])
def test_a_list_is_found_in_any_case(text: str) -> None:
    assert find_known(text) == "ade20k-150"
    assert "\nwall\n" in known_text("ade20k-150")


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ("ade20k", ["ade20k-150", "ade20k-847"]),
        ("ADE", ["ade20k-150", "ade20k-847"]),
        ("coco", ["coco-stuff-171"]),
        ("COCO-Stuff", ["coco-stuff-171"]),
        ("cocostuff164k", ["coco-stuff-171"]),
        ("voc", ["pascal-voc-20", "pascal-voc-20b"]),
        ("VOC2012", ["pascal-voc-20", "pascal-voc-20b"]),
        ("pascal-context", ["pascal-context-459", "pascal-context-59"]),
        ("ade2ok-150", ["ade20k-150"]),
    ],
)
def test_a_near_miss_is_noticed(text: str, lists: list[str]) -> None:
    assert find_known(text) is None
    assert near_known(text)[: len(lists)] == lists


@pytest.mark.parametrize(
    "text", ["cat", "coconut", "adelie penguin", "pasta", "context", "stuff", "猫", "150", "voice"]
)
def test_classes_are_no_near_misses(text: str) -> None:
    assert near_known(text) == []


def test_the_names_are_those_of_the_files() -> None:
    assert "pascal-voc-20b" in known_vocabularies()
    assert all(find_known(name) == name for name in known_vocabularies())
