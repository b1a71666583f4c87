"""Merging of classes whose labels look alike: other code points for the same characters, or characters of no width."""

from __future__ import annotations

from collections.abc import Sequence

from ahs_seg.vocabulary.class_name import ClassName, twin_key, written_label
from ahs_seg.vocabulary.class_texts import ClassItem


def entries_of(items: Sequence[ClassItem]) -> tuple[list[ClassName], list[tuple[int, str]]]:
    """The classes of a list with twins merged into the first of them; index and a notice of each item that was merged.

    Labels that are written alike, or differ in upper and lower case only, are no twins: they are errors of a list.

    Raises:
        VocabularyError: an item is no class.
    """
    entries: list[ClassName] = []
    first: dict[str, tuple[int, str, str]] = {}
    notices = []
    for number, item in enumerate(items):
        entry = item.entry()
        written = item.text if item.names is not None else written_label(item.text)
        index, earlier, place = first.setdefault(twin_key(entry.label), (len(entries), written, item.place))
        if index < len(entries) and written.casefold() != earlier.casefold():
            entries[index] = entries[index].merged(entry)
            unlike = _unlike(written, earlier)
            text = (
                f"{item.place}: {entry.label!r} looks like the class of {place} (unlike are {unlike}); they are merged"
            )
            notices.append((number, text))
        else:
            entries.append(entry)
    return entries, notices


def _unlike(written: str, earlier: str) -> str:
    """Code points of one text that are not in the other, in either direction."""
    points = sorted((set(written) ^ set(earlier)), key=ord)
    return ", ".join(f"U+{ord(point):04X}" for point in points) or "the order of code points"
