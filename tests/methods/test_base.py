"""What a method of one's own gets from the base class."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ahs_seg.config import ConfigError
from ahs_seg.methods.base import Method, MethodOptions
from ahs_seg.types import ClassText, ImageFeatures, Output
from tests.support.builders import random_backbone


class SharpOptions(MethodOptions):
    """How sharp scores are."""

    sharpness: float | None = None


class Sharp(Method):
    """The cosine of dense features and text times a factor that can be chosen."""

    options = SharpOptions

    def __init__(self) -> None:
        super().__init__()
        self.backbone = random_backbone()
        self.sharpness = 1.0
        self.extra = nn.Parameter(torch.ones(()))

    def encode(self, images: Tensor) -> ImageFeatures:
        return self.backbone.encode_image(images)

    def decode(self, features: ImageFeatures, text: Tensor | ClassText) -> Output:
        words = self.ensure_prepared(text)
        logits = torch.einsum("bdhw,td->bthw", features.dense, words.embeddings.mean(1))
        return Output(self.sharpness * self.extra * logits, features, words, features.dense)

    def scores(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def merge(self) -> None:
        with torch.no_grad():
            self.extra.fill_(1.0)

    def set_options(self, options: Any) -> None:
        if options.sharpness is not None:
            self.sharpness = options.sharpness


IMAGES = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
TEXT = torch.randn(4, 2, 24, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_forward_is_encode_and_decode() -> None:
    method = Sharp().eval()
    expected = method.decode(method.encode(IMAGES), TEXT).logits
    assert torch.equal(method(IMAGES, TEXT).logits, expected)
    assert torch.equal(method(IMAGES, method.prepare(TEXT)).logits, expected)


def test_words_are_prepared_once() -> None:
    method, seen = Sharp(), torch.tensor([True, False, True, False])
    words = method.prepare(TEXT, seen)
    assert method.ensure_prepared(words) is words
    assert words.embeddings is words.guidance is TEXT
    assert words.seen is seen


@torch.no_grad()
def test_becoming_inference_changes_the_method_itself() -> None:
    method = Sharp().train()
    method.extra.fill_(3.0)
    expected = method.for_inference({"sharpness": 2.0})(IMAGES, TEXT).logits
    assert method.become_inference({"sharpness": 2.0}) is method
    assert not method.training
    assert torch.equal(method(IMAGES, TEXT).logits, expected)
    with pytest.raises(ConfigError, match="softness"):
        method.become_inference({"softness": 1})


@torch.no_grad()
def test_inference_is_a_copy_merged_and_with_the_options() -> None:
    method = Sharp().train()
    method.extra.fill_(3.0)
    twin = method.for_inference({"sharpness": 2.0})
    assert isinstance(twin, Sharp)
    assert not twin.training
    assert method.training
    assert (twin.sharpness, method.sharpness) == (2.0, 1.0)
    assert (twin.extra.item(), method.extra.item()) == (1.0, 3.0)
    assert twin.backbone is not method.backbone


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sharpnes": 1.0}, "options of Sharp is not valid:\n  sharpnes: unknown key"),
        ({"sharpness": "very"}, "sharpness"),
        ({"class_pooling": 2}, "class_pooling"),
    ],
)
def test_an_option_that_the_method_does_not_have_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Sharp().for_inference(options)


def test_options_are_those_of_the_class() -> None:
    assert set(Sharp.options.model_fields) == {"class_pooling", "sharpness"}
