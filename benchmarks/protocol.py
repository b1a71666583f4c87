"""CAT-Seg's published evaluation protocol and its forward pass, beside the published computation written plainly.

    python -m benchmarks.protocol [--threads 2] [--rounds 1] [--classes 150 847]

ViT-B/16 with generated weights, one 640x480 image: four windows of 384 and the whole image, merged to labels. The plain
side follows the published code: unfold, all views, fold, every class at the size of the image, argmax. Both sides take
turns in one process, and every setting of the C allocator has a process of its own, since by default large tensors
cost page faults, which the plain side pays most: `default` is what users see, `keeping` compares the arithmetic. Other
than `benchmarks.measure`, nothing is trimmed before a call. `peak_mib` is what a call adds to the
memory that earlier calls have left to the process, less than it needs; `benchmarks.cost_family` measures that.
Writes `benchmarks/results/protocol.json`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ahs_seg.evaluation.machine import ALLOCATORS, machine_limits
from ahs_seg.inference.predict import CAT_SEG_PROTOCOL
from ahs_seg.methods import CostSegmenter
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import ClassText
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from benchmarks.cost_family import build
from benchmarks.measure import reset_peak, resident_mib
from benchmarks.stored import command_line, store
from tests.support import textbook

SIDE, KERNEL, OVERLAP = 640, 384, 1 / 3
SIZE = (480, 640)


@torch.inference_mode()
def textbook_protocol(method: CostSegmenter, image: Tensor, text: Tensor) -> Tensor:
    """Labels [H W] of an RGB image [3 H W] in [0, 1], as the published code computes them."""
    stride = int(KERNEL * (1 - OVERLAP))
    cut, paste = nn.Unfold(KERNEL, stride=stride), nn.Fold(SIDE, KERNEL, stride=stride)
    canvas = F.interpolate(image[None], (SIDE, SIDE), mode="bilinear", align_corners=False)
    windows = cut(canvas)[0].unflatten(0, (3, KERNEL, KERNEL)).permute(3, 0, 1, 2)
    whole = F.interpolate(image[None], (KERNEL, KERNEL), mode="bilinear", align_corners=False)
    logits = torch.cat([textbook.segment(method, view[None], text) for view in torch.cat([windows, whole])])
    scores = F.interpolate(logits, (KERNEL, KERNEL), mode="bilinear", align_corners=False).sigmoid()
    whole_scores = F.interpolate(scores[-1:], (SIDE, SIDE), mode="bilinear", align_corners=False)
    folded = paste(scores[:-1].flatten(1).T[None]) / paste(cut(torch.ones_like(canvas[:, :1])))
    merged = F.interpolate((folded + whole_scores) / 2, SIZE, mode="bilinear", align_corners=False)
    return merged[0].argmax(0)


def compare(ours: Callable[[], object], plain: Callable[[], object], rounds: int) -> dict[str, Any]:
    """Median seconds and peak memory of both sides, in turns; nothing is trimmed between the calls."""
    seconds: dict[str, list[float]] = {"ours": [], "textbook": []}
    peaks = {"ours": 0.0, "textbook": 0.0}
    for _ in range(rounds):
        for name, call in (("ours", ours), ("textbook", plain)):
            before = resident_mib("VmRSS")
            reset_peak()
            began = time.perf_counter()
            result = call()
            seconds[name].append(time.perf_counter() - began)
            peaks[name] = max(peaks[name], resident_mib("VmHWM") - before)
            del result
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "seconds": {name: [round(value, 3) for value in values] for name, values in seconds.items()},
        "median_seconds": {name: round(value, 3) for name, value in medians.items()},
        "times_faster": round(medians["textbook"] / medians["ours"], 2),
        "peak_mib": {name: round(value) for name, value in peaks.items()},
    }


def measured(classes: list[int], rounds: int) -> dict[str, Any]:
    """All comparisons in this process."""
    method = build()
    segmenter = Segmenter(method, prompts=PromptConfig(templates=("a photo of a {}",)), inference=CAT_SEG_PROTOCOL)
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    pixels, rows = torch.from_numpy(image).permute(2, 0, 1).float() / 255, []
    view = torch.rand(1, 3, KERNEL, KERNEL, generator=torch.Generator().manual_seed(0))
    for count in classes:
        vocabulary = Vocabulary.parse([f"thing {index}" for index in range(count)])
        generator = torch.Generator().manual_seed(count)
        text = F.normalize(torch.randn(count, 1, method.backbone.dim, generator=generator), dim=-1)
        with torch.inference_mode():
            segmenter(image[:64, :64], vocabulary)  # encodes the words, and makes what is made once
            own: ClassText = segmenter.method.prepare(text)
            forward = compare(
                partial(segmenter.method, view, own), partial(textbook.segment, method, view, text), rounds
            )
        rows.append({"what": "forward", "classes": count, **forward})
        whole = compare(
            partial(segmenter.segment, image, vocabulary), partial(textbook_protocol, method, pixels, text), rounds
        )
        rows.append({"what": "protocol", "classes": count, **whole})
        print(json.dumps(rows[-2:]), file=sys.stderr, flush=True)
    return {"rows": rows, "limits": {name: round(value, 1) for name, value in machine_limits().items()}}


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--classes", type=int, nargs="+", default=[150, 847])
    parser.add_argument("--child", action="store_true", help="measure in this process and print the result")
    given = parser.parse_args()
    if given.child:
        torch.set_num_threads(given.threads)
        print(json.dumps(measured(given.classes, given.rounds)))
        return
    words = ["--threads", str(given.threads), "--rounds", str(given.rounds), "--classes", *map(str, given.classes)]
    found = {}
    for name, variables in ALLOCATORS.items():
        environment = {key: value for key, value in os.environ.items() if key not in ALLOCATORS["keeping"]}
        line = [sys.executable, "-m", "benchmarks.protocol", "--child", *words]
        done = subprocess.run(line, env={**environment, **variables}, stdout=subprocess.PIPE, text=True, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
    values = {
        "threads": given.threads,
        "rounds": given.rounds,
        "allocators": found,
    }
    store("protocol", values)


if __name__ == "__main__":
    main()
