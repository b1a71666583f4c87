"""Rows of token ids by the rules of a tower: what stands around a text, after it, and what is cleaned away."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

from ahs_seg.backbones.tokenizer import (
    ClipTokenizer,
    PieceTokenizer,
    TextRules,
    TextTokenizer,
    TextTooLongError,
    canonical,
)
from ahs_seg.backbones.tokenizer_files import END, START
from tests.support.backbone_kinds import pieces
from tests.support.builders import byte_tokenizer

XLM = ("<s>", "<pad>", "</s>", "<unk>")


def made(**rules: Any) -> PieceTokenizer:
    return PieceTokenizer(pieces(XLM), TextRules(**{"context": 8, "start": 0, "end": 2, "pad": 1, **rules}))


def test_rows_are_as_long_as_the_longest_or_as_the_context() -> None:
    short, padded = made(), made(start=None, padded=True)
    assert isinstance(short, TextTokenizer)
    a, b, blank = 4, 5, pieces(XLM).token_to_id("▁")
    tokens = short(["a", "ab"])
    assert tokens.ids.tolist() == [[0, blank, a, 2, 1], [0, blank, a, b, 2]]
    assert tokens.ends.tolist() == [3, 4]
    tokens = padded(["a", "ab"])
    assert tokens.ids.tolist() == [[blank, a, 2, 1, 1, 1, 1, 1], [blank, a, b, 2, 1, 1, 1, 1]]
    assert tokens.ends.tolist() == [2, 3]


def test_a_text_that_is_too_long_is_named_and_not_cut() -> None:
    assert made()(["abcde"]).ids.shape == (1, 8)
    with pytest.raises(TextTooLongError, match=r"'abcdef' has 9 tokens .* reads at most 8. Use a shorter name"):
        made()(["a", "abcdef"])
    with pytest.raises(ValueError, match="no prompts"):
        made()([])


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("A photo of a {Cat}.", "a photo of a cat"),
        ("  T-shirt,\tblue ", "tshirt blue"),
        ("…猫。", "…猫。"),
        ("É!", "é"),
    ],
)
def test_siglip_reads_small_letters_without_punctuation(text: str, cleaned: str) -> None:
    assert canonical(text) == cleaned
    tokenizer = made(context=40, cleaning="canonical")
    assert torch.equal(tokenizer([text]).ids, tokenizer([cleaned]).ids)


def test_other_towers_keep_the_case() -> None:
    assert not torch.equal(made()(["A"]).ids, made()(["a"]).ids)


def test_a_tower_without_special_tokens_reads_the_pieces_alone() -> None:
    bare = made(start=None, end=None)
    tokens = bare(["a", ""])
    assert tokens.ids.tolist() == [[pieces(XLM).token_to_id("▁"), 4], [1, 1]]
    assert tokens.ends.tolist() == [1, 0]


def test_the_fingerprint_changes_with_every_rule() -> None:
    rules: list[dict[str, Any]] = [{}, {"pad": 3}, {"context": 9}, {"cleaning": "canonical"}, {"padded": True}]
    prints = {made(**one).fingerprint for one in [*rules, {"start": None}, {"end": 3}]}
    assert len(prints) == 7
    assert made().fingerprint in prints


def test_words_of_special_tokens_are_text() -> None:
    core = pieces(("[PAD]", "[UNK]", "[CLS]", "[SEP]"))
    tokenizer = PieceTokenizer(core, TextRules(8, 2, 3, 0))
    for one in (tokenizer, copy.deepcopy(tokenizer)):
        assert (one(["a [SEP]"]).ids == 3).sum() == 1


def test_clip_cleans_and_pads() -> None:
    tokens = byte_tokenizer()(["  A &amp;amp;  B ", "a"])
    assert tokens.ids.shape == (2, 7)
    assert tokens.ends.tolist() == [6, 2]
    assert tokens.ids[1, 3:].tolist() == [0] * 4
    same = byte_tokenizer()(["a & b"])
    assert same.ids.tolist() == tokens.ids[:1].tolist()


@pytest.mark.parametrize("copied", [lambda one: one, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_clip_reads_words_of_special_tokens_as_text(copied: Callable[[ClipTokenizer], ClipTokenizer]) -> None:
    core = byte_tokenizer()._tokenizer
    core.add_special_tokens([START, END])
    tokenizer = copied(ClipTokenizer(core, context=40, start=257, end=258))
    tokens = tokenizer([f"cat {END}", f"cat {START} x"])
    assert tokens.ends.tolist() == [18, 22]
    assert [(row > 256).sum().item() for row in tokens.ids] == [2, 2]
