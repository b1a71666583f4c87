"""One class of a vocabulary: its label, the names that share it, and the synonyms of each name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ahs_seg.errors import AhsSegError
from ahs_seg.io.outside_text import HIDDEN

SEPARATORS: Final = str.maketrans({**dict.fromkeys("，、،", ","), **dict.fromkeys("；؛", ";"), "＝": "="})
"""Commas, semicolons and equals signs of Chinese, Japanese and Arabic writing, and what they stand for."""
_UNSEEN: Final = re.compile(
    "(\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)|"  # a flag such as that of Wales, whose letters are tags
    "[\xad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
"""Characters that show nothing and that no name needs, such as soft hyphens, marks of direction, fillers and tags.

With those of `_SPELLING`, and the controls of direction, which are refused, these are the characters that Unicode calls
`Default_Ignorable_Code_Point`, and the signs around annotations.
"""
_SPELLING: Final = re.compile("[\u200c\u200d\u17b4\u17b5\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Characters that show nothing themselves, but are part of the spelling of some languages and of emoji: joiners,
variation selectors, vowels of Khmer."""


class VocabularyError(AhsSegError, ValueError):
    """Error for invalid class names; the message says which name is wrong and what is allowed."""


@dataclass(frozen=True, slots=True)
class ClassName:
    """One class: its label and the names that map to it; a name may list synonyms, separated by commas.

    Synonyms denote one thing (`"sofa, couch"`) and are combined by the synonym rule. Names denote different things that
    share a label (`"car"` and `"bus"` for `vehicle`): under every rule each name is scored separately, and the class
    gets the best score.
    """

    label: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        words = self.words
        if not words or not all(map(twin_key, [self.label, *words])):
            raise VocabularyError(f"class {self.label!r} has a blank name in {list(self.names)!r}; fill or remove it")
        if hidden := HIDDEN.search("".join([self.label, *words])):
            raise VocabularyError(
                f"class {self.label!r} contains the hidden character U+{ord(hidden[0]):04X}; a class name is text that "
                "can be read. Remove the character."
            )
        if again := repeated(words):
            raise VocabularyError(f"class {self.label!r} lists the name {again[0]!r} more than once; keep one")

    @classmethod
    def parse(cls, text: str) -> ClassName:
        """Class parsed from `sofa, couch` (synonyms) or `vehicle = car, auto; bus` (several names, one label).

        The separators may be those of other languages, such as `，`, `、` and `；`.
        """
        label, equals, names = text.translate(SEPARATORS).partition("=")
        parts = tuple(_split(names if equals else label, ";"))
        return cls(tidy(label) if equals else _split(parts[0], ",")[0], parts)

    @property
    def synonyms(self) -> tuple[tuple[str, ...], ...]:
        """Synonyms of each name, in the order given."""
        return tuple(tuple(_split(name, ",")) for name in self.names)

    @property
    def words(self) -> list[str]:
        """All synonyms of all names."""
        return [word for name in self.names for word in _split(name, ",")]

    @property
    def in_full(self) -> ClassName:
        """Class relabelled with all of its names, joined by commas; unchanged if its label is not its first name."""
        words = self.words
        return ClassName(", ".join(words), self.names) if self.label == words[0] else self

    def merged(self, other: ClassName) -> ClassName:
        """Class with the names of another one added, those left out whose words it has already."""
        known = set(map(twin_key, self.words))
        return ClassName(self.label, (*self.names, *(name for name in other.names if not _keys(name) & known)))


def tidy(text: str) -> str:
    """The text composed (NFC), with single spaces and without characters that have no width and no meaning."""
    return " ".join(unicodedata.normalize("NFC", _UNSEEN.sub(r"\1", text)).split())


def twin_key(name: str) -> str:
    """What is equal for names that look alike: lower case, composed, without any character of no width."""
    return tidy(_SPELLING.sub("", name)).casefold()


def written_label(text: str) -> str:
    """The label of `ClassName.parse(text)` with its characters as they were written."""
    label, equals, _ = text.translate(SEPARATORS).partition("=")
    return " ".join((label if equals else label.split(";")[0].split(",")[0]).split())


def repeated(names: Sequence[str]) -> list[str]:
    """Names that occur more than once, upper and lower case not distinguished."""
    counts = Counter(name.casefold() for name in names)
    return list({name.casefold(): name for name in names if counts[name.casefold()] > 1}.values())


def with_full_labels(entries: Sequence[ClassName]) -> list[ClassName]:
    """The classes, each labelled with all of its names where several have the same label."""
    shared = {label.casefold() for label in repeated([entry.label for entry in entries])}
    return [entry.in_full if entry.label.casefold() in shared else entry for entry in entries]


def _keys(name: str) -> set[str]:
    return set(map(twin_key, _split(name, ",")))


def _split(text: str, separator: str) -> list[str]:
    return [tidy(part) for part in text.split(separator)]
