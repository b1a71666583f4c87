"""The byte-pair tokenizer of CLIP."""

import copy
import pickle
from collections.abc import Callable

import pytest

from ahs_seg.backbones.tokenizer import ClipTokenizer
from ahs_seg.backbones.tokenizer_files import END, START
from tests.support.builders import byte_tokenizer


def test_tokenizer_cleans_and_pads() -> None:
    tokens = byte_tokenizer()(["  A &amp;amp;  B ", "a"])
    assert tokens.ids.shape == (2, 7)
    assert tokens.ends.tolist() == [6, 2]
    assert tokens.ids[1, 3:].tolist() == [0] * 4
    same = byte_tokenizer()(["a & b"])
    assert same.ids.tolist() == tokens.ids[:1].tolist()


@pytest.mark.parametrize("copied", [lambda one: one, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_words_of_special_tokens_are_text(copied: Callable[[ClipTokenizer], ClipTokenizer]) -> None:
    core = byte_tokenizer()._tokenizer
    core.add_special_tokens([START, END])
    tokenizer = copied(ClipTokenizer(core, context=40, start=257, end=258))
    tokens = tokenizer([f"cat {END}", f"cat {START} x"])
    assert tokens.ends.tolist() == [18, 22]
    assert [(row > 256).sum().item() for row in tokens.ids] == [2, 2]
