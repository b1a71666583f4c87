"""Vocabulary of a call: class labels, the names that share a label, and the synonyms of each name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from ahs_seg.vocabulary.class_files import mapping_items, read_items
from ahs_seg.vocabulary.class_list import items_of, known_items
from ahs_seg.vocabulary.class_name import ClassName as ClassName  # where its users look for it
from ahs_seg.vocabulary.class_name import VocabularyError as VocabularyError  # likewise
from ahs_seg.vocabulary.class_name import repeated, tidy, with_full_labels
from ahs_seg.vocabulary.class_texts import ClassItem, ClassItems, words_of
from ahs_seg.vocabulary.known_lists import find_known
from ahs_seg.vocabulary.known_lists import known_vocabularies as known_vocabularies  # likewise
from ahs_seg.vocabulary.notices import notice
from ahs_seg.vocabulary.twins import entries_of

SynonymRule = Literal["first", "mean", "max", "joined"]
"""How synonyms are used: only the first one (CAT-Seg), the mean of their embeddings, the best-scoring one per pixel, or
all of them in one prompt, separated by commas (SAN)."""


BACKGROUND: Final = "background"


class VocabularyRow(NamedTuple):
    """One prompt row: the index of its class, and the synonyms whose embeddings are averaged for it."""

    class_index: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Ordered list of classes with unique labels; the label of a pixel is an index into this list."""

    entries: tuple[ClassName, ...]

    def __post_init__(self) -> None:
        if not self.entries:
            raise VocabularyError("the class list is empty; name at least one class, e.g. 'cat, sofa, lamp'")
        if again := repeated(self.labels):
            raise VocabularyError(
                f"{len(again)} label(s) occur more than once: {', '.join(map(repr, again))}. Labels must differ "
                "in more than case; names that share a label are one entry, e.g. 'vehicle = car; bus'."
            )

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def labels(self) -> list[str]:
        """Label of every class, in order."""
        return [entry.label for entry in self.entries]

    @property
    def background(self) -> int | None:
        """Index of the class labelled "background", `None` if there is none; annotation formats omit this class."""
        return next((index for index, label in enumerate(self.labels) if label.casefold() == BACKGROUND), None)

    def with_background(self, names: Sequence[str]) -> Vocabulary:
        """Vocabulary with a class "background" of these names appended as the last class.

        Raises:
            VocabularyError: no names are given, one is blank, or the vocabulary already has a background class.
        """
        if isinstance(names, str) or self.background is not None:
            raise VocabularyError(
                f"background {names!r}: give a list of names, e.g. ['wall', 'floor'], to classes without a background "
                "of their own"
            )
        given = ClassItem(f"class {BACKGROUND!r}", len(self) + 1, BACKGROUND, tuple(names))
        return Vocabulary((*self.entries, given.entry()))

    @classmethod
    def parse(cls, source: ClassSource) -> Vocabulary:
        """Vocabulary built from any supported description: a list, a mapping, a text, a file or a known name.

        A list has one class per item, a text file one per line (`ClassName.parse`); for other files see
        `class_files.read_items`. A string is the name of a known vocabulary, the path of a file, or class names between
        commas or semicolons (or a class a line, so that commas separate synonyms). A mapping gives each label its name
        or names, or each number its name. Names that differ only in how their characters are composed, or in characters
        that cannot be seen, are merged, which is logged as a warning. Where several classes have the same first name,
        as in ADE20K-847, each is labelled with all of its names.

        Raises:
            VocabularyError: there is no class, a name is blank or no string, a label is repeated, a file is unreadable,
                or a single word is nearly the name of a known vocabulary or a file.
        """
        if isinstance(source, Vocabulary):
            return source
        found = _items(source)
        entries, merged = entries_of(found.items)
        for text in (*found.notices, *(text for _, text in merged)):
            notice(text)
        return cls(tuple(with_full_labels(entries)))

    @classmethod
    def read(cls, path: Path | str) -> Vocabulary:
        """Vocabulary read from a file whose n-th class has the label n in label maps; see `class_files.read_items`.

        Raises:
            VocabularyError: the file is unreadable, or the position of a class may not be its label: a line is blank,
                its numbers do not count from 0, or two classes look alike.
        """
        found = read_items(Path(path))
        entries, merged = entries_of(found.items)
        if faults := (*found.faults, *(text for _, text in merged)):
            raise VocabularyError(faults[0])
        return cls(tuple(with_full_labels(entries)))

    @classmethod
    def known(cls, name: str) -> Vocabulary:
        """Vocabulary of a published benchmark, by its name; see `known_vocabularies`."""
        found = find_known(name)
        if found is None:
            raise VocabularyError(f"no vocabulary is called {name!r}; known are {', '.join(known_vocabularies())}")
        return cls(tuple(with_full_labels([item.entry() for item in known_items(found).items])))

    @classmethod
    def join(cls, sources: Sequence[ClassSource]) -> Vocabulary:
        """Vocabulary with the classes of several lists, one after the other; labels that are there already are merged.

        Raises:
            VocabularyError: as by `parse`, or no list is given.
        """
        entries: dict[str, ClassName] = {}
        twice = []
        for entry in [entry for source in sources for entry in cls.parse(source).entries]:
            key = entry.label.casefold()
            twice += [entry.label] if key in entries else []
            entries[key] = entries[key].merged(entry) if key in entries else entry
        if twice:
            notice(f"in more than one class list, and taken once: {', '.join(twice)}")
        return cls(tuple(entries.values()))

    def rows(self, rule: SynonymRule) -> list[VocabularyRow]:
        """Prompt rows under a synonym rule: one or more rows per class, in the order of the classes."""
        rows: list[VocabularyRow] = []
        for index, entry in enumerate(self.entries):
            for words in entry.synonyms:
                if rule == "max":
                    rows += [VocabularyRow(index, (word,)) for word in words]
                elif rule == "joined":
                    rows.append(VocabularyRow(index, (", ".join(words),)))
                else:
                    rows.append(VocabularyRow(index, words if rule == "mean" else words[:1]))
        return rows

    def collisions(self, rule: SynonymRule = "first") -> dict[str, tuple[int, ...]]:
        """Groups of classes with identical prompts under a synonym rule: the shared names, and the class indices."""
        groups: defaultdict[tuple[str, ...], dict[int, str]] = defaultdict(dict)
        for row in self.rows(rule):
            groups[tuple(sorted(map(str.casefold, row.words)))][row.class_index] = ", ".join(row.words)
        return {next(iter(group.values())): tuple(group) for group in groups.values() if len(group) > 1}


