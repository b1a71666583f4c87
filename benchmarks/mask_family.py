"""Time and memory of EBSeg and SCAN at ViT-B/16 size on one 640x640 image, from pixels to labels.

    python -m benchmarks.mask_family [--threads 1] [--rounds 3] [--methods ebseg scan]

Generated weights, text cached. "forward" is the forward pass, "labels" computes the label of every pixel from mask
proposals, and "labels_textbook" does so with the scores of all classes at all pixels. CPU seconds of the process are
given besides wall seconds, since they do not depend on other processes. Writes `benchmarks/results/mask_family.json`.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.inference.mask_scores import MaskScores, MaskView, mask_views
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.inference.score_maps import best_rows
from ahs_seg.methods import ScanConfig
from ahs_seg.methods.base import Method
from benchmarks.cost_family import vit_b16
from benchmarks.measure import measure
from benchmarks.stored import command_line, store
from tests.parity.ebseg_case import build_ebseg

SIDE, CLASSES = 640, (150, 847)


def build(name: str) -> Method:
    """The method: EBSeg with the weights of its recording, which give different masks; SCAN at initialisation."""
    if name == "ebseg":
        torch.manual_seed(0)
        return build_ebseg("ebseg_vitb").method
    return ScanConfig().compose(vit_b16(224)).eval()


def textbook(view: MaskView, size: tuple[int, int]) -> Tensor:
    """Labels from the scores of all classes at all pixels, as in the original code."""
    framed = F.interpolate(view.masks[None], view.padded_size, mode="bilinear", align_corners=False)
    masks = F.interpolate(framed[..., : view.size[0], : view.size[1]], size, mode="bilinear", align_corners=False)
    return torch.einsum("qt,qhw->thw", view.classes, masks[0].sigmoid()).argmax(0)


def timed(call: Callable[[], object], rounds: int) -> dict[str, Any]:
    wall, cpu, peaks = [], [], []
    for _ in range(rounds):
        began = time.process_time()
        found = measure(call)
        cpu.append(time.process_time() - began)
        wall.append(found.seconds)
        peaks.append(found.peak_mib)
    return {
        "median_seconds": round(statistics.median(wall), 3),
        "median_cpu_seconds": round(statistics.median(cpu), 3),
        "peak_mib": round(max(peaks)),
    }


@torch.inference_mode()
def row(name: str, method: Method, classes: int, rounds: int) -> dict[str, Any]:
    image, size = torch.rand(1, 3, SIDE // 32, SIDE // 32), (SIDE, SIDE)
    image = F.interpolate(image, size, mode="bicubic").clamp(0, 1)
    text = F.normalize(torch.randn(classes, 1, 512, generator=torch.Generator().manual_seed(classes)), dim=-1)
    words, memory = method.prepare(text), InferenceConfig().memory_bytes
    output = method(image, words)
    assert output.proposals is not None
    (view,) = mask_views(output.proposals)
    maps, rows = MaskScores(view, size), torch.arange(classes)
    labels, _ = best_rows(maps, rows, memory_bytes=memory)
    bands = list(maps.bands(rows, memory))
    return {
        "method": name,
        "classes": classes,
        "forward": timed(lambda: method(image, words), rounds),
        "labels": timed(lambda: best_rows(maps, rows, memory_bytes=memory), rounds),
        "labels_textbook": timed(lambda: textbook(view, size), rounds),
        "equal_labels": round(float((labels == textbook(view, size)).float().mean()), 6),
        "classes_per_band": round(statistics.mean(len(some) for _, some in bands), 1),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=["ebseg", "scan"], choices=["ebseg", "scan"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for name in arguments.methods:
        method = build(name)
        for classes in CLASSES:
            rows.append(row(name, method, classes, arguments.rounds))
            print(json.dumps(rows[-1]))
        del method
    found = {
        "threads": arguments.threads,
        "side": SIDE,
        "rows": rows,
    }
    store("mask_family", found)


if __name__ == "__main__":
    main()
