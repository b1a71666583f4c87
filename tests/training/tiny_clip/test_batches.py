"""Batches of pre-training: the same wherever they are drawn, and what is told of each part."""

import torch

from ahs_seg.data.world.mosaics import WORDS, Mix
from ahs_seg.training.tiny_clip.batches import PretrainBatch, batches
from tests.support.builders import byte_tokenizer

TOKENIZER = byte_tokenizer(80)
END = 258


def mix(step: int) -> Mix:
    return Mix(size=48, count=3)


def same(one: PretrainBatch, other: PretrainBatch) -> bool:
    return all(torch.equal(first, second) for first, second in zip(one, other, strict=True))


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    first = list(batches(1, mix, 0, 3, TOKENIZER, workers=0))
    later = list(batches(1, mix, 2, 3, TOKENIZER, workers=0))
    assert len(later) == 1
    assert same(first[2], later[0])
    assert not torch.equal(first[0].images, first[1].images)
    (other,) = batches(2, mix, 0, 1, TOKENIZER, workers=0)
    assert not torch.equal(first[0].images, other.images)


def test_phrases_have_tokens_that_end_where_they_say() -> None:
    (batch,) = batches(1, mix, 0, 1, TOKENIZER, workers=0)
    tokens = batch.tokens
    assert len(tokens) == len(batch.words)
    assert (tokens.ids[torch.arange(len(tokens)), tokens.ends] == END).all()


def test_words_are_told_of_parts_that_show_one_thing() -> None:
    nothing = -1
    said = torch.tensor([[0, nothing, nothing], [1, 0, nothing], [0, 1, 2]])
    words = torch.tensor([[3, nothing], [nothing, 4], [5, 5]])
    empty = torch.zeros(0)
    batch = PretrainBatch(empty, empty, said, empty, words, empty, empty)
    # One phrase: its words. Two phrases of one thing: the words of both. Three: several things, nothing is told.
    assert batch.told.tolist() == [[3, -1], [3, 4], [-1, -1]]
    assert len(WORDS) > 1
