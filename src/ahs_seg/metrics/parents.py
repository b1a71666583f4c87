"""Tables of broader classes for SG-IoU: read from a file, or proposed from the words alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ahs_seg.config import Config
from ahs_seg.errors import AhsSegError
from ahs_seg.vocabulary.vocabulary import Vocabulary


class ParentTableError(AhsSegError, ValueError):
    """A table that cannot be used; the message says where it is wrong and what is allowed."""


class ParentTable(Config):
    """For each class the broader (or equivalent) classes that count in part when predicted instead; by index.

    `source` says where the table comes from; tables of different sources give different numbers.
    """

    source: str
    parents: dict[int, tuple[int, ...]]

    @property
    def edges(self) -> list[tuple[int, int]]:
        """(class, broader class), in ascending order."""
        return sorted((narrow, broad) for narrow, several in self.parents.items() for broad in several)

    @classmethod
    def load(cls, path: Path, vocabulary: Vocabulary, *, benchmark: str | None = None) -> ParentTable:
        """The table in a JSON file: `{"armchair": ["chair"]}` or `{"30": [19]}`, by label or by index.

        Tables of several benchmarks stand under `maps`, by name; then `benchmark` chooses (`-` and `_` are the same).

        Raises:
            ParentTableError: not such a file, none for this benchmark, classes that do not exist.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ParentTableError(f"{path}: not a table of broader classes in JSON ({error}).") from None
        if isinstance(values, dict) and "maps" in values:
            values = _chosen(values["maps"], benchmark, path)
        if not isinstance(values, dict):
            raise ParentTableError(
                f"{path}: holds a {type(values).__name__}; a table maps classes to lists of classes."
            )
        index = {label: number for number, label in enumerate(vocabulary.labels)}
        parents = {}
        for narrow, broad in values.items():
            if not isinstance(broad, Sequence) or isinstance(broad, str):
                raise ParentTableError(f"{path}: {narrow!r}: {broad!r} is not a list of classes.")
            found = tuple(dict.fromkeys(_index(one, index, path) for one in broad))
            parents[_index(narrow, index, path)] = found
        return cls(source=path.name if benchmark is None else f"{path.name}, {benchmark}", parents=parents)

    def to_json(self, vocabulary: Vocabulary) -> str:
        """The table by labels, as `load` takes it."""
        labels = vocabulary.labels
        named = {labels[narrow]: [labels[broad] for broad in several] for narrow, several in self.parents.items()}
        return json.dumps(named, indent=1, ensure_ascii=False) + "\n"


def propose_parents(vocabulary: Vocabulary) -> ParentTable:
    """Broader classes by the words alone: another class's name is the head of this one's, or the very same name.

    The head of an English name is its end ("swivel chair" -> "chair") or what stands before "of" ("chest of drawers" ->
    "chest"). All synonyms count. A proposal to be read and corrected: words do not know that a sofa is a seat.
    """
    names = [{word.casefold() for synonyms in entry.synonyms for word in synonyms} for entry in vocabulary.entries]
    owners: defaultdict[str, list[int]] = defaultdict(list)
    for index, words in enumerate(names):
        for word in words:
            owners[word].append(index)
    parents = {}
    for index, words in enumerate(names):
        heads = {head for word in words for head in _heads(word)}
        broad = sorted({owner for head in heads for owner in owners.get(head, ()) if owner != index})
        if broad:
            parents[index] = tuple(broad)
    return ParentTable(source="proposed from the words", parents=parents)


def _heads(name: str) -> Iterator[str]:
    yield name
    tokens = name.replace("-", " ").split()
    if "of" in tokens[1:-1]:
        tokens = tokens[: tokens.index("of", 1)]
        yield " ".join(tokens)
    yield from (" ".join(tokens[start:]) for start in range(1, len(tokens)))


def _chosen(maps: object, benchmark: str | None, path: Path) -> object:
    if not isinstance(maps, Mapping):
        raise ParentTableError(f"{path}: `maps` holds no tables by benchmark.")
    named = {str(name).replace("_", "-"): table for name, table in maps.items()}
    wanted = (benchmark or "").replace("_", "-")
    if wanted not in named:
        asked = f"no table for {benchmark!r}" if benchmark else "several tables and no benchmark was named"
        raise ParentTableError(f"{path}: {asked}; there are {', '.join(named)}.")
    return named[wanted]


def _index(value: object, index: Mapping[str, int], path: Path) -> int:
    if isinstance(value, str) and value in index:
        return index[value]
    number = int(value) if isinstance(value, str) and value.isdigit() else value
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(index):
        return number
    raise ParentTableError(f"{path}: no class {value!r}; allowed are labels and 0..{len(index) - 1}.")
