"""MH-FPN and DC-HSP by themselves."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from ahs_seg.config import ConfigError
from ahs_seg.methods.cost.parts.fusion import FusionConfig
from ahs_seg.methods.cost.parts.projection import ProjectionConfig


def test_default_levels_are_those_of_the_publication() -> None:
    assert FusionConfig().build(64, 32, 12).levels == (3, 7, 11)
    assert FusionConfig().build(64, 32, 24).levels == (7, 15, 23)
    assert FusionConfig().build(64, 32, 1).levels == (0,)


@pytest.mark.parametrize(("levels", "wrong"), [((3, 7, 12), 12), ((-1, 2), -1)])
def test_levels_that_do_not_exist_are_refused(levels: tuple[int, ...], wrong: int) -> None:
    with pytest.raises(ValueError, match=rf"level {wrong} does not exist.*12 vision blocks.*0 to 11.*fusion\.levels"):
        FusionConfig(levels=levels).build(64, 32, 12)
    with pytest.raises(ConfigError, match="levels"):
        FusionConfig.parse({"levels": []})


@torch.no_grad()
@pytest.mark.parametrize("width", [20, 24])
def test_levels_lie_on_a_sphere_and_count_by_their_shares(width: int) -> None:
    torch.manual_seed(0)
    fusion = FusionConfig(levels=(0, 2)).build(24, width, 3).eval()
    levels = [torch.randn(2, width, 4, 5), 100 * torch.randn(2, width, 4, 5)]
    for part, level in zip(fusion.processors, levels, strict=True):
        part.radius.fill_(3.0)
        torch.testing.assert_close(part.on_sphere(level).norm(dim=1), torch.full((2, 4, 5), 3.0))
    torch.testing.assert_close(fusion.shares, torch.full((2,), 0.5))
    fusion.weights.copy_(torch.tensor([40.0, 0.0]))
    alone = fusion.output(fusion.processors[0](levels[0]))
    torch.testing.assert_close(fusion(levels), alone, rtol=1e-4, atol=1e-5)
    assert fusion.statistics() == pytest.approx({"fusion/0": 1.0, "fusion/2": 0.0}, abs=1e-6)


@torch.no_grad()
def test_projection_starts_as_the_identity_and_gives_unit_vectors() -> None:
    torch.manual_seed(0)
    projection = ProjectionConfig(rank=4).build(16).eval()
    maps, text = torch.randn(2, 16, 3, 3), torch.randn(5, 2, 16)
    torch.testing.assert_close(projection.image(maps), F.normalize(maps, dim=1))
    torch.testing.assert_close(projection.text(text), F.normalize(text, dim=-1))
    for parameter in projection.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)
    torch.testing.assert_close(projection.image(maps).norm(dim=1), torch.ones(2, 3, 3))
    torch.testing.assert_close(projection.text(text).norm(dim=-1), torch.ones(5, 2))


@torch.no_grad()
def test_words_are_projected_by_their_own_matrix() -> None:
    """P_i = P_base + c_i s B A, written out for every word."""
    torch.manual_seed(0)
    projection = ProjectionConfig(rank=3, hidden=(8, 4)).build(6).eval()
    for parameter in projection.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.5)
    words = F.normalize(torch.randn(4, 6), dim=-1)
    complexity = projection.complexity(words)
    assert ((complexity > 0) & (complexity < 1)).all()
    assert complexity.std() > 0
    dynamic = projection.scale * projection.up.weight @ projection.down.weight
    for word, share, ours in zip(words, complexity, projection.text(3 * words), strict=True):
        expected = F.normalize((projection.text_base.weight + share * dynamic) @ word, dim=0)
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    ("dim", "width", "depth", "fusion", "projection"),
    [(512, 768, 12, (4_614_150, 5.30), (754_946, 0.30)), (768, 1024, 24, (10_066_950, 11.58), (1_508_610, 0.68))],
    ids=["ViT-B/16", "ViT-L/14"],
)
def test_parameters_and_arithmetic_of_the_guide(
    dim: int, width: int, depth: int, fusion: tuple[int, float], projection: tuple[int, float]
) -> None:
    """Numbers and GFLOP per picture in docs/methods/ahs_seg.md; nothing is computed, only counted."""
    with torch.device("meta"):
        fused, projected = FusionConfig().build(dim, width, depth), ProjectionConfig().build(dim)
        levels = [torch.empty(1, width, 24, 24)] * 3
        for part, expected, run in (
            (fused, fusion, lambda: fused(levels)),
            (projected, projection, lambda: projected.image(torch.empty(1, dim, 24, 24))),
        ):
            assert sum(p.numel() for p in part.parameters()) == expected[0]
            with FlopCounterMode(display=False) as counter:
                run()
            assert counter.get_total_flops() / 1e9 == pytest.approx(expected[1], abs=0.005)
