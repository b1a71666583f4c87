"""Time and memory of CAT-Seg at ViT-B/16 size: our formulation and the plain one.

    python -m benchmarks.cost_family [--threads 1] [--rounds 3] [--all-10000]

One 384x384 image, generated weights, text cached; then one training step, text encoder included. Both formulations
run alternately in the same process and give the same logits. Writes `benchmarks/results/cost_family.json`.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPConfig

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.methods import CatSegConfig, CostSegmenter
from ahs_seg.methods.objective import segmentation_loss
from benchmarks.measure import Measurement, measure
from benchmarks.stored import command_line, store
from tests.support import textbook
from tests.support.builders import byte_tokenizer

PROMPT_TOKENS, CONTEXT, SHARED = 12, 77, 5


def vit_b16(resolution: int = 384) -> ClipBackbone:
    """A CLIP of full size with generated weights."""
    torch.manual_seed(0)
    model = ClipNetwork(CLIPConfig(vision_config={"patch_size": 16, "image_size": 224}))
    return ClipBackbone(model, byte_tokenizer(), resolution=resolution)


def build() -> CostSegmenter:
    method = CatSegConfig().compose(vit_b16()).eval()
    method.head.class_pooling = 1
    return method


def forward_cases(all_10000: bool) -> list[tuple[int, int | None, bool]]:
    """Number of classes, number of classes kept, and whether the plain formulation fits in memory."""
    cases: list[tuple[int, int | None, bool]] = [(20, 256, True), (150, 256, True), (171, 256, True), (847, 256, True)]
    cases += [(847, None, True), (10_000, 256, True)]
    return [*cases, (10_000, None, False)] if all_10000 else cases


def compare(ours: Callable[[], Tensor], plain: Callable[[], Tensor] | None, rounds: int) -> dict[str, Any]:
    measured: dict[str, list[Measurement]] = {"economical": [], "textbook": []}
    for _ in range(rounds):
        measured["economical"].append(measure(ours))
        if plain is not None:
            measured["textbook"].append(measure(plain))
    row: dict[str, Any] = {}
    for name, values in measured.items():
        if values:
            row[name] = {
                "seconds": [round(value.seconds, 3) for value in values],
                "median_seconds": round(statistics.median(value.seconds for value in values), 3),
                "peak_mib": round(max(value.peak_mib for value in values)),
            }
    if plain is not None:
        row["times_faster"] = round(row["textbook"]["median_seconds"] / row["economical"]["median_seconds"], 2)
        row["times_less_memory"] = round(row["textbook"]["peak_mib"] / max(1, row["economical"]["peak_mib"]), 2)
    return row


@torch.no_grad()
def forwards(method: CostSegmenter, rounds: int, all_10000: bool) -> list[dict[str, Any]]:
    image, rows = torch.rand(1, 3, 384, 384), []
    method(image, F.normalize(torch.randn(20, 1, 512), dim=-1))
    for classes, kept, plain in forward_cases(all_10000):
        text = F.normalize(torch.randn(classes, 1, 512, generator=torch.Generator().manual_seed(classes)), dim=-1)
        method.keep = kept
        method.head.layers[0].classwise.pad_length = 256
        times = rounds if classes * (kept is None) < 10_000 else 1
        row = {"classes": classes, "kept": "all" if kept is None else min(kept, classes)}
        row |= compare(
            partial(method, image, text),
            partial(textbook.segment, method, image, text) if plain else None,
            times,
        )
        print(json.dumps(row), flush=True)
        rows.append(row)
    method.keep = 256
    return rows


def prompts(classes: int) -> Tokens:
    """Token ids with the layout of "A photo of a NAME in the scene": five shared positions of twelve."""
    ids = torch.randint(1, 49_000, (classes, PROMPT_TOKENS), generator=torch.Generator().manual_seed(1))
    ids[:, :SHARED] = ids[0, :SHARED]
    ids[:, -1] = 49_407
    return Tokens(ids, torch.full((classes,), PROMPT_TOKENS - 1))


def training_step(method: CostSegmenter, tokens: Tokens, plain: bool) -> Tensor:
    method.zero_grad(set_to_none=True)
    image, labels = torch.rand(1, 3, 384, 384), torch.randint(0, len(tokens), (1, 384, 384))
    if plain:
        padded = F.pad(tokens.ids, (0, CONTEXT - tokens.ids.shape[1]))
        encoded = method.backbone.model.get_text_features(input_ids=padded)
        text = F.normalize(getattr(encoded, "pooler_output", encoded), dim=-1).unsqueeze(1)
        resized = F.interpolate(textbook.segment(method, image, text), size=(384, 384), mode="bilinear")
        target = F.one_hot(labels, len(tokens)).permute(0, 3, 1, 2).float()
        loss = F.binary_cross_entropy_with_logits(resized, target)
    else:
        text = F.normalize(method.backbone.encode_text(tokens), dim=-1).unsqueeze(1)
        loss = segmentation_loss(method(image, text).logits, labels)
    loss.backward()
    return loss.detach()


def steps(method: CostSegmenter, rounds: int, classes: list[int]) -> list[dict[str, Any]]:
    rows = []
    method.head.class_pooling = 2
    for count in classes:
        tokens = prompts(count)
        for checkpointing in (False, True):
            method.head.checkpointing = method.backbone.checkpointing = checkpointing
            row = {"classes": count, "checkpointing": checkpointing}
            plain = None if checkpointing else partial(training_step, method, tokens, True)
            row |= compare(partial(training_step, method, tokens, False), plain, rounds)
            print(json.dumps(row), flush=True)
            rows.append(row)
    method.head.checkpointing = method.backbone.checkpointing = False
    return rows


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--all-10000", action="store_true", help="aggregate all of 10,000 classes too (many minutes)")
    parser.add_argument("--train-classes", type=int, nargs="*", default=[20, 60])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    method = build()
    result = {
        "threads": options.threads,
        "rounds": options.rounds,
        "forward": forwards(method, options.rounds, options.all_10000),
        "training_step": steps(method, max(1, options.rounds - 1), options.train_classes),
    }
    store("cost_family", result)


if __name__ == "__main__":
    main()
