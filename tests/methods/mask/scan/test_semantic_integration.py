"""SCAN's semantic integration."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ahs_seg.methods.mask.scan.semantic_integration import (
    FrequencyFilter,
    QueryLayer,
    Refinement,
    SemanticIntegration,
    gap,
)


def integration(refinement: Refinement = "each_query") -> SemanticIntegration:
    torch.manual_seed(0)
    return SemanticIntegration(
        6, 8, sigmas=(3.0, 2.0), looks=2, layers=2, heads=2, feedforward=12, refinement=refinement
    )


def inputs(queries: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(2, queries, 8, generator=generator)
    memory = torch.randn(2, 7, 8, generator=generator)
    return embeddings, memory, F.normalize(torch.randn(2, 8, generator=generator), dim=-1)


@torch.no_grad()
def test_the_refinement_is_an_encoder_layer_on_sequences_of_length_one() -> None:
    ours = QueryLayer(8, feedforward=12, dropout=0.0).eval()
    theirs = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True).eval()
    parts = ours.state_dict()
    fused = torch.cat([torch.randn(16, 8), parts.pop("value.weight")])  # matrices of query and key have no effect
    state = {
        "self_attn.in_proj_weight": fused,
        "self_attn.in_proj_bias": torch.cat([torch.randn(16), parts.pop("value.bias")]),
        "self_attn.out_proj.weight": parts.pop("output.weight"),
        "self_attn.out_proj.bias": parts.pop("output.bias"),
        **parts,
    }
    theirs.load_state_dict(state)
    queries = torch.randn(3, 5, 8)
    expected = theirs(queries.flatten(0, 1)[:, None]).view(3, 5, 8)
    torch.testing.assert_close(ours(queries), expected)


@torch.no_grad()
@pytest.mark.parametrize("refinement", ["each_query", "all_queries"])
def test_queries_meet_only_where_the_refinement_says_so(refinement: Refinement) -> None:
    module = integration(refinement).eval()
    queries, memory, image = inputs()
    changed = queries.clone()
    changed[:, 0] += 1
    one, other = module(queries, memory, image), module(changed, memory, image)
    assert not torch.allclose(one[:, 0], other[:, 0])
    assert torch.allclose(one[:, 1:], other[:, 1:], atol=1e-6) == (refinement == "each_query")


@torch.no_grad()
def test_without_memory_and_prior_only_the_norms_and_the_refinement_remain() -> None:
    module = integration().eval()
    for look in module.looks:
        look.out_proj.weight.zero_()
    module.prior.zero_()
    queries, memory, image = inputs()
    expected = module.norms[0](queries)
    torch.testing.assert_close(module.fuse(queries, memory), expected)
    for layer in module.layers:
        expected = layer(expected)
    torch.testing.assert_close(module(queries, memory, image), expected)


def test_the_memory_has_a_place_for_every_cell_of_every_map() -> None:
    maps = [torch.randn(2, 6, 4, 4), torch.randn(2, 6, 4, 4)]
    module = integration()
    memory = module.memory(maps)
    assert memory.shape == (2, 32, 8)
    last = module.project(module.filter(maps[1], sigma=2.0)[0, :, 0, 1])  # maps one after the other, row by row
    torch.testing.assert_close(memory[0, 17], last)


def test_layers_start_as_copies_and_everything_learns() -> None:
    module = integration()
    first, second = (layer.state_dict() for layer in module.layers)
    assert all(torch.equal(first[name], second[name]) for name in first)
    queries, _, image = inputs()
    memory = module.memory([torch.randn(2, 6, 4, 4), torch.randn(2, 6, 4, 4)])
    module(queries, memory, image).square().sum().backward()
    assert [name for name, value in module.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_the_gap_is_one_in_its_middle_and_falls_as_a_gaussian() -> None:
    values = gap(4, 6, 2.0)
    assert values[2, 3] == 1
    assert math.isclose(values[0, 3].item(), math.exp(-4 / 8), rel_tol=1e-6)
    assert math.isclose(values[2, 0].item(), math.exp(-9 / 8), rel_tol=1e-6)


@torch.no_grad()
def identity_filter(width: int) -> FrequencyFilter:
    """The network lets through what is positive, and is told apart from negative numbers by a large constant."""
    result = FrequencyFilter(width)
    for conv in (result.conv1, result.conv2):
        conv.weight.copy_(torch.eye(2 * width)[..., None, None])
        conv.bias.fill_(1000.0 if conv is result.conv1 else -1000.0)
    return result


@torch.no_grad()
def test_a_constant_passes_and_a_chessboard_does_not() -> None:
    side = 8
    rows = torch.arange(side)
    chessboard = ((rows[:, None] + rows) % 2 * 2.0 - 1)[None, None]
    constant = torch.ones(1, 1, side, side)
    filtered = identity_filter(1)
    torch.testing.assert_close(filtered(chessboard, sigma=2.0), chessboard, atol=1e-3, rtol=0)  # nothing is added
    passed = 1 - math.exp(-(4**2 + 4**2) / (2 * 2.0**2))
    torch.testing.assert_close(filtered(constant, sigma=2.0), (1 + passed) * constant, atol=1e-3, rtol=0)


def test_it_stays_in_float32_under_autocast() -> None:
    maps = torch.randn(2, 3, 5, 4)
    module = FrequencyFilter(3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(maps, sigma=3.0), module(maps.float(), sigma=3.0))
        assert module(maps, sigma=3.0).dtype == torch.float32
