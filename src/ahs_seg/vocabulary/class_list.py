"""What a text means that stands for a class list: a known list, a file, or the names themselves."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Final

from ahs_seg.io.reach import from_home
from ahs_seg.vocabulary.class_files import READERS, read_items
from ahs_seg.vocabulary.class_name import SEPARATORS, VocabularyError
from ahs_seg.vocabulary.class_texts import ClassItem, ClassItems, inline_items, line_items, spread
from ahs_seg.vocabulary.known_lists import find_known, known_text, known_vocabularies, near_known

_FILE_LIKE: Final = re.compile(r"\S*\.[A-Za-z]{2,5}|(\.{0,2}|~|[A-Za-z]:)[/\\].*")
"""A single word with a suffix, or a path that begins like one; `TV/monitor` is none."""


def items_of(source: Path | str) -> ClassItems:
    """The classes that a path or a text stands for.

    Raises:
        VocabularyError: it names a file that does not exist or cannot be read, or nearly a known list.
    """
    if isinstance(source, Path):
        return _of_file(source)
    text = source.strip()
    if (name := find_known(text)) is not None:
        return known_items(name)
    if (path := _file(text)) is not None:
        return _of_file(path)
    found = inline_items(text)
    if len(found.items) == 1:
        _check_alone(text)
    return found


def known_items(name: str) -> ClassItems:
    """The classes of a packaged list."""
    lines = enumerate(known_text(name).rstrip().splitlines(), start=1)
    return ClassItems(tuple(ClassItem(f"{name}, line {n}", n, line) for n, line in lines if not line.startswith("#")))


def _of_file(path: Path) -> ClassItems:
    """The classes of a file; a text with a single line has one between every two separators."""
    if not path.exists():
        raise VocabularyError(_missing(path))
    found = read_items(path)
    return spread(found, str(path)) if READERS.get(path.suffix.lower(), line_items) is line_items else found


def _file(text: str) -> Path | None:
    """The file that a text names, which may not be there; None: it names none."""
    path = from_home(text)
    named = path.suffix.lower() in READERS
    if "\n" in text or not (named or _FILE_LIKE.fullmatch(text)):
        return None
    try:
        there = path.is_file()
    except (OSError, ValueError):  # longer than a file name may be, or with a zero byte
        return None
    return path if there or (named and not set(text.translate(SEPARATORS)) & set(",;")) else None


def _missing(path: Path) -> str:
    """Message for a file that does not exist, with the class lists beside it."""
    try:
        beside = sorted(one.name for one in path.parent.iterdir() if one.suffix.lower() in READERS)
    except OSError:
        beside = []
    near = difflib.get_close_matches(path.name, beside, n=3, cutoff=0.5) or beside[:3]
    hint = f"; beside it are {', '.join(str(path.with_name(name)) for name in near)}" if near else ""
    return (
        f"{path}: not a readable list of classes: there is no such file{hint}. Give the path of a file, the name of a "
        f"known list ({', '.join(known_vocabularies())}), or class names such as 'cat, sofa, lamp'."
    )


def _check_alone(text: str) -> None:
    """Refuse a single class that is surely meant as something else: a known list, or a file."""
    if near := near_known(text):
        raise VocabularyError(
            f"no class list is called {text!r}; did you mean {' or '.join(near)}? If it is a class, name others beside "
            f"it, e.g. '{text}, background'."
        )
    if _FILE_LIKE.fullmatch(text):
        raise VocabularyError(
            f"{text!r} looks like a file, and there is none. Class lists are {', '.join(READERS)} files; if it is a "
            f"class, name others beside it, e.g. '{text}, background'."
        )