ClassSource: TypeAlias = (
    Vocabulary | str | Path | Mapping[str, str | Sequence[str]] | Mapping[int, str] | Mapping[str, int] | Iterable[str]
)
"""Every type that `Vocabulary.parse` accepts."""


def warn_of_single_class(vocabulary: Vocabulary) -> None:
    """Log a warning if a vocabulary has one class only, which gets every pixel of every image."""
    if len(vocabulary) == 1:
        label = vocabulary.labels[0]
        notice(
            f"{label!r} is the only class, so every pixel will be {label!r}; name what else is in the images "
            f"('{label}, ...'), or give background names (--background 'wall, floor', background=['wall', 'floor'])"
        )


def background_names(text: str) -> list[str]:
    """Names of the background class as they are typed, between separators.

    Raises:
        VocabularyError: one is blank.
    """
    names = [tidy(name) for name in words_of(text)]
    if not all(names):
        raise VocabularyError(f"background {text!r} has a blank name; give names such as 'wall, floor'")
    return names


def _items(source: object) -> ClassItems:
    if isinstance(source, Path | str):
        return items_of(source)
    if isinstance(source, Mapping):
        return mapping_items(source, "classes")
    if not isinstance(source, Iterable):
        raise VocabularyError(
            f"classes were given as {type(source).__name__}; give a text, a list of names, a mapping of labels "
            "to names, or the path of a text file"
        )
    items = []
    for number, item in enumerate(source, start=1):
        if not isinstance(item, str):
            raise VocabularyError(f"item {number} is {item!r} ({type(item).__name__}); a class name is a text")
        items.append(ClassItem(f"item {number}", number, item))
    return ClassItems(tuple(items))
