"""Agreement of labels computed in bf16 and fp16 with those in fp32, their mIoU, and the time they take.

    python -m benchmarks.precision MODEL ... [--scenes 300] [--names 150] [--dtypes bf16 fp16]

Each MODEL is the directory of a trained model. Labels and scores are compared on test scenes of the drawn
world; seconds are of the process, whose threads OMP_NUM_THREADS sets. Writes `benchmarks/results/precision.json` after
every model; methods that the file has from the same commit and settings are not measured again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ahs_seg.checkpoints.model_dir import read_description
from ahs_seg.data.config import WorldData
from ahs_seg.io.precision import find_dtype, has_instructions
from ahs_seg.io.provenance import provenance
from ahs_seg.metrics.confusion import ConfusionMatrix
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter
from benchmarks.stored import RESULTS, command_line, store, stored


def measured(segmenter: Segmenter, data: Any, dtype: str, exact: list[Segmentation]) -> dict[str, Any]:
    """The row of one type; the results of the first go to `exact`, and the others are compared with them."""
    segmenter.to(dtype=dtype)
    segmenter.encode(data.vocabulary)
    counts, agreement, error, seconds = ConfusionMatrix(len(data.vocabulary)), [], 0.0, 0.0
    compared = list(exact)
    for index in range(len(data)):
        sample = data[index]
        began = time.process_time()
        found = segmenter(sample.image, data.vocabulary)
        seconds += time.process_time() - began
        counts.update(found.labels, sample.labels)
        if not compared:
            exact.append(found)
        agreement.append(float((found.labels == exact[index].labels).mean()))
        error = max(error, float(np.abs(found.scores - exact[index].scores).max()))
    return {
        "dtype": dtype,
        "agreement": float(np.mean(agreement)),
        "lowest_agreement": min(agreement),
        "largest_score_difference": error,
        "miou": counts.scores().miou,
        "seconds_per_scene": seconds / len(data),
        "instructions": has_instructions(find_dtype(dtype), segmenter.device),
    }


def by_method(models: Sequence[Path]) -> dict[str, Path]:
    """The models by the name of their method; the rows of a table are methods, so two of one method are refused."""
    found: dict[str, Path] = {}
    for path in models:
        name = read_description(path).method.name
        if name in found:
            raise SystemExit(f"{found[name]} and {path} are both of the method {name}; give one model of each method")
        found[name] = path
    return found


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--names", type=int, default=150)
    parser.add_argument("--dtypes", nargs="+", choices=("bf16", "fp16"), default=["bf16", "fp16"])
    options = parser.parse_args()
    data = WorldData.parse({"scenes": "test", "count": options.scenes, "names": options.names}).open()
    command = ("precision.py", *("MODEL" for _ in options.models), *sys.argv[1 + len(options.models) :])
    made = provenance().replace(command=command)
    settings = {"scenes": options.scenes, "names": options.names, "dtypes": options.dtypes}
    methods: dict[str, Any] = {}
    results = RESULTS / "precision.json"
    if results.exists():
        before = stored("precision")
        if all(before.get(key) == value for key, value in settings.items()):
            methods = before["methods"] if before["provenance"]["commit"] == made.commit else {}
    for name, path in by_method(options.models).items():
        if name in methods:
            print(
                f"{name}: {results.name} has a model of this method from this commit; delete the file to measure {path}"
            )
            continue
        segmenter = Segmenter.from_pretrained(path)
        exact: list[Segmentation] = []
        methods[name] = [measured(segmenter, data, dtype, exact) for dtype in ("fp32", *options.dtypes)]
        result = {"device": str(segmenter.device), **settings, "methods": methods}
        store("precision", result, made)
        print(name, json.dumps(methods[name], indent=1), flush=True)


if __name__ == "__main__":
    main()
