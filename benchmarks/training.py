"""A training step of CAT-Seg at ViT-B/16 size: time and memory, with activations kept and recomputed.

    python -m benchmarks.training [--threads 2] [--rounds 2] [--classes 60 171]

One 384x384 image, text encoder included, generated weights. Variants take turns: activations kept and recomputed, each
with PyTorch's fp32 matrix products as they are and with `torch.set_float32_matmul_precision("medium")`, in which a CPU
may take oneDNN and, with instructions for it, shorter types. Errors are the largest difference of the gradients, as a
share of the largest gradient of a parameter. Beside the peak of resident memory stands the sum over the tensors, which
`ahs-seg train --estimate` tells. Writes `benchmarks/results/training.json`.
"""

from __future__ import annotations

import json
import statistics
import time
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ahs_seg.methods import CostSegmenter
from ahs_seg.training.memory import TensorBytes
from benchmarks.cost_family import build, prompts, training_step
from benchmarks.measure import measure
from benchmarks.stored import command_line, store

VARIANTS = [(recomputed, products) for recomputed in (False, True) for products in ("highest", "medium")]


def gradients(method: CostSegmenter) -> dict[str, Tensor]:
    return {name: value.grad.clone() for name, value in method.named_parameters() if value.grad is not None}


def error(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max() / other[name].abs().max().clamp(min=1e-12)) for name in one)


def step(method: CostSegmenter, classes: int, recomputed: bool, products: str) -> None:
    torch.manual_seed(0)
    torch.set_float32_matmul_precision(products)
    method.head.checkpointing = method.backbone.checkpointing = recomputed
    training_step(method, prompts(classes), False)


def rows_of(method: CostSegmenter, classes: int, rounds: int) -> list[dict[str, Any]]:
    found: dict[tuple[bool, str], dict[str, Any]] = {key: {"seconds": [], "cpu_seconds": []} for key in VARIANTS}
    reference: dict[str, Tensor] = {}
    for number in range(rounds):
        for key, row in found.items():
            began = time.process_time()
            result = measure(partial(step, method, classes, *key))
            row["seconds"].append(round(result.seconds, 2))
            row["cpu_seconds"].append(round(time.process_time() - began, 2))
            row["peak_mib"] = round(result.peak_mib)
            if number == 0:
                reference = reference or gradients(method)
                row["gradient_error"] = error(gradients(method), reference)
    rows = []
    for (recomputed, products), row in found.items():
        if products == "highest":
            method.zero_grad(set_to_none=True)
            with TensorBytes() as counted:
                step(method, classes, recomputed, products)
            row["tensors_mib"] = round(counted.peak / 2**20)
        median = round(statistics.median(row["seconds"]), 2)
        rows.append(
            {"classes": classes, "recomputed": recomputed, "products": products, "median_seconds": median, **row}
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--classes", type=int, nargs="+", default=[60, 171])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    method = build().train()
    method.head.class_pooling = 2
    step(method, 5, False, "highest")
    rows = [row for count in given.classes for row in rows_of(method, count, given.rounds)]
    store("training", {"threads": given.threads, "rows": rows})


if __name__ == "__main__":
    main()
