"""Headings and tables in Markdown, as the page of results has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

TEXT: Final = ("", "method", "variant", "form", "program")
"""Columns with text; the others are aligned as numbers."""


def head(title: str, *text: str) -> Iterator[str]:
    yield f"## {title}"
    for paragraph in text:
        yield from ("", paragraph)
    yield ""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |".replace("|  |", "| |")
    yield "|" + "|".join("---" if column in TEXT else "---:" for column in columns) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
