"""Classes that look alike are one class."""

import pytest

from ahs_seg.vocabulary.class_texts import ClassItem
from ahs_seg.vocabulary.twins import entries_of


def items(*texts: str) -> list[ClassItem]:
    return [ClassItem(f"item {number}", number, text) for number, text in enumerate(texts, start=1)]


@pytest.mark.parametrize(
    ("first", "second", "points"),
    [
        ("caf\u00e9", "cafe\u0301", "U+0065, U+00E9, U+0301"),
        ("cat", "c\u200bat", "U+200B"),
        ("cat", "cat\u200f", "U+200F"),
        ("cat", "cat\U000e0041", "U+E0041"),
        ("\u2764", "\u2764\ufe0f", "U+FE0F"),
        ("cat", "\ufeffcat", "U+FEFF"),
        ("می\u200cروم", "میروم", "U+200C"),
    ],
)
def test_twins_are_merged_with_a_notice(first: str, second: str, points: str) -> None:
    entries, merged = entries_of(items(first, "dog", f"{second}, more"))
    assert [len(entry.names) for entry in entries] == [1, 1]
    ((index, notice),) = merged
    assert index == 2
    assert notice.startswith("item 3: ")
    assert f"item 1 (unlike are {points})" in notice


def test_names_of_a_twin_are_kept() -> None:
    ((entry,), _) = entries_of(items("cat, kitty", "c\u200bat = puss; cat"))
    assert entry.names == ("cat, kitty", "puss")


@pytest.mark.parametrize("other", ["cat", "Cat", " cat "])
def test_what_is_written_alike_is_no_twin(other: str) -> None:
    entries, merged = entries_of(items("cat", other))
    assert len(entries) == 2
    assert merged == []
