"""Texts with class names as people write them."""

import pytest

from ahs_seg.vocabulary.class_name import VocabularyError
from ahs_seg.vocabulary.class_texts import ClassItem, inline_items, line_items, words_of


def texts(text: str) -> list[str]:
    return [item.text.strip() for item in inline_items(text).items]


@pytest.mark.parametrize(
    "text",
    [
        "cat, sofa, lamp",
        "cat,sofa,lamp,",
        "cat; sofa; lamp",
        "cat，sofa，lamp",
        "cat、sofa、lamp。".rstrip("。"),
        "cat；sofa；lamp；",
        "cat\nsofa\nlamp",
        "cat\r\n\r\nsofa\r\nlamp\r\n",
        "cat,\nsofa,\nlamp",
        "# pets\ncat\n  # furniture\nsofa # where it sleeps\n\nlamp\n",
        '"cat",\n"sofa",\n\'lamp\'',
        "1. cat\n2. sofa\n3. lamp",
        "0: cat\n1: sofa\n2: lamp",
        "1) cat\n2) sofa\n3) lamp",
        "0\tcat\n1\tsofa\n2\tlamp",
        "0 cat\n1 sofa\n2 lamp",
        "7: cat\n8: sofa\n11: lamp",
        "1. cat, 2. sofa, 3. lamp",
        "# one line\ncat, sofa, lamp\n",
    ],
)
def test_every_way_to_write_three_classes(text: str) -> None:
    assert texts(text) == ["cat", "sofa", "lamp"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat, kitty; dog, puppy", ["cat, kitty", "dog, puppy"]),
        ("sofa, couch\nlamp", ["sofa, couch", "lamp"]),
        ("vehicle = car, auto; bus\nlamp", ["vehicle = car, auto; bus", "lamp"]),
        ("vehicle = car; bus, tree", ["vehicle = car; bus", "tree"]),
        ("vehicle = car; animal = cat", ["vehicle = car", "animal = cat"]),
        ("1 euro coin\n1 cent coin", ["1 euro coin", "1 cent coin"]),
        ("1 coin\n2 coin", ["1 coin", "2 coin"]),
        ("3D printer\n4K display", ["3D printer", "4K display"]),
        ("C#\nJava", ["C#", "Java"]),
        ("2. cat\n1. dog", ["2. cat", "1. dog"]),
        ("cat,, dog", ["cat", "", "dog"]),
        ("", []),
        ("# nothing", ["# nothing"]),
    ],
)
def test_what_else_a_text_may_be(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_numbers_with_gaps_are_told() -> None:
    found = line_items("7: road\n8: car\n11: sky", "cs.txt")
    assert [item.text for item in found.items] == ["road", "car", "sky"]
    (notice,) = found.notices
    assert notice == "cs.txt: the numbers 7 to 11 of the classes have gaps; their labels are 0 to 2, in this order"
    assert found.faults == found.notices
    from_one = line_items("1. road\n2. car", "cs.txt")
    assert from_one.notices == ()
    assert "do not begin with 0" in from_one.faults[0]
    assert line_items("0. road\n1. car", "cs.txt").faults == ()


def test_blank_lines_are_left_out_and_remembered() -> None:
    found = line_items("cat\n\n \ndog\n\n", "a.txt")
    assert [(item.place, item.number) for item in found.items] == [("a.txt, line 1", 1), ("a.txt, line 4", 4)]
    assert found.blank == (2, 3)
    assert found.faults[0] == "a.txt, line 2 is blank; every class needs a name"


def test_an_item_is_a_class() -> None:
    assert ClassItem("item 1", 1, "seat", (" chair ", "sofa，couch")).entry().names == ("chair", "sofa,couch")
    with pytest.raises(VocabularyError, match="item 1 is blank"):
        ClassItem("item 1", 1, " ").entry()


def test_words_of_a_line() -> None:
    assert [word.strip() for word in words_of("wall, floor、ceiling,")] == ["wall", "floor", "ceiling"]
