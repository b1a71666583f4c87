"""Attention between classes: chunks, padding and pooling against the plain formulas."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.methods.cost.class_attention import AttentionKind, ClassAggregation, pool, unpool
from tests.support.tensors import dense, randn
from tests.support.textbook import randomise

DIM, GUIDANCE, HEADS = 8, 6, 2
KINDS: tuple[AttentionKind, ...] = ("linear", "full")


def layer(kind: AttentionKind = "linear", pad_length: int = 1) -> ClassAggregation:
    torch.manual_seed(0)
    built = ClassAggregation(DIM, GUIDANCE, heads=HEADS, pad_length=pad_length, kind=kind)
    randomise(built)
    return built.double()


def run(module: ClassAggregation, maps: Tensor, words: Tensor, *, chunk: int, pooling: int = 1) -> Tensor:
    """All classes, `chunk` at a time."""
    query, key = module.guide(words)
    count = maps.shape[1]
    parts = [slice(start, start + chunk) for start in range(0, count, chunk)]
    summaries = [module.summarise(maps[:, part], (query[:, part], key[:, part]), pooling) for part in parts]
    summary = module.combine(summaries, count)
    results = [
        module(maps[:, part], (query[:, part], key[:, part]), summary, count=count, pooling=pooling) for part in parts
    ]
    return torch.cat(results, 1)


def plain(module: ClassAggregation, maps: Tensor, words: Tensor) -> Tensor:
    """The layer as the paper writes it: the padding is classes like any other, all classes at once, no pooling."""
    batch, count, height, width, _ = maps.shape
    copies = max(0, module.pad_length - count)
    padding = module.padding_token.expand(batch, copies, height, width, -1)
    every = torch.cat([maps, padding], 1)
    guidance = torch.cat([words, module.padding_guidance.expand(batch, copies, -1)], 1)[:, :, None, None]
    guidance = guidance.expand(-1, -1, height, width, -1)
    normed = module.norm1(every)
    both = torch.cat([normed, guidance], -1)
    query, key = (F.linear(both, part.weight, part.bias) for part in (module.query, module.key))
    query, key, value = (
        part.unflatten(-1, (HEADS, -1)).permute(0, 2, 3, 4, 1, 5) for part in (query, key, module.value(normed))
    )
    if module.kind == "linear":
        query, key = F.elu(query) + 1, F.elu(key) + 1
        weight = query @ key.mT
        mixed = weight @ value / (weight.sum(-1, keepdim=True) + 1e-6)
    else:
        mixed = (query @ key.mT / (DIM // HEADS) ** 0.5).softmax(-1) @ value
    every = every + mixed.permute(0, 4, 1, 2, 3, 5).flatten(-2)
    every = every + module.mlp(module.norm2(every))
    return maps + every[:, :count]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pad_length", [1, 5, 9], ids=["no padding", "just full", "four copies"])
@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_classes_in_chunks_are_the_plain_formula(kind: AttentionKind, pad_length: int, chunk: int) -> None:
    module = layer(kind, pad_length)
    maps, words = randn(2, 5, 3, 4, DIM), randn(2, 5, GUIDANCE, seed=1)
    torch.testing.assert_close(run(module, maps, words, chunk=chunk), plain(module, maps, words))


@pytest.mark.parametrize("kind", KINDS)
def test_permuting_the_classes_permutes_the_result(kind: AttentionKind) -> None:
    module, order = layer(kind, 8), torch.tensor([3, 0, 4, 2, 1])
    maps, words = randn(1, 5, 2, 2, DIM), randn(1, 5, GUIDANCE, seed=1)
    expected = run(module, maps, words, chunk=5)[:, order]
    torch.testing.assert_close(run(module, maps[:, order], words[:, order], chunk=2), expected)


@pytest.mark.parametrize("count", [3, 5, 9])
def test_the_padding_has_a_gradient_whether_or_not_it_is_needed(count: int) -> None:
    module = layer("linear", 5)
    with torch.no_grad():
        module.padding_token.zero_()
        module.padding_guidance.zero_()
    run(module, randn(1, count, 2, 2, DIM), randn(1, count, GUIDANCE), chunk=2).sum().backward()
    assert module.padding_token.grad is not None
    assert module.padding_guidance.grad is not None
    assert bool(module.padding_token.grad.any()) == bool(module.padding_guidance.grad.any()) == (count < 5)


def test_pooling_takes_means_and_is_added_to_the_map_at_full_size() -> None:
    maps = torch.arange(16.0).view(1, 1, 4, 4, 1)
    assert pool(maps, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert pool(maps, 1) is maps
    pooled = randn(1, 2, 3, 2, 5)
    assert unpool(pooled, (3, 2)) is pooled
    raised = unpool(pooled, (5, 3))
    torch.testing.assert_close(raised[:, :, ::2, ::2], pooled)  # corners are aligned
    torch.testing.assert_close(raised[:, :, 1, 0], (pooled[:, :, 0, 0] + pooled[:, :, 1, 0]) / 2)


def test_a_grid_that_pooling_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"grid is 4x6.*multiples of class_pooling=4"):
        pool(torch.zeros(1, 1, 4, 6, 1), 4)


@pytest.mark.parametrize(("dtype", "half", "chunk"), [(torch.float16, 5_000, 500), (torch.bfloat16, 1_000, 4)])
def test_sums_over_many_classes_keep_their_terms_in_short_types(dtype: torch.dtype, half: int, chunk: int) -> None:
    """Of so many classes the sums of fp16 are infinite, and those of bf16 no longer grow after 256 chunks."""
    module = layer().float()
    maps = torch.cat([dense(1, 1, 1, 1, DIM, seed=seed).expand(1, half, 1, 1, DIM) for seed in (0, 1)], 1)
    words = dense(1, 1, GUIDANCE).expand(1, 2 * half, GUIDANCE)
    with torch.no_grad():
        expected = run(module, maps, words, chunk=chunk)
        with torch.autocast("cpu", dtype=dtype):
            found = run(module, maps, words, chunk=chunk)
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.05)
