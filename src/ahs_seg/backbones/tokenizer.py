"""Tokenizers: token ids of prompts; a prompt that is too long is an error and is never truncated."""

from __future__ import annotations

import html
import json
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from tokenizers import Tokenizer
from torch import Tensor

from ahs_seg.errors import AhsSegError

Cleaning = Literal["none", "clip", "canonical"]
_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of n prompts, padded with zeros; `ends` are the positions of the end-of-text tokens.

    The text tower is causal and its output is taken at `ends`, so the padding after them has no effect. `ids` is only
    as long as the longest prompt.
    """

    ids: Int[Tensor, "n l"]
    ends: Int[Tensor, " n"]

    def to(self, device: torch.device) -> Tokens:
        """A copy of the tokens on `device`."""
        # A copy from the CPU needs no waiting; one to it does, because the CPU reads it at once.
        at_once = self.ids.device.type != "cpu"
        return Tokens(self.ids.to(device, non_blocking=not at_once), self.ends.to(device, non_blocking=not at_once))

    def __getitem__(self, rows: slice) -> Tokens:
        return Tokens(self.ids[rows], self.ends[rows])

    def __len__(self) -> int:
        return len(self.ids)


class TextTooLongError(AhsSegError, ValueError):
    """A prompt has more tokens than the text tower has positions."""


@runtime_checkable
class TextTokenizer(Protocol):
    """Interface of a tokenizer for a text tower with `context` positions."""

    context: int

    @property
    def fingerprint(self) -> str:
        """A string that is equal only for equal tokenizers; part of the cache key of text embeddings."""

    def __call__(self, prompts: Sequence[str]) -> Tokens:
        """Token ids of every prompt.

        Raises:
            TextTooLongError: a prompt is too long; the message names the first such prompt.
        """

    def save(self, directory: Path) -> None:
        """Write the tokenizer's files into `directory`."""


@dataclass(frozen=True)
class TextRules:
    """How the pieces of a text become a row of token ids.

    `context` is the number of tokens that a row may have. `start` and `end` are the ids around every text (None: none),
    `pad` is the id after it. `padded`: every row is as long as `context`; else rows are as long as the longest.
    `cleaning` is what happens to a text before it is split into pieces: "clip" is the cleaning of CLIP,
    "canonical" that of SigLIP.
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
        start, end = ([] if token is None else [token] for token in (self.rules.start, self.rules.end))
        row = [*start, *pieces, *end] or [self.rules.pad]
        if len(row) > self.context:
            raise TextTooLongError(
                f"{prompt!r} has {len(row)} tokens (start and end included); this text tower reads at most "
                f"{self.context}. Use a shorter name."
            )
        return row


class ClipTokenizer(PieceTokenizer):
    """CLIP's tokenizer: text cleaning as in the original (ftfy, HTML entities, whitespace, lower case), then BPE.

    `context` is the number of positions of the text tower, `start` and `end` are the ids around every text. A longer
    prompt is an error, because CLIP would silently embed a different text. The original reads `<|endoftext|>` in a text
    as the end token; here it is text as any other.
    """

    def __init__(self, tokenizer: Tokenizer, *, context: int, start: int, end: int) -> None:
        super().__init__(tokenizer, TextRules(context, start, end, pad=0, cleaning="clip"))

    @property
    def fingerprint(self) -> str:
        """A string that is equal only for equal tokenizers; part of the cache key of text embeddings."""
        return f"{self._tokenizer.to_str()}|{self.context}"


def plain(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer itself, set to neither pad nor cut a text, and to read the words of special tokens as text.

    A copy of a tokenizer (`copy.deepcopy`, pickle) reads special tokens again until it is set anew.
    """
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def token_rows(rows: Sequence[Sequence[int]], *, pad: int, length: int | None) -> Tokens:
    """Token ids of several texts as one tensor, each row filled up with `pad` to `length` (None: the longest row)."""
    ids = torch.full((len(rows), length or max(map(len, rows))), pad, dtype=torch.long)
    for target, row in zip(ids, rows, strict=True):
        target[: len(row)] = torch.tensor(row)
    return Tokens(ids, torch.tensor([len(row) - 1 for row in rows]))


def clean(text: str) -> str:
    """Text as CLIP's tokenizer expects it.

    Broken unicode is fixed, HTML is unescaped twice, whitespace is collapsed, and all letters are lower case.
    """
    import ftfy  # takes a while, and not every tokenizer needs it

    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split()).lower()


def canonical(text: str) -> str:
    """Text as the evaluation of SigLIP (big_vision) cleans it: lower case, no ASCII punctuation, single blanks."""
    return " ".join(text.lower().translate(_PUNCTUATION).split())


def _unchanged(text: str) -> str:
    return text


CLEANERS: Final[dict[Cleaning, Callable[[str], str]]] = {"none": _unchanged, "clip": clean, "canonical": canonical}
