"""A frozen text tower reads every text once, and gives the same embeddings as before."""

import torch

from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.training.text_embeddings import StepText
from ahs_seg.tuners import Attention
from tests.support.builders import random_backbone


def test_frozen_texts_are_encoded_once() -> None:
    backbone = random_backbone().requires_grad_(requires_grad=False)
    assert not backbone.text_is_trained()
    text, calls = StepText(), []
    encode = backbone.encode_text

    def counted(tokens: Tokens) -> torch.Tensor:
        calls.append(len(tokens.ids))
        return encode(tokens)

    backbone.encode_text = counted  # type: ignore[method-assign]
    for words, new in ((["cat", "a dog"], 2), (["a dog", "sofa", "cat"], 1), (["cat"], 0)):
        tokens = backbone.tokenizer(words)
        torch.testing.assert_close(text(backbone, tokens), encode(tokens), rtol=1e-4, atol=1e-5)
        assert sum(calls) == new
        calls.clear()


def test_trained_towers_are_read_every_time() -> None:
    backbone = Attention().apply(random_backbone().requires_grad_(requires_grad=False))
    assert backbone.text_is_trained()
    assert StepText()(backbone, backbone.tokenizer(["cat"])).requires_grad
    frozen = random_backbone().requires_grad_(requires_grad=False)
    frozen.model.text_projection.weight.requires_grad_(requires_grad=True)
    assert frozen.text_is_trained()
