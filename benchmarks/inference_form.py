"""Time of CAT-Seg with random weights in its plain and in its inference form, and where it goes.

    python -m benchmarks.inference_form [--threads 2] [--rounds 3] [--quick] [--compile]

One 384x384 image (ViT-L: 336x336), text embeddings given, no pooling of classes; ViT-B/16 with 20, 150 and 847 words,
ViT-L/14 with 150. Forms take turns in one process: the plain one, the inference form, and that with all linear layers
packed. Every form runs once before it is timed; the first call of the inference form is reported with its self-test.
Freed memory is kept by the allocator as far as the environment says so (`MALLOC_MMAP_THRESHOLD_` and
`MALLOC_TRIM_THRESHOLD_` are in the result). `matrix_peak` is the speed of one large product, in GFLOP/s. `profile` has
the operations of image tower and head (GFLOP), their seconds, and the share of every operator in them.
`--quick` has one round of ViT-B with 20 words, and writes nothing unless `--output` is given. `--compile` measures
`torch.compile` of the head, too (ViT-B, 20 words): its first call takes minutes. Writes
`benchmarks/results/inference_form.json`.
"""

from __future__ import annotations

import copy
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPConfig

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.io.atomic import write_text
from ahs_seg.io.provenance import provenance
from ahs_seg.methods import CatSegConfig, CostSegmenter, Method
from ahs_seg.modules import fused_linear
from ahs_seg.modules.inference_form import prepared_bytes
from benchmarks.stored import RESULTS, command_line
from tests.support.builders import byte_tokenizer

LARGE = {
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
        "image_size": 336,
    },
    "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    "projection_dim": 768,
}
SIZES: dict[str, tuple[dict[str, Any], int]] = {
    "ViT-B/16": ({"vision_config": {"patch_size": 16, "image_size": 224}}, 384),
    "ViT-L/14": (LARGE, 336),
}
ALLOCATOR = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")


def build(size: str) -> CostSegmenter:
    """CAT-Seg with random weights on the default device."""
    torch.manual_seed(0)
    config, resolution = SIZES[size]
    backbone = ClipBackbone(ClipNetwork(CLIPConfig(**config)), byte_tokenizer(), resolution=resolution)
    plain = CatSegConfig().compose(backbone).eval()
    plain.head.class_pooling = 1
    return plain


def forms(size: str) -> dict[str, Method]:
    """The same method in every form."""
    plain = build(size)
    shared = [*plain.parameters(), *plain.buffers()]  # copies of the modules, not of their weights
    optimised, packed = (copy.deepcopy(plain, {id(one): one for one in shared}) for _ in range(2))
    optimised.optimize()
    packed.optimize(pack_all=True)
    return {"plain": plain, "inference": optimised, "all packed": packed}


