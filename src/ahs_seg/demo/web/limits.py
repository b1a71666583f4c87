"""What one visitor of the page may ask for; every refusal says what was given, what is allowed and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ahs_seg.errors import AhsSegError
from ahs_seg.vocabulary.vocabulary import Vocabulary, VocabularyError, known_vocabularies

MEGA = 1_000_000


class LimitError(AhsSegError, ValueError):
    """More than the page allows."""


class ServeError(AhsSegError, ValueError):
    """A page that cannot be served: no model, or a port that is taken."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes of uploads and requests; `queue` counts requests that wait, `seconds` one request after its wait."""

    upload_mb: int = 20
    megapixels: int = 25
    names: int = 1000
    name_length: int = 120
    queue: int = 16
    seconds: int = 60

    @property
    def pixels(self) -> int:
        """`megapixels` in pixels."""
        return self.megapixels * MEGA

    def check_file(self, path: Path) -> None:
        """Raises `LimitError` for a file that is too large to be read."""
        size = path.stat().st_size
        if size > self.upload_mb * MEGA:
            raise LimitError(
                f"The file has {size / MEGA:.1f} MB; this page takes up to {self.upload_mb} MB. "
                "Save it as JPEG or make it smaller."
            )

    def check_pixels(self, height: int, width: int) -> None:
        """Raises `LimitError` for a picture with too many pixels."""
        if height * width > self.pixels:
            raise LimitError(
                f"The picture has {width} x {height} = {height * width / MEGA:.1f} million pixels; this page takes up "
                f"to {self.megapixels} million. Make it smaller, or use `ahs-seg segment --tile` for large pictures."
            )

    def vocabulary(self, text: str) -> Vocabulary:
        """The classes in a text that a visitor typed; unlike `Vocabulary.parse`, never a file of the server.

        Raises:
            LimitError: too many words, or a word that is too long.
            VocabularyError: words that cannot be used.
        """
        text = text.strip().strip(",\n").strip()
        if not text:
            raise VocabularyError("No words yet: name what you look for, e.g. “cat, sofa, lamp”.")
        if text in known_vocabularies():
            vocabulary = Vocabulary.known(text)
        else:
            items = text.splitlines() if "\n" in text else text.split(",")
            self._check_count(len(items))
            self._check_lengths(items)
            vocabulary = Vocabulary.parse(items)
        self._check_count(sum(len(words) for entry in vocabulary.entries for words in entry.synonyms))
        return vocabulary

    def _check_count(self, count: int) -> None:
        if count > self.names:
            raise LimitError(
                f"The list has {count} words; this page takes up to {self.names}. Take some out, or use the command "
                "`ahs-seg segment`, which takes any number."
            )

    def _check_lengths(self, items: list[str]) -> None:
        for number, item in enumerate(items, start=1):
            if len(item) > self.name_length:
                raise LimitError(
                    f"Name {number} ({item.strip()[:24]!r} …) has {len(item)} characters; this page takes up to "
                    f"{self.name_length}. Separate names by commas or line breaks."
                )
