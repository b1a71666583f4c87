"""Agreement of labels computed in bf16 and fp16 with those in fp32, and the time they take.

    python -m benchmarks.precision MODEL [--scenes 25] [--names 150]

MODEL is a directory as `make quickstart` writes it. Labels and scores are compared on test scenes of the drawn world;
seconds are of the process, whose threads OMP_NUM_THREADS sets. Accuracy is the share of labelled pixels that are right.
Writes `benchmarks/results/precision.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ahs_seg.data.config import WorldData
from ahs_seg.io.atomic import write_text
from ahs_seg.io.precision import find_dtype, has_instructions
from ahs_seg.io.provenance import provenance
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import IGNORE

RESULTS = Path(__file__).parent / "results" / "precision.json"


def measured(segmenter: Segmenter, data: Any, dtype: str, exact: list[Segmentation]) -> dict[str, Any]:
    segmenter.to(dtype=dtype)
    segmenter.encode(data.vocabulary)
    found, seconds, right, known = [], 0.0, 0, 0
    for index in range(len(data)):
        sample = data[index]
        began = time.process_time()
        found.append(segmenter(sample.image, data.vocabulary))
        seconds += time.process_time() - began
        inside = sample.labels != IGNORE
        right += int((found[-1].labels == sample.labels)[inside].sum())
        known += int(inside.sum())
    exact += found if not exact else []
    agreement = [float((one.labels == other.labels).mean()) for one, other in zip(found, exact, strict=True)]
    error = max(float(np.abs(one.scores - other.scores).max()) for one, other in zip(found, exact, strict=True))
    return {
        "dtype": dtype,
        "agreement": float(np.mean(agreement)),
        "lowest_agreement": min(agreement),
        "largest_score_difference": error,
        "accuracy": right / known,
        "seconds_per_scene": seconds / len(data),
        "instructions": has_instructions(find_dtype(dtype), segmenter.device),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--scenes", type=int, default=25)
    parser.add_argument("--names", type=int, default=150)
    options = parser.parse_args()
    segmenter = Segmenter.from_pretrained(options.model)
    data = WorldData.parse({"scenes": "test", "count": options.scenes, "names": options.names}).open()
    exact: list[Segmentation] = []
    rows = [measured(segmenter, data, dtype, exact) for dtype in ("fp32", "bf16", "fp16")]
    command = ("precision.py", "MODEL", *sys.argv[2:])
    result = {
        "method": None if segmenter.description is None else segmenter.description.method.name,
        "device": str(segmenter.device),
        "scenes": options.scenes,
        "names": options.names,
        "rows": rows,
        "provenance": provenance().replace(command=command).model_dump(mode="json"),
    }
    write_text(RESULTS, json.dumps(result, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
