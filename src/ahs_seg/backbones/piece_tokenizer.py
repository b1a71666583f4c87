"""Tokenizers of the text towers that are no CLIP's: pieces of the `tokenizers` library between fixed tokens."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from tokenizers import Tokenizer

from ahs_seg.backbones.tokenizer import TextTooLongError, Tokens, plain, token_rows

Cleaning = Literal["none", "canonical"]
_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class TextRules:
    """How the pieces of a text become a row of token ids.

    `context` is the number of tokens that a row may have. `start` and `end` are the ids around every text (None: none),
    `pad` is the id after it. `padded`: every row is as long as `context`; else rows are as long as the longest.
    `cleaning` is what happens to a text before it is split into pieces: "canonical" is the cleaning of SigLIP.
    """

    context: int
    start: int | None
    end: int | None
    pad: int
    padded: bool = False
    cleaning: Cleaning = "none"


class PieceTokenizer:
    """A tokenizer of the `tokenizers` library with the rules of a text tower.

    Padding and end tokens are ours: the files of SigLIP 2 name a tokenizer class that neither lowers a text nor pads it
    on the right side. A longer prompt is an error and is not truncated.
    """

    def __init__(self, tokenizer: Tokenizer, rules: TextRules) -> None:
        self.context = rules.context
        self.rules = rules
        self._tokenizer = plain(tokenizer)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        plain(self._tokenizer)

    @property
    def fingerprint(self) -> str:
        """A string that is equal only for equal tokenizers; part of the cache key of text embeddings."""
        return f"{self._tokenizer.to_str()}|{json.dumps(asdict(self.rules), sort_keys=True)}"

    def __call__(self, prompts: Sequence[str]) -> Tokens:
        """Token ids of every prompt.

        Raises:
            TextTooLongError: a prompt is too long; the message names the first such prompt.
        """
        if not prompts:
            raise ValueError("no prompts were given; at least one is needed")
        rows = [self._encode(prompt) for prompt in prompts]
        return token_rows(rows, pad=self.rules.pad, length=self.context if self.rules.padded else None)

    def save(self, directory: Path) -> None:
        """Write `tokenizer.json` into `directory`."""
        self._tokenizer.save(str(directory / "tokenizer.json"))

    def _encode(self, prompt: str) -> list[int]:
        pieces = self._tokenizer.encode(CLEANERS[self.rules.cleaning](prompt), add_special_tokens=False).ids
        around = ([] if token is None else [token] for token in (self.rules.start, self.rules.end))
        row = [*next(around), *pieces, *next(around)] or [self.rules.pad]
        if len(row) > self.context:
            raise TextTooLongError(
                f"{prompt!r} has {len(row)} tokens (those of start and end included); this text tower reads at most "
                f"{self.context}. Use a shorter name."
            )
        return row


def canonical(text: str) -> str:
    """Text as the evaluation of SigLIP (big_vision) cleans it: lower case, no ASCII punctuation, single blanks."""
    return " ".join(text.lower().translate(_PUNCTUATION).split())


def _unchanged(text: str) -> str:
    return text


CLEANERS: Final[dict[Cleaning, Callable[[str], str]]] = {"none": _unchanged, "canonical": canonical}
