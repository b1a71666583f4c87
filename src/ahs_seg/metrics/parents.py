"""Tables of parent classes (hypernyms) for SG-IoU: read from a file, or proposed from the class names."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ahs_seg.config import Config
from ahs_seg.documents import DocumentError, read_mapping
from ahs_seg.errors import AhsSegError
from ahs_seg.vocabulary.vocabulary import Vocabulary


class ParentTableError(AhsSegError, ValueError):
    """Error for an invalid table of parent classes; the message says what is wrong and what is allowed."""


class ParentTable(Config):
    """For each class, the parent (broader or equivalent) classes that earn partial credit when predicted; by index.

    `source` says where the table comes from; tables of different sources give different numbers.
    """

    source: str
    parents: dict[int, tuple[int, ...]]

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Pairs (class, parent class), in ascending order."""
        return sorted((narrow, broad) for narrow, several in self.parents.items() for broad in several)

    @classmethod
    def load(cls, path: Path, vocabulary: Vocabulary, *, benchmark: str | None = None) -> ParentTable:
        """Table read from a JSON file: `{"armchair": ["chair"]}` or `{"30": [19]}`, by label or by index.

        A file for several benchmarks holds one table per benchmark name under `maps`; `benchmark` selects one of them
        (`-` and `_` are equivalent).

        Raises:
            ParentTableError: the file is not such a table, has none for this benchmark, names unknown classes, lists a
                class twice or as its own parent.
        """
        try:
            values: object = read_mapping(path)
        except (OSError, DocumentError) as error:
            raise ParentTableError(f"not a table of broader classes in JSON: {error}.") from None
        if isinstance(values, dict) and "maps" in values:
            values = _chosen(values["maps"], benchmark, path)
        if not isinstance(values, dict):
            raise ParentTableError(
                f"{path}: holds a {type(values).__name__}; a table maps classes to lists of classes."
            )
        index = {label: number for number, label in enumerate(vocabulary.labels)}
        parents: dict[int, tuple[int, ...]] = {}
        for name, broad in values.items():
            if not isinstance(broad, Sequence) or isinstance(broad, str):
                raise ParentTableError(f"{path}: {name!r}: {broad!r} is not a list of classes.")
            narrow, found = _index(name, index, path), tuple(dict.fromkeys(_index(one, index, path) for one in broad))
            if narrow in found:
                raise ParentTableError(f"{path}: {name!r} is its own parent; leave it out of its list.")
            if narrow in parents:
                raise ParentTableError(
                    f"{path}: {name!r} is class {narrow} ({vocabulary.labels[narrow]}), which is listed twice; join "
                    "its lists into one."
                )
            parents[narrow] = found
        return cls(source=path.name if benchmark is None else f"{path.name}, {benchmark}", parents=parents)

    def to_json(self, vocabulary: Vocabulary) -> str:
        """Table as JSON text with class labels as keys, in the format that `load` reads."""
        labels = vocabulary.labels
        named = {labels[narrow]: [labels[broad] for broad in several] for narrow, several in self.parents.items()}
        return json.dumps(named, indent=1, ensure_ascii=False) + "\n"


def propose_parents(vocabulary: Vocabulary) -> ParentTable:
    """Parent classes proposed from the class names: the head noun of one name is the name of another class.

    The head of an English name is its end ("swivel chair" -> "chair") or what stands before "of" ("chest of drawers" ->
    "chest"); identical names also match. All synonyms count. The result should be checked and corrected by hand:
    names do not show that a sofa is a seat.
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
