"""Which classes a dataset has: those of its file, or those of a class list that name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Int32

from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.class_name import VocabularyError, twin_key
from ahs_seg.vocabulary.notices import notice
from ahs_seg.vocabulary.vocabulary import Vocabulary, known_vocabularies

NO_LABEL: Final = frozenset(["background", "void", "unlabelled", "unlabeled", "ignore", "ignored", "no label"])
"""Names under which files of others list the pixels without a label."""

ClassNames: TypeAlias = str | tuple[str, ...] | None
"""A class list in a config: the path of a file or the name of a known vocabulary, or the names themselves."""


@dataclass(frozen=True, slots=True)
class ClassChoice:
    """The classes of a dataset: `classes` is a class list (None: the classes of the file).

    A class of the file belongs to the first class of the list that has its name, as label, name or synonym: a line
    `vehicle = car; bus` takes two classes of the file together. Pixels of classes that the list does not name count as
    not labelled. `unlabelled` is the class of pixels without a label (None: they are ignored); it is appended to the
    classes unless it is one of them, and may have synonyms as a line of a class list has.
    """

    classes: Vocabulary | None = None
    unlabelled: str | None = None

    @classmethod
    def of(cls, classes: ClassNames, unlabelled: str | None = None) -> ClassChoice:
        """The choice of a class list that is a file, the name of a known vocabulary, or a list of names.

        Raises:
            VocabularyError: there is no such file or vocabulary, or it holds no class list.
        """
        if classes is None:
            return cls(None, unlabelled)
        if not isinstance(classes, str):
            return cls(Vocabulary.parse(list(classes)), unlabelled)
        known = not Path(classes).exists() and classes in known_vocabularies()
        return cls(Vocabulary.known(classes) if known else Vocabulary.read(Path(classes)), unlabelled)

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        """Vocabulary of the chosen classes of a file with these class names; names of no label are no class.

        Raises:
            VocabularyError: there is no class.
        """
        found = self.classes
        if found is None:
            kept = [name for name in names if name.strip().casefold() not in NO_LABEL]
            found = Vocabulary.parse(dict(zip(kept, kept, strict=True))) if kept else None
        if found is None:
            raise VocabularyError("the file names no class; give a class list: data.classes=classes.txt")
        if self.unlabelled is None or self.unlabelled.casefold() in map(str.casefold, found.labels):
            return found
        (added,) = Vocabulary.parse([self.unlabelled]).entries
        known = added.label.casefold() in map(str.casefold, found.labels)
        return found if known else Vocabulary((*found.entries, added))

    def apply(self, names: Sequence[str], title: str) -> tuple[Vocabulary, Int32[np.ndarray, " n"]]:
        """The vocabulary, and the label in it of every class of the file; the last entry is that of unlabelled pixels.

        Classes of the file that the class list does not name are told.

        Raises:
            VocabularyError: as by `vocabulary`, or no class of the file is in the class list.
        """
        vocabulary = self.vocabulary(names)
        place = _places(vocabulary)
        rest = IGNORE if self.unlabelled is None else _place_of(self.unlabelled, place)
        found = [place.get(twin_key(name)) for name in names]
        if names and not any(label is not None for label in found):
            raise VocabularyError(
                f"{title}: no class of its file ({_listed(names)}) is in the class list "
                f"({_listed(vocabulary.labels)}); give a list with the names of the file: data.classes=classes.txt"
            )
        left = [name for name, label in zip(names, found, strict=True) if label is None]
        if unknown := [name for name in left if name.strip().casefold() not in NO_LABEL]:
            notice(f"{title}: not in the class list, and not labelled therefore: {_listed(unknown)}")
        return vocabulary, np.array([*(rest if label is None else label for label in found), rest], np.int32)


def _places(vocabulary: Vocabulary) -> Mapping[str, int]:
    """The index of the class of every label and word; the first class that has it counts, labels before words."""
    place: dict[str, int] = {}
    for index, label in enumerate(vocabulary.labels):
        place.setdefault(twin_key(label), index)
    for index, entry in enumerate(vocabulary.entries):
        for word in entry.words:
            place.setdefault(twin_key(word), index)
    return place


def _place_of(unlabelled: str, place: Mapping[str, int]) -> int:
    """The index of the class of unlabelled pixels: by its whole text (a name in a file may have a comma), or label."""
    whole = place.get(twin_key(unlabelled))
    return place[twin_key(Vocabulary.parse([unlabelled]).labels[0])] if whole is None else whole


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
