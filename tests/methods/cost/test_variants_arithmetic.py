"""How much arithmetic a forward needs, counted without doing it; the guide of CAT-Seg holds the numbers."""

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPConfig

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.methods import CatSegConfig, CostSegmenter
from tests.support.builders import byte_tokenizer

ROUNDING = 0.051
PAGE = Path(__file__).parents[3] / "docs/methods/cat_seg.md"


@pytest.fixture(scope="module")
def method() -> CostSegmenter:
    """CAT-Seg at ViT-B/16 size, its tensors without content."""
    with torch.device("meta"):
        model = ClipNetwork(CLIPConfig(vision_config={"patch_size": 16, "image_size": 224}))
        method = CatSegConfig().compose(ClipBackbone(model, byte_tokenizer(), resolution=384))
    method.head.class_pooling = 1
    method.head.budget = 2**40  # all classes at once: counting takes time by the operation, not by its size
    return method.eval()


@torch.no_grad()
def gigaflops(method: CostSegmenter, classes: int) -> dict[str, float]:
    with FlopCounterMode(display=False) as counter:
        images, text = torch.zeros(1, 3, 384, 384, device="meta"), torch.zeros(classes, 1, 512, device="meta")
        method(images, text)
    counts = {name: sum(parts.values()) / 1e9 for name, parts in counter.get_flop_counts().items()}
    with FlopCounterMode(display=False) as counter:
        method.backbone.encode_image(images, levels=method.levels)
    counts["image"] = counter.get_total_flops() / 1e9
    return counts


@pytest.mark.parametrize(("classes", "column"), [(150, 2), (847, 4)])
def test_the_guide_says_how_much_arithmetic_a_forward_needs(method: CostSegmenter, classes: int, column: int) -> None:
    lines = PAGE.read_text(encoding="utf-8").partition("## Cost")[2].partition("On two cores")[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    table = {row[0]: float(row[column]) for row in rows[1:]}
    counts = gigaflops(method, classes)
    names = {"all": "Global", "decoder": "CostSegmenter.head.decoder", "CLIP image tower": "image"}
    for part, name in names.items():
        assert counts[name] == pytest.approx(table[part], abs=ROUNDING)
    spatial = sum(count for name, count in counts.items() if name.endswith(".spatial"))
    assert spatial == pytest.approx(table["spatial aggregation"], abs=ROUNDING)
    parts = [value for name, value in table.items() if name != "all"]
    assert sum(parts) == pytest.approx(table["all"], abs=len(parts) * ROUNDING)
