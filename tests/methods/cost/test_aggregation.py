"""The head of the cost family: chunks of classes change nothing, and who guides what."""

import pytest
import torch
from torch import Tensor, nn

from ahs_seg.methods.cost.aggregation import AggregationLayer, CostHead
from ahs_seg.methods.cost.class_attention import ClassAggregation
from ahs_seg.methods.cost.decoder import GuidedDecoder
from ahs_seg.methods.cost.guidance import Guidance
from ahs_seg.methods.cost.window_attention import SpatialAggregation
from tests.support.tensors import randn
from tests.support.textbook import randomise


def head(layers: int = 2, similarity: nn.Module | None = None) -> CostHead:
    torch.manual_seed(0)
    built = CostHead(
        10,
        prompts=2,
        dim=16,
        text_guidance_dim=6,
        layers=[
            AggregationLayer(
                SpatialAggregation(16, 5, heads=2, window=2),
                ClassAggregation(16, 6, heads=2, pad_length=4, kind="linear"),
            )
            for _ in range(layers)
        ],
        decoder=GuidedDecoder(16, (16, 16), guidance_dims=(4, 4)),
        class_pooling=2,
        similarity=similarity,
    )
    randomise(built)
    return built.double()


def given(classes: int = 7, batch: int = 2) -> tuple[Tensor, Tensor, Guidance]:
    """Dense features, words and guidance on a grid of 4x2."""
    guidance = Guidance(randn(batch, 5, 4, 2), randn(batch, 4, 8, 4, seed=1), randn(batch, 4, 16, 8, seed=2))
    return randn(batch, 10, 4, 2, seed=3), randn(1, classes, 2, 10, seed=4), guidance


@pytest.mark.parametrize("layers", [1, 2, 3])
@torch.no_grad()
def test_chunks_of_classes_give_what_all_classes_together_give(layers: int) -> None:
    module = head(layers)
    together = module(*given())
    assert together.shape == (2, 7, 16, 8)
    per_class = module._bytes_per_class(given()[0])
    for classes in (1, 3, 7):
        module.budget = classes * per_class
        torch.testing.assert_close(module(*given()), together)


def test_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for checkpointing in (False, True):
        module = head()
        module.checkpointing, module.budget = checkpointing, 1
        module(*given()).square().sum().backward()
        gradients.append({name: value.grad for name, value in module.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


@torch.no_grad()
def test_words_of_their_own_guide_the_class_attention_and_nothing_else() -> None:
    module = head()
    dense, text, guidance = given()
    plain = module(dense, text, guidance)
    torch.testing.assert_close(module(dense, text, guidance, words=text), plain)
    torch.testing.assert_close(module(dense, text, guidance, words=3 * text), plain)  # lengths do not count
    assert not torch.allclose(module(dense, text, guidance, words=text.flip(-1)), plain)


@torch.no_grad()
def test_a_similarity_stands_between_the_cosine_and_the_embedding() -> None:
    class Halved(nn.Module):
        def forward(self, cost: Tensor) -> Tensor:
            return cost / 2

    plain, halved = head(), head(similarity=Halved())
    assert not torch.allclose(plain(*given()), halved(*given()))
    plain.embed.weight.mul_(0.5)
    torch.testing.assert_close(plain(*given()), halved(*given()))


@torch.no_grad()
def test_the_embedding_is_a_convolution_over_the_prompts_of_each_class() -> None:
    module, cost = head(), randn(2, 2, 3, 4, 2, seed=5)
    embedded = module.embed_cost(cost)
    for index in range(3):
        torch.testing.assert_close(embedded[:, index].movedim(-1, 1), module.embed(cost[:, :, index]))


def test_another_number_of_prompts_is_refused() -> None:
    dense, text, guidance = given()
    with pytest.raises(ValueError, match=r"3 prompts per class, this head was built for 2; set cost\.prompts=3"):
        head()(dense, torch.cat([text, text[:, :, :1]], 2), guidance)
