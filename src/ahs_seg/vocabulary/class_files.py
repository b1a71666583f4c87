"""Files with class names: text, CSV and TSV tables, JSON and YAML, in the layouts that other tools write.

`id2label` of Hugging Face configs, `names` of Ultralytics datasets and `categories` of COCO annotations are found by
their keys. Sizes are compared with limits before anything is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Final

from ahs_seg.documents import MAX_DOCUMENT_BYTES, DocumentError, parse_json, parse_yaml, read_text
from ahs_seg.vocabulary.class_name import VocabularyError
from ahs_seg.vocabulary.class_texts import ClassItem, ClassItems, line_items, numbering, without_numbers, words_of

HOLDERS: Final = ("id2label", "names", "classes", "categories", "class_names", "labels", "label2id")
"""Keys under which documents of other tools hold their classes; the first one that is there counts."""
_LAST: Final = "the end of the table"
"""A row behind those of a table: a quote that is not closed hides it."""
_MOST_DIGITS: Final = 18
_NAME_KEYS: Final = ("name", "label", "class", "title")
_NAME_COLUMNS: Final = ("name", "names", "class_name", "class name", "class", "classes", "category", "label", "title")
_ID_COLUMNS: Final = ("id", "idx", "index", "class_id", "label_id", "train_id", "trainid", "value", "label")


def read_items(path: Path) -> ClassItems:
    """The classes of a file, read by its suffix; one that is not in `READERS` is read as text.

    Raises:
        VocabularyError: the file cannot be read, is too large, or does not hold class names.
    """
    try:
        text = read_text(path, MAX_DOCUMENT_BYTES).removeprefix("\ufeff")
        return READERS.get(path.suffix.lower(), line_items)(text, str(path))
    except (OSError, DocumentError) as error:
        raise VocabularyError(f"{path}: not a readable list of classes (utf-8 text): {error}") from None


def table_items(text: str, source: str, *, delimiters: str = ",;\t") -> ClassItems:
    """The classes of a table: the column that is called `name`, `class` or `label`, or the only one with words.

    In a table without header, several words of a row are synonyms; a single row has a class in every cell. A line break
    between quotes is a blank.

    Raises:
        VocabularyError: a quote is not closed, or a number is too long.
    """
    rows = _rows(text, source, delimiters)
    if not rows:
        return ClassItems(())
    header = [cell.casefold() for cell in rows[0][1]]
    if len(rows) > 1 and (column := _column(header, rows[1:], _NAME_COLUMNS, numbers=False)) is not None:
        return _by_header(rows[1:], header, column, source)
    texts = [(number, [cell for cell in row if cell and not _is_number(cell)]) for number, row in rows]
    if len(texts) == 1:
        ((_, cells),) = texts
        return ClassItems(tuple(ClassItem(f"{source}, cell {n}", n, cell) for n, cell in enumerate(cells, start=1)))
    items = tuple(ClassItem(f"{source}, line {number}", number, ", ".join(cells)) for number, cells in texts)
    ids = [_class_number(row[0], source) for _, row in rows if row[0].isdecimal()]
    if len(ids) == len(items) and ids == sorted(set(ids)):
        return ClassItems(items, *numbering(ids, source))
    return without_numbers(items, source)


def document_items(value: object, source: str) -> ClassItems:
    """The classes of a JSON or YAML value: a list of names, numbers with names, or labels with their names.

    Raises:
        VocabularyError: it is none of these, or a name is no text.
    """
    if isinstance(value, Mapping):
        for key in HOLDERS:
            if isinstance(value.get(key), list | dict) and value[key]:
                return document_items(value[key], f"{source}, {key}")
        return mapping_items(value, source)
    if isinstance(value, str):
        return line_items(value, source)
    if not isinstance(value, list):
        raise VocabularyError(
            f"{source} holds a {type(value).__name__}; class names are a list, a mapping of numbers to names (or of "
            f"labels to their names), or one of these under {', '.join(HOLDERS)}"
        )
    if value and all(isinstance(one, Mapping) for one in value):
        return _of_records(value, source)
    items = [_item(n, one, f"{source}, item {n}") for n, one in enumerate(value, start=1)]
    return without_numbers(items, source)


def mapping_items(value: Mapping[Any, Any], source: str) -> ClassItems:
    """The classes of a mapping: numbers with names, names with numbers, or labels with a name or a list of names.

    Raises:
        VocabularyError: it is none of these, a name is no text, or two classes have one number.
    """
    keys = [_whole_number(key) for key in value]
    if value and all(key is not None for key in keys):
        items = [_item(n, name, f"{source}, {key}") for n, (key, name) in enumerate(value.items(), start=1)]
        return _in_order([key for key in keys if key is not None], items, source)
    numbers = [one for one in value.values() if isinstance(one, int) and not isinstance(one, bool)]
    if value and len(numbers) == len(value):
        items = [_item(n, name, f"{source}, item {n}") for n, name in enumerate(value, start=1)]
        return _in_order(numbers, items, source)
    return ClassItems(tuple(_pair(n, label, names) for n, (label, names) in enumerate(value.items(), start=1)))


def _json(text: str, source: str) -> ClassItems:
    return document_items(parse_json(text, source=source), source)


def _yaml(text: str, source: str) -> ClassItems:
    return document_items(parse_yaml(text, source=source), source)


def _tsv(text: str, source: str) -> ClassItems:
    return table_items(text, source, delimiters="\t")


READERS: Final[dict[str, Callable[[str, str], ClassItems]]] = {
    ".txt": line_items,
    ".names": line_items,
    ".csv": table_items,
    ".tsv": _tsv,
    ".json": _json,
    ".yaml": _yaml,
    ".yml": _yaml,
}
"""Readers of files by their suffix."""

_Rows = Sequence[tuple[int, list[str]]]


def _rows(text: str, source: str, delimiters: str) -> _Rows:
    """The rows of a table that are neither blank nor comments, each with the number of its last line."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        return []
    delimiter = max(delimiters, key=lambda one: (lines[0].count(one), -delimiters.index(one)))
    kept = chain(io.StringIO(text.rstrip("\r\n") + "\n", newline=""), [_LAST])
    try:
        reader = csv.reader(kept, delimiter=delimiter, skipinitialspace=True)
        *rows, last = [(reader.line_num, [" ".join(cell.splitlines()).strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise VocabularyError(f"{source}: not readable as a table: {error}. Save it as UTF-8 with commas.") from None
    if last[1] != [_LAST]:
        raise VocabularyError(f"{source}: a quote is opened and not closed; close it, or remove it")
    return [(number, row) for number, row in rows if any(row) and not row[0].startswith("#")]


def _column(header: Sequence[str], rows: _Rows, names: Sequence[str], *, numbers: bool) -> int | None:
    """The first column with one of these names that holds numbers, or does not."""
    for name in names:
        for column, title in enumerate(header):
            cells = [row[column] if column < len(row) else "" for _, row in rows]
            if title == name and all(map(_is_number, cells)) == numbers:
                return column
    return None


def _by_header(rows: _Rows, header: Sequence[str], column: int, source: str) -> ClassItems:
    items = [
        ClassItem(f"{source}, line {number}", number, row[column] if column < len(row) else "") for number, row in rows
    ]
    by = _column(header, rows, _ID_COLUMNS, numbers=True)
    if by is None or not all(row[by].isdecimal() for _, row in rows):
        return ClassItems(tuple(items))
    return _in_order([_class_number(row[by], source) for _, row in rows], items, source)


def _of_records(values: Sequence[Mapping[str, Any]], source: str) -> ClassItems:
    items = []
    for number, one in enumerate(values, start=1):
        place = f"{source}, item {number}"
        key = next((key for key in _NAME_KEYS if isinstance(one.get(key), str)), None)
        if key is None:
            raise VocabularyError(f"{place} has no name; give it under one of {', '.join(_NAME_KEYS)}")
        items.append(_item(number, one[key], place))
    ids = [one.get("id") for one in values]
    numbers = [one for one in ids if isinstance(one, int) and not isinstance(one, bool)]
    return _in_order(numbers, items, source) if len(numbers) == len(items) else ClassItems(tuple(items))


def _pair(number: int, label: object, names: object) -> ClassItem:
    """One entry of a mapping of labels to a name or a list of names."""
    given = [names] if isinstance(names, str) else names
    if not isinstance(label, str) or not isinstance(given, Sequence):
        raise VocabularyError(f"{label!r}: {names!r} is not a label with its name or a list of its names")
    if wrong := [name for name in given if not isinstance(name, str)]:
        raise VocabularyError(f"class {label!r} has the name {wrong[0]!r}; a class name is a text")
    return ClassItem(f"class {label!r}", number, label, tuple(given))


def _in_order(numbers: Sequence[int], items: Sequence[ClassItem], source: str) -> ClassItems:
    """The items in the order of their numbers."""
    order = sorted(range(len(items)), key=lambda index: numbers[index])
    ordered = [numbers[index] for index in order]
    if twice := [one for one, other in pairwise(ordered) if one == other]:
        raise VocabularyError(f"{source}: two classes have the number {twice[0]}; give each one of its own")
    return ClassItems(tuple(items[index] for index in order), *numbering(ordered, source))


def _item(number: int, value: object, place: str) -> ClassItem:
    """A class whose value is a name, or a list of names the first of which is its label."""
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        return ClassItem(place, number, words_of(value[0])[0], tuple(value))
    if not isinstance(value, str):
        raise VocabularyError(f"{place} is {value!r} ({type(value).__name__}); a class name is a text")
    return ClassItem(place, number, value)


def _whole_number(key: object) -> int | None:
    if isinstance(key, bool) or not isinstance(key, int | str):
        return None
    return int(key) if isinstance(key, int) or (key.isdecimal() and len(key) < 10) else None


def _class_number(cell: str, source: str) -> int:
    if len(cell) > _MOST_DIGITS:
        raise VocabularyError(
            f"{source}: a number has {len(cell):,} digits; numbers of classes have {_MOST_DIGITS} at most"
        )
    return int(cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
