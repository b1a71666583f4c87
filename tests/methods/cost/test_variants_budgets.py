"""What HPS-Seg and AHS-Seg's simple design add: parameters and arithmetic at full size, counted without doing it."""

from functools import cache
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPConfig

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.methods import AhsSegLiteConfig, CostSegmenter, HClipConfig, HpsSegConfig
from ahs_seg.methods.cost.parts.fusion import FusionConfig
from ahs_seg.methods.cost.parts.geodesic_similarity import Geodesic
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.tuners import Frozen
from tests.support.builders import byte_tokenizer

GUIDES = Path(__file__).parents[3] / "docs/methods"
SIZES = {
    "ViT-B/16": (
        {"vision_config": {"patch_size": 16}, "text_config": {}, "projection_dim": 512},
        384,
    ),
    "ViT-L/14": (
        {
            "vision_config": {
                "patch_size": 14,
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "num_hidden_layers": 24,
                "num_attention_heads": 16,
            },
            "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
            "projection_dim": 768,
        },
        336,
    ),
}
CONFIGS = {"h_clip": HClipConfig(), "ahs_seg_lite": AhsSegLiteConfig(), "hps_seg": HpsSegConfig()}
MOST = {"ahs_seg_lite": 2_000_000, "hps_seg": 1_000_000}
CLASSES = 171


@cache
def build(name: str, size: str, *, frozen: bool = False) -> CostSegmenter:
    """A method whose tensors have no content; `frozen` leaves out the rotations, as merging does."""
    sizes, resolution = SIZES[size]
    with torch.device("meta"):
        backbone = ClipBackbone(ClipNetwork(CLIPConfig(**sizes)), byte_tokenizer(), resolution=resolution)
        config = CONFIGS[name].for_classes(CLASSES)
        if name == "ahs_seg_lite":
            config = config.replace(cost=config.cost.replace(geodesic=Geodesic()))
        if frozen:
            config = config.replace(tuner=Frozen())
        return config.compose(backbone).eval()


def trained(method: CostSegmenter) -> int:
    return sum(value.numel() for value in method.parameters() if value.requires_grad)


@cache
@torch.no_grad()
def gigaflops(name: str, size: str, classes: int) -> tuple[float, float]:
    """Of an image with prepared text: everything, and what the parts take."""
    method = build(name, size, frozen=True)
    method.head.budget = 2**40  # all classes at once: counting takes time by the operation, not by its size
    side, dim = method.backbone.resolution, method.backbone.dim
    words = method.prepare(torch.zeros(classes, 1, dim, device="meta"))
    with FlopCounterMode(display=False) as counter:
        method(torch.zeros(1, 3, side, side, device="meta"), words)
    counts = {name: sum(parts.values()) / 1e9 for name, parts in counter.get_flop_counts().items()}
    parts = [value for name, value in counts.items() if name.endswith((".rectifier", ".aligner"))]
    return counts["Global"], sum(parts)


def table(name: str) -> dict[str, list[str]]:
    """The rows below "Parameters and cost" of a guide."""
    text = (GUIDES / f"{name}.md").read_text(encoding="utf-8").partition("## Parameters and cost")[2]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MOST)
def test_new_parameters_stay_in_the_budget_and_are_those_of_the_guide(name: str, size: str) -> None:
    method = build(name, size)
    new = trained(method) - trained(build("h_clip", size))
    assert new == sum(value.numel() for value in [*method.parts.parameters(), *_similarity(method)])
    assert 0 < new < MOST[name]
    assert table(name)["all that is new"][list(SIZES).index(size)] == f"{new:,}"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MOST)
def test_inference_needs_less_than_a_twentieth_more(name: str, size: str) -> None:
    plain, _ = gigaflops("h_clip", size, 150)
    whole, parts = gigaflops(name, size, 150)
    assert whole - plain == pytest.approx(parts, rel=1e-6)
    assert 1 < whole / plain < 1.05
    assert table(name)["GFLOP per image"][list(SIZES).index(size)] == f"{parts:.2f}"


def _similarity(method: CostSegmenter) -> list[torch.nn.Parameter]:
    return [] if method.head.similarity is None else list(method.head.similarity.parameters())


@pytest.mark.parametrize(
    ("dim", "width", "depth", "fusion", "projection"),
    [(512, 768, 12, (4_614_150, 5.30), (754_946, 0.30)), (768, 1024, 24, (10_066_950, 11.58), (1_508_610, 0.68))],
    ids=["ViT-B/16", "ViT-L/14"],
)
def test_parameters_and_arithmetic_of_the_guide(
    dim: int, width: int, depth: int, fusion: tuple[int, float], projection: tuple[int, float]
) -> None:
    """Numbers and GFLOP per image in docs/methods/ahs_seg.md; nothing is computed, only counted."""
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
