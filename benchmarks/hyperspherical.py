"""Inference time that the parts of HPS-Seg and of AHS-Seg's simple design add to a merged H-CLIP at ViT-B/16 size.

    python -m benchmarks.hyperspherical [--threads 1] [--rounds 5]

One 384x384 image, 150 classes, generated weights, text prepared. The methods run alternately in the same process, so
that other load on the machine affects all of them equally. Writes `benchmarks/results/hyperspherical.json`.
"""

from __future__ import annotations

import json
import statistics
from functools import partial

import torch
import torch.nn.functional as F
from transformers import CLIPConfig

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.methods import AhsSegLiteConfig, CostSegmenter, HClipConfig, HpsSegConfig
from ahs_seg.methods.cost.parts.prototypes import PrototypeBank
from ahs_seg.tuners import Frozen
from benchmarks.measure import measure
from benchmarks.stored import command_line, store
from tests.support.builders import byte_tokenizer

CLASSES, TRAINING_CLASSES = 150, 171
CONFIGS = {"h_clip": HClipConfig(), "ahs_seg_lite": AhsSegLiteConfig(), "hps_seg": HpsSegConfig()}


def build(model: ClipNetwork) -> dict[str, CostSegmenter]:
    """The methods on one CLIP without rotations, as after merging."""
    methods = {}
    for name, config in CONFIGS.items():
        torch.manual_seed(0)
        backbone = ClipBackbone(model, byte_tokenizer(), resolution=384)
        plain = config.for_classes(TRAINING_CLASSES).replace(tuner=Frozen())
        methods[name] = plain.compose(backbone).eval()
        methods[name].head.class_pooling = 1
        if isinstance(bank := methods[name].parts.prototypes, PrototypeBank):
            bank.start(torch.randn(TRAINING_CLASSES, backbone.dim))
    return methods


@torch.no_grad()
def seconds(methods: dict[str, CostSegmenter], rounds: int) -> dict[str, list[float]]:
    """Seconds of every round, after one warm-up round."""
    image, text = torch.rand(1, 3, 384, 384), F.normalize(torch.randn(CLASSES, 1, 512), dim=-1)
    words = {name: method.prepare(text) for name, method in methods.items()}
    found: dict[str, list[float]] = {name: [] for name in methods}
    for index in range(rounds + 1):
        for name, method in methods.items():
            value = measure(partial(method, image, words[name])).seconds
            if index:
                found[name].append(round(value, 4))
    return found


@torch.no_grad()
def preparation(method: CostSegmenter) -> float:
    """Seconds for guiding the text embeddings of a vocabulary once (median of five)."""
    text = F.normalize(torch.randn(CLASSES, 1, 512), dim=-1)
    return statistics.median(measure(lambda: method.prepare(text)).seconds for _ in range(5))


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    methods = build(ClipNetwork(CLIPConfig(vision_config={"patch_size": 16, "image_size": 224})))
    found = seconds(methods, options.rounds)
    plain = found["h_clip"]
    ratios = {
        name: round(statistics.median(one / other for one, other in zip(values, plain, strict=True)), 4)
        for name, values in found.items()
    }
    result = {
        "command": "python -m benchmarks.hyperspherical",
        "image": [384, 384],
        "classes": CLASSES,
        "threads": options.threads,
        "seconds": found,
        "median_ratio_to_h_clip": ratios,
        "seconds_to_guide_words": round(preparation(methods["ahs_seg_lite"]), 5),
    }
    store("hyperspherical", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
