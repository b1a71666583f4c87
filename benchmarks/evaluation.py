"""Memory of an evaluation over 200 and 2,000 images, and the cost of scoring relative to the model.

    python -m benchmarks.evaluation [--images 200 2000] [--threads 2] [--pictures 2]

Memory: drawn scenes with 150 names, the tiny CLIP without training on CAT-Seg's form (the cheapest model, so that the
share of scoring is largest), a fresh process per row. Scoring: everything after the forward pass (merging, argmax,
counting) relative to the forward pass, for images of 640x480 pixels and 150 names; ViT-B/16 has generated weights, and
its text is random. Writes `benchmarks/results/evaluation.json`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.data.config import WorldData
from ahs_seg.evaluation import evaluate
from ahs_seg.evaluation.protocols import find_protocol
from ahs_seg.experiments.quickstart import BASELINES
from ahs_seg.inference.predict import InferenceConfig, predict
from ahs_seg.methods.base import Method
from ahs_seg.methods.wrapped import WrappedMethod
from ahs_seg.metrics import Measures, MetricAccumulator, count_image
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import ImageFeatures, Output, Words
from benchmarks.cost_family import build, vit_b16
from benchmarks.measure import in_own_process, resident_mib
from benchmarks.stored import command_line, store

FREE = BASELINES["zero_shot, CAT-Seg's form"]
CLASSES, WIDTH, HEIGHT, POINTS = 150, 640, 480, 10


class Timed(WrappedMethod):
    """A method that sums up the seconds of its forward passes."""

    def __init__(self, method: Method) -> None:
        super().__init__(method)
        self.seconds = 0.0

    def encode(self, images: Tensor) -> ImageFeatures:
        began = time.perf_counter()
        features = self.method.encode(images)
        self.seconds += time.perf_counter() - began
        return features

    def decode(self, features: Any, text: Words) -> Output:
        began = time.perf_counter()
        output = self.method.decode(features, text)
        self.seconds += time.perf_counter() - began
        return output

    def for_inference(self, options: Mapping[str, Any] | None = None) -> Timed:
        return Timed(self.method.for_inference(options))


def memory(images: int, threads: int) -> dict[str, Any]:
    """Resident memory during an evaluation of this many drawn images."""
    torch.set_num_threads(threads)
    dataset = WorldData(scenes="test", count=images, names=150).open()
    segmenter = Segmenter(FREE.build())
    answer, points, done = segmenter.predictor(dataset.vocabulary), [], 0

    def watched(image: np.ndarray) -> np.ndarray:
        nonlocal done
        if done % (images // POINTS) == 0:
            points.append({"images": done, "resident_mib": round(resident_mib("VmRSS"), 1)})
        done += 1
        return answer(image)

    began = time.perf_counter()
    report = evaluate(watched, dataset, method="zero_shot", name="world-150", protocol="own", progress=False)
    seconds = time.perf_counter() - began
    points.append({"images": done, "resident_mib": round(resident_mib("VmRSS"), 1)})
    peak = round(resident_mib("VmHWM"), 1)
    return {
        "images": images,
        "seconds": round(seconds, 1),
        "images_per_second": round(images / seconds, 1),
        "miou": report.scores.miou,
        "resident_over_time": points,
        "peak_mib": peak,
    }


def scoring(title: str, method: Method, inference: InferenceConfig, images: int) -> dict[str, Any]:
    """Seconds per image of the forward pass and of everything else; the first image is not counted."""
    rng, timed = np.random.default_rng(0), Timed(method)
    text = F.normalize(torch.randn(CLASSES, 1, method.backbone.dim, generator=torch.Generator().manual_seed(0)), dim=-1)
    tally, rest, forward = MetricAccumulator(CLASSES, Measures()), [], []
    for _ in range(images + 1):
        image = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        labels = np.kron(rng.integers(0, CLASSES, (6, 8)), np.ones((80, 80), np.int32)).astype(np.int32)
        timed.seconds, began = 0.0, time.perf_counter()
        prediction = predict(timed, image, text, inference).labels.numpy()
        tally.add(count_image(prediction, labels, CLASSES, boundary=False))
        rest.append(time.perf_counter() - began - timed.seconds)
        forward.append(timed.seconds)
    spent, model = float(np.median(rest[1:])), float(np.median(forward[1:]))
    return {
        "case": title,
        "forward_seconds": round(model, 4),
        "scoring_seconds": round(spent, 4),
        "scoring_over_forward": round(spent / model, 4),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--images", type=int, nargs="*", default=[200, 2000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pictures", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for images in options.images:
        rows.append(in_own_process(memory, images, options.threads))
        print(json.dumps(rows[-1]))
    whole, catseg, timed_images = InferenceConfig(), find_protocol("catseg").inference, options.pictures
    tiny = FREE.build().eval()
    cases: list[tuple[str, Method, InferenceConfig, int]] = [
        ("zero_shot, tiny CLIP, whole image", tiny, whole, 10 * timed_images)
    ]
    cases += [("zero_shot, ViT-B/16, whole image", FREE.compose(vit_b16()).eval(), whole, 2 * timed_images)]
    large = build()
    cases += [("cat_seg, ViT-B/16, whole image", large, whole, timed_images)]
    cases += [("cat_seg, ViT-B/16, protocol catseg", large, catseg, 1)]
    shares = []
    for case in cases:
        shares.append(scoring(*case))
        print(json.dumps(shares[-1]))
    results = {
        "memory": rows,
        "scoring": {"picture": f"{WIDTH}x{HEIGHT}", "classes": CLASSES, "cases": shares},
    }
    store("evaluation", results)


if __name__ == "__main__":
    main()
