"""Limits on uploads and requests of the web page; every error says what was given, what is allowed, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ahs_seg.errors import AhsSegError
from ahs_seg.vocabulary.class_name import SEPARATORS
from ahs_seg.vocabulary.class_texts import inline_items
from ahs_seg.vocabulary.known_lists import find_known
from ahs_seg.vocabulary.notices import notice
from ahs_seg.vocabulary.vocabulary import Vocabulary, VocabularyError, background_names

MEGA = 1_000_000


class LimitError(AhsSegError, ValueError):
    """A request exceeds the limits of the page."""


class RefusedError(LimitError):
    """A request is refused before anything of it is computed; `status` is that of the HTTP response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ServeError(AhsSegError, ValueError):
    """The page cannot be served: there is no model, or the port is in use."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits per request; `queue` is the number of waiting requests, `seconds` the time of one without its wait."""

    upload_mb: int = 20
    megapixels: int = 25
    names: int = 1500
    name_length: int = 120
    queue: int = 16
    seconds: int = 60

    @property
    def upload_bytes(self) -> int:
        """`upload_mb` in bytes."""
        return self.upload_mb * MEGA

    @property
    def text_length(self) -> int:
        """Characters of all class names of a request with their separators."""
        return self.names * (self.name_length + 2)

    @property
    def pixels(self) -> int:
        """`megapixels` in pixels."""
        return self.megapixels * MEGA

    def check_file(self, path: Path) -> None:
        """Raise `LimitError` for a file that is too large."""
        size = path.stat().st_size
        if size > self.upload_bytes:
            raise LimitError(
                f"The file has {size / MEGA:.1f} MB; this page takes up to {self.upload_mb} MB. "
                "Save it as JPEG or make it smaller."
            )

    def check_pixels(self, height: int, width: int) -> None:
        """Raise `LimitError` for an image with too many pixels."""
        if height * width > self.pixels:
            raise LimitError(
                f"The image has {width} x {height} = {height * width / MEGA:.1f} million pixels; this page takes up "
                f"to {self.megapixels} million. Make it smaller, or use `ahs-seg segment --tile` for large images."
            )

    def words(self, text: str) -> tuple[Vocabulary, tuple[str, ...]]:
        """The class names that a visitor typed, and a note about each that is too long and was left out.

        Unlike `Vocabulary.parse`, it never reads a file.

        Raises:
            LimitError: there are too many names, or each is too long.
            VocabularyError: the names are not a valid vocabulary.
        """
        self.check_text(text)
        text = text.strip()
        if not text.translate(SEPARATORS).strip(",; \n"):
            raise VocabularyError("No class names yet: type what to look for, e.g. “cat, sofa, lamp”.")
        notes: tuple[str, ...] = ()
        if (known := find_known(text)) is not None:
            vocabulary = Vocabulary.known(known)
        else:
            found = inline_items(text)
            for one in found.notices:
                notice(one)
            items = [item.text for item in found.items]
            self._check_count(len(items))
            notes = self._too_long(items)
            if notes and len(notes) == len(items):
                raise LimitError(f"{notes[0]} Separate names by commas or line breaks.")
            vocabulary = Vocabulary.parse([item for item in items if len(item) <= self.name_length])
        self._check_count(sum(len(words) for entry in vocabulary.entries for words in entry.synonyms))
        return vocabulary, notes

    def background(self, text: str) -> list[str]:
        """The names of everything else that a visitor typed, none for a blank text.

        Raises:
            LimitError: there are too many names, or one is too long.
            VocabularyError: a name between two commas is blank.
        """
        self.check_text(text)
        names = background_names(text) if text.strip() else []
        self._check_count(len(names))
        if notes := self._too_long(names):
            raise LimitError(f"Background: {notes[0]}")
        return names

    def check_text(self, text: str) -> None:
        """Raise `LimitError` for a text too long to be class names; it is not taken apart for that."""
        if len(text) > self.text_length:
            raise LimitError(
                f"The class names have {len(text):,} characters; this page takes up to {self.names} names of "
                f"{self.name_length} characters. Remove some, or use the command `ahs-seg segment`."
            )

    def _check_count(self, count: int) -> None:
        if count > self.names:
            raise LimitError(
                f"The list has {count} names; this page takes up to {self.names}. Remove some, or use the command "
                "`ahs-seg segment`, which takes any number."
            )

    def _too_long(self, items: list[str]) -> tuple[str, ...]:
        return tuple(
            f"Name {number} ({item.strip()[:24]!r} …) has {len(item)} characters; this page takes up to "
            f"{self.name_length}."
            for number, item in enumerate(items, start=1)
            if len(item) > self.name_length
        )
