"""Vocabulary of a call: class labels, the names that share a label, and the synonyms of each name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from ahs_seg.errors import AhsSegError
from ahs_seg.io.outside_text import HIDDEN

SynonymRule = Literal["first", "mean", "max", "joined"]
"""How synonyms are used: only the first one (CAT-Seg), the mean of their embeddings, the best-scoring one per pixel, or
all of them in one prompt, separated by commas (SAN)."""


BACKGROUND: Final = "background"


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
        words = self._words
        if not words or not all([self.label.strip(), *words]):
            raise VocabularyError(f"class {self.label!r} has a blank name in {list(self.names)!r}; fill or remove it")
        if hidden := HIDDEN.search("".join([self.label, *words])):
            raise VocabularyError(
                f"class {self.label!r} contains the hidden character U+{ord(hidden[0]):04X}; a class name is text that "
                "can be read. Remove the character."
            )
        if repeated := _repeated(words):
            raise VocabularyError(f"class {self.label!r} lists the name {repeated[0]!r} more than once; keep one")

    @classmethod
    def parse(cls, text: str) -> ClassName:
        """Class parsed from `sofa, couch` (synonyms) or `vehicle = car, auto; bus` (several names, one label)."""
        label, equals, names = text.partition("=")
        parts = tuple(_split(names if equals else text, ";"))
        return cls(_tidy(label) if equals else _split(parts[0], ",")[0], parts)

    @property
    def synonyms(self) -> tuple[tuple[str, ...], ...]:
        """Synonyms of each name, in the order given."""
        return tuple(tuple(_split(name, ",")) for name in self.names)

    @property
    def in_full(self) -> ClassName:
        """Class relabelled with all of its names, joined by commas; unchanged if its label is not its first name."""
        words = self._words
        return ClassName(", ".join(words), self.names) if self.label == words[0] else self

    @property
    def _words(self) -> list[str]:
        return [word for name in self.names for word in _split(name, ",")]


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
        if repeated := _repeated(self.labels):
            raise VocabularyError(
                f"{len(repeated)} label(s) occur more than once: {', '.join(map(repr, repeated))}. Labels must differ "
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
        return Vocabulary((*self.entries, _from_item(BACKGROUND, list(names))))

    @classmethod
    def parse(cls, source: ClassSource) -> Vocabulary:
        """Vocabulary built from any supported description: a list, a mapping, a text, a file or a known name.

        A list or a `.txt` file has one class per item or line (`ClassName.parse`). A string is the name of a known
        vocabulary, the path of a `.txt` file, or class names separated by commas (or by line breaks, so that
        commas separate synonyms). A mapping gives each label its name or names. Where several classes have the same
        first name, as in ADE20K-847, each is labelled with all of its names.

        Raises:
            VocabularyError: there is no class, a name is blank or no string, a label is repeated, a file is unreadable.
        """
        if isinstance(source, Vocabulary):
            return source
        if isinstance(source, Path):
            return cls.read(source)
        if isinstance(source, str):
            return cls._from_text(source.strip())
        if isinstance(source, Mapping):
            return cls(tuple(_from_item(label, names) for label, names in source.items()))
        if not isinstance(source, Iterable):
            raise VocabularyError(
                f"classes were given as {type(source).__name__}; give a text, a list of names, a mapping of labels "
                "to names, or the path of a text file"
            )
        return cls._from_lines([(f"item {number}", line) for number, line in enumerate(source, start=1)])

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """Vocabulary read from a text file with one class per line; lines that start with `#` are comments."""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise VocabularyError(f"{path}: not a readable list of classes (utf-8 text): {error}") from None
        return cls._from_file(text, str(path))

    @classmethod
    def known(cls, name: str) -> Vocabulary:
        """Vocabulary of a published benchmark, by its name; see `known_vocabularies`."""
        if name not in (known := known_vocabularies()):
            raise VocabularyError(f"no vocabulary is called {name!r}; known are {', '.join(known)}")
        return cls._from_file(_folder().joinpath(f"{name}.txt").read_text(encoding="utf-8"), name)

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

    @classmethod
    def _from_text(cls, text: str) -> Vocabulary:
        if text in known_vocabularies():
            return cls.known(text)
        if text.endswith(".txt"):
            return cls.read(Path(text))
        parts = text.splitlines() if "\n" in text else text.split(",")
        return cls._from_lines([(f"name {n}", part) for n, part in enumerate(parts, start=1)] if text else [])

    @classmethod
    def _from_file(cls, text: str, source: str) -> Vocabulary:
        lines = enumerate(text.rstrip().splitlines(), start=1)
        return cls._from_lines([(f"{source}, line {n}", line) for n, line in lines if not line.startswith("#")])

    @classmethod
    def _from_lines(cls, lines: Sequence[tuple[str, object]]) -> Vocabulary:
        entries: list[ClassName] = []
        for place, line in lines:
            if not isinstance(line, str):
                raise VocabularyError(f"{place} is {line!r} ({type(line).__name__}); a class name is a text")
            if not line.strip():
                raise VocabularyError(f"{place} is blank; every class needs a name")
            entries.append(ClassName.parse(line))
        shared = {label.casefold() for label in _repeated([entry.label for entry in entries])}
        return cls(tuple(entry.in_full if entry.label.casefold() in shared else entry for entry in entries))


ClassSource: TypeAlias = Vocabulary | str | Path | Mapping[str, str | Sequence[str]] | Iterable[str]
"""Every type that `Vocabulary.parse` accepts."""


def known_vocabularies() -> list[str]:
    """Names of the packaged vocabularies, as `Vocabulary.known` accepts them."""
    names = [file.name for file in _folder().iterdir()]
    return sorted(name.removesuffix(".txt") for name in names if name.endswith(".txt"))


def _folder() -> Traversable:
    return resources.files("ahs_seg").joinpath("vocabulary", "classes")


def _from_item(label: object, names: object) -> ClassName:
    given = [names] if isinstance(names, str) else names
    if not isinstance(label, str) or not isinstance(given, Sequence):
        raise VocabularyError(f"{label!r}: {names!r} is not a label with its name or a list of its names")
    if wrong := [name for name in given if not isinstance(name, str)]:
        raise VocabularyError(f"class {label!r} has the name {wrong[0]!r}; a class name is a text")
    return ClassName(_tidy(label), tuple(_tidy(name) for name in given))


def _split(text: str, separator: str) -> list[str]:
    return [_tidy(part) for part in text.split(separator)]


def _tidy(text: str) -> str:
    return " ".join(text.split())


def _repeated(names: Sequence[str]) -> list[str]:
    counts = Counter(name.casefold() for name in names)
    return list({name.casefold(): name for name in names if counts[name.casefold()] > 1}.values())
