"""Texts with class names, as people write them, as one item for each class.

One line has names between separators; several lines have a class each, which may be numbered, and comments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from ahs_seg.vocabulary.class_name import SEPARATORS, ClassName, VocabularyError, tidy

_NUMBERED: Final = re.compile(r"(\d{1,6})(\s*[.:)=]\s*|\t\s*|\s+)(\S.*)", re.DOTALL)
_COMMENT: Final = re.compile(r"\s#(\s.*)?$")
_QUOTES: Final = ('"', "'")


@dataclass(frozen=True, slots=True)
class ClassItem:
    """One class of a list as it was written: where (a number in its list, and in words), and its text.

    `names` are those of a mapping, whose label is `text`; None: the text holds the names, see `ClassName.parse`.
    """

    place: str
    number: int
    text: str
    names: tuple[str, ...] | None = None

    def entry(self) -> ClassName:
        """The class.

        Raises:
            VocabularyError: it is blank, or has a blank or repeated name.
        """
        if self.names is not None:
            return ClassName(tidy(self.text), tuple(tidy(name.translate(SEPARATORS)) for name in self.names))
        if not self.text.strip():
            raise VocabularyError(f"{self.place} is blank; every class needs a name")
        return ClassName.parse(self.text)


@dataclass(frozen=True, slots=True)
class ClassItems:
    """The classes of a list in their order; `notices` say what was read differently from how it was written.

    `faults` say why the position of a class may not be the label that its author meant; label maps need a list without.
    `blank` are the numbers of lines that were left out.
    """

    items: tuple[ClassItem, ...]
    notices: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    blank: tuple[int, ...] = field(default=())


def words_of(text: str) -> list[str]:
    """The classes of one line: separated by commas, by semicolons (commas then separate synonyms), or `a = b; c`.

    Separators of other languages count as well; one at the end separates nothing.
    """
    plain = text.translate(SEPARATORS).strip()
    parts = plain.split(";")
    labelled = [part for part in parts if "=" in part]  # whose semicolons separate the names of one label
    by_semicolons = len(parts) > 1 and (not labelled or (labelled == parts and "," not in plain))
    found = parts if by_semicolons else plain.split(",")
    return found[:-1] if len(found) > 1 and not found[-1].strip() else found


def inline_items(text: str) -> ClassItems:
    """The classes of a text as it is typed: one line with separators, or a class a line."""
    text = text.strip()
    if len(text.splitlines()) > 1:
        return spread(line_items(text, "the class list"), "the class list")
    return _words(text, "the class list") if text else ClassItems(())


def line_items(text: str, source: str) -> ClassItems:
    """The classes of a text with one class a line; blank lines and comments (`#`) are left out."""
    items, blank = [], []
    for number, line in enumerate(text.rstrip().splitlines(), start=1):
        words = _bare(line)
        if words:
            items.append(ClassItem(f"{source}, line {number}", number, words))
        elif not line.lstrip().startswith("#"):
            blank.append(number)
    faults = tuple(f"{source}, line {number} is blank; every class needs a name" for number in blank)
    found = without_numbers(items, source)
    return replace(found, faults=(*faults, *found.faults), blank=tuple(blank))


def spread(found: ClassItems, source: str) -> ClassItems:
    """The classes of a text; if it has a single line of names, they are those between its separators."""
    return _words(found.items[0].text, source) if len(found.items) == 1 else found


def without_numbers(items: Sequence[ClassItem], source: str) -> ClassItems:
    """The items without numbers before their names, if all are numbered in ascending order (`0: cat`, `1. cat`)."""
    found = [_NUMBERED.fullmatch(item.text.strip()) for item in items]
    matches = [one for one in found if one is not None]
    if len(items) < 2 or len(matches) < len(items):
        return ClassItems(tuple(items))
    numbers = [int(one[1]) for one in matches]
    ascending = all(one < other for one, other in pairwise(numbers))
    consecutive = ascending and numbers[-1] - numbers[0] == len(numbers) - 1
    clear = all(one[2].strip() or "\t" in one[2] for one in matches)  # "1 euro coin" may be a name
    texts = [one[3] for one in matches]
    if not (ascending if clear else consecutive and numbers[0] in (0, 1) and len(set(map(tidy, texts))) == len(texts)):
        return ClassItems(tuple(items))
    stripped = tuple(replace(item, text=text) for item, text in zip(items, texts, strict=True))
    return ClassItems(stripped, *numbering(numbers, source))


def numbering(numbers: Sequence[int], source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Notices and faults of a list whose classes have these ascending numbers."""
    range_of = f"{source}: the numbers {numbers[0]} to {numbers[-1]} of the classes"
    if numbers == list(range(len(numbers))):
        return (), ()
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return (), (f"{range_of} do not begin with 0, as labels do; number them from 0, or leave the numbers out",)
    text = f"{range_of} have gaps; their labels are 0 to {len(numbers) - 1}, in this order"
    return (text,), (text,)


def _words(line: str, source: str) -> ClassItems:
    items = [ClassItem(f"name {number}", number, part) for number, part in enumerate(words_of(line), start=1)]
    return without_numbers(items, source)


def _bare(line: str) -> str:
    """A line without a comment, a separator at its end, and quotes around it."""
    text = line.strip()
    if text.startswith("#"):
        return ""
    text = _COMMENT.sub("", text)
    if text.translate(SEPARATORS)[-1:] in (",", ";"):
        text = text[:-1].rstrip()
    quoted = len(text) > 1 and text[0] in _QUOTES and text[0] == text[-1] and text.count(text[0]) == 2
    return text[1:-1] if quoted else text