def timed(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """The result of a call, and its seconds by two clocks."""
    wall, processor = time.perf_counter(), time.process_time()
    result = call()
    return result, {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}


def compared(size: str, words: int, rounds: int) -> dict[str, Any]:
    """Times of a forward, image tower and head apart, of every form in turns."""
    built, side = forms(size), SIZES[size][1]
    drawn = torch.Generator().manual_seed(words)
    image = torch.rand(1, 3, side, side, generator=drawn)
    text = F.normalize(torch.randn(words, 1, built["plain"].backbone.dim, generator=drawn), dim=-1)
    times: dict[str, dict[str, list[float]]] = {name: {} for name in built}
    first: dict[str, float] = {}
    logits: dict[str, Tensor] = {}
    for name, method in built.items():
        began = time.process_time()
        logits[name] = method(image, text).logits
        first[name] = time.process_time() - began
    for _ in range(rounds):
        for name, method in built.items():
            features, spent = timed(partial(method.encode, image))
            _, also = timed(partial(method.decode, features, text))
            for part, seconds in (("tower", spent), ("head", also)):
                for clock, value in seconds.items():
                    times[name].setdefault(f"{part} {clock}", []).append(value)
    rows: dict[str, dict[str, float]] = {}
    for name, measured in times.items():
        row = {key: statistics.median(values) for key, values in measured.items()}
        for clock in ("wall", "processor"):
            row[f"forward {clock}"] = row[f"tower {clock}"] + row[f"head {clock}"]
        row["first call processor"] = first[name]
        row["packed mib"] = prepared_bytes(built[name]) / 2**20
        rows[name] = {key: round(value, 4) for key, value in row.items()}
        rows[name]["largest difference"] = relative(logits[name], logits["plain"])
        rows[name]["other labels"] = int((logits[name].argmax(1) != logits["plain"].argmax(1)).sum())
    return {"model": size, "words": words, "labels": logits["plain"].argmax(1).numel(), "forms": rows}


def relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


def profiled(size: str, words: int) -> dict[str, Any]:
    """Where the time of one forward of the inference form goes."""
    method, side = forms(size)["inference"], SIZES[size][1]
    image, text = torch.rand(1, 3, side, side), F.normalize(torch.randn(words, 1, method.backbone.dim), dim=-1)
    features = method.encode(image)
    method.decode(features, text)
    counts, parts = operations(size, words), {}
    for name, call in (("tower", partial(method.encode, image)), ("head", partial(method.decode, features, text))):
        with profile(activities=[ProfilerActivity.CPU]) as events:
            call()
        rows = sorted(events.key_averages(), key=lambda row: -row.self_cpu_time_total)
        total = sum(row.self_cpu_time_total for row in rows)
        parts[name] = {
            "gflop": counts[name],
            "seconds": round(total / 1e6, 3),
            "share": {row.key: round(row.self_cpu_time_total / total, 3) for row in rows[:10]},
        }
    return {"model": size, "words": words, **parts}


def operations(size: str, words: int) -> dict[str, float]:
    """GFLOP of products, attention and convolutions of the plain form, counted without computing."""
    with torch.device("meta"):
        method, side = build(size), SIZES[size][1]
        with FlopCounterMode(display=False) as tower:
            features = method.encode(torch.rand(1, 3, side, side))
        with FlopCounterMode(display=False) as head:
            method.decode(features, torch.rand(words, 1, method.backbone.dim))
    return {name: round(one.get_total_flops() / 1e9, 1) for name, one in (("tower", tower), ("head", head))}


def compiled(size: str, words: int) -> dict[str, Any]:
    """Seconds of the first and of later calls of the head compiled by PyTorch, beside the inference form."""
    built, side = forms(size), SIZES[size][1]
    method, form = built["plain"], built["inference"]
    method.optimize(compile=True)
    text = F.normalize(torch.randn(words, 1, method.backbone.dim), dim=-1)
    features = method.encode(torch.rand(1, 3, side, side))
    found, first = timed(partial(method.decode, features, text))
    expected = form.decode(features, text)
    turns = [[timed(partial(one.decode, features, text))[1]["wall"] for one in (method, form)] for _ in range(5)]
    later = [round(statistics.median(column), 4) for column in zip(*turns, strict=True)]
    return {
        "model": size,
        "words": words,
        "first call": first,
        "head": {"compiled": later[0], "inference": later[1]},
        "largest difference": relative(found.logits, expected.logits),
    }


def matrix_peak() -> float:
    """GFLOP/s of a product of two 1536x1536 matrices, the best of five."""
    one, best = torch.rand(1536, 1536), float("inf")
    for _ in range(5):
        best = min(best, timed(lambda: one @ one)[1]["wall"])
    return round(2 * 1536**3 / best / 1e9, 1)


@torch.no_grad()
def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cases = [("ViT-B/16", 20)] if options.quick else [*(("ViT-B/16", n) for n in (20, 150, 847)), ("ViT-L/14", 150)]
    rows = []
    for size, words in cases:
        few = options.quick or words == 847
        rows.append(compared(size, words, 1 if few else options.rounds if size == "ViT-B/16" else 2))
        print(json.dumps(rows[-1]), flush=True)
    result = {
        "threads": options.threads,
        "allocator": {name: os.environ.get(name) for name in ALLOCATOR},
        "matrix_peak": matrix_peak(),
        "rows": rows,
        "profile": [] if options.quick else [profiled(size, 150) for size in SIZES],
        "compiled": [compiled("ViT-B/16", 20)] if options.compile else [],
        "packed": [{**vars_of(case), "faster": faster} for case, faster in fused_linear.choices().items()],
        "provenance": provenance().model_dump(mode="json"),
    }
    target = options.output or (None if options.quick else RESULTS / "inference_form.json")
    if target is not None:
        write_text(target, json.dumps(result, indent=1) + "\n")
        print(f"written: {target}")


def vars_of(case: fused_linear.Case) -> dict[str, Any]:
    return {name: getattr(case, name) for name in case.__dataclass_fields__}


if __name__ == "__main__":
    main()
