"""Tokenizers: token ids of prompts; a prompt that is too long is an error and is never truncated."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from tokenizers import Tokenizer
from torch import Tensor

from ahs_seg.errors import AhsSegError


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


class ClipTokenizer:
    """CLIP's tokenizer: text cleaning as in the original (ftfy, HTML entities, whitespace, lower case), then BPE.

    `context` is the number of positions of the text tower, `start` and `end` are the ids around every text. A longer
    prompt is an error and is not truncated, because CLIP would silently embed a different text. The original reads
    `<|endoftext|>` in a text as the end token; here it is text as any other.
    """

    def __init__(self, tokenizer: Tokenizer, *, context: int, start: int, end: int) -> None:
        self.context = context
        self._tokenizer = plain(tokenizer)
        self.start = start
        self.end = end

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        plain(self._tokenizer)

    @property
    def fingerprint(self) -> str:
        """A string that is equal only for equal tokenizers; part of the cache key of text embeddings."""
        return f"{self._tokenizer.to_str()}|{self.context}"

    def __call__(self, prompts: Sequence[str]) -> Tokens:
        """Token ids of every prompt.

        Raises:
            TextTooLongError: a prompt is too long; the message names the first such prompt.
        """
        if not prompts:
            raise ValueError("no prompts were given; at least one is needed")
        return token_rows([self._encode(prompt) for prompt in prompts])

    def save(self, directory: Path) -> None:
        """Write `tokenizer.json` into `directory`."""
        self._tokenizer.save(str(directory / "tokenizer.json"))

    def _encode(self, prompt: str) -> list[int]:
        body = self._tokenizer.encode(clean(prompt), add_special_tokens=False).ids
        if len(body) + 2 > self.context:
            raise TextTooLongError(
                f"{prompt!r} has {len(body) + 2} tokens (start and end included); this text tower reads at most "
                f"{self.context}. Use a shorter name."
            )
        return [self.start, *body, self.end]


def plain(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer itself, set to neither pad nor cut a text, and to read the words of special tokens as text.

    A copy of a tokenizer (`copy.deepcopy`, pickle) reads special tokens again until it is set anew.
    """
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def token_rows(rows: Sequence[Sequence[int]], *, pad: int = 0, length: int | None = None) -> Tokens:
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
