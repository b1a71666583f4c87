"""Calibration error of scores and confidences, for vocabularies of different sizes.

    python -m benchmarks.calibration MODEL [--calibration 40] [--scenes 25]

MODEL is a directory as `make quickstart` writes it. The calibration is fitted on validation scenes of the drawn world
with 150 names; errors are the expected calibration errors (15 bins) on test scenes with 20, 150 and 847 names.
Writes `benchmarks/results/calibration.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ahs_seg.data.config import WorldData, WorldNames
from ahs_seg.io.provenance import provenance
from ahs_seg.output.calibration import Reliability
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import IGNORE
from benchmarks.stored import command_line, store

NAMES: tuple[WorldNames, ...] = (20, 150, 847)


def measured(segmenter: Segmenter, names: WorldNames, scenes: int) -> dict[str, Any]:
    data = WorldData(scenes="test", count=scenes, names=names).open()
    raw, calibrated = Reliability(), Reliability()
    for index in range(len(data)):
        sample = data[index]
        result, known = segmenter(sample.image, data.vocabulary), sample.labels != IGNORE
        right = (result.labels == sample.labels)[known]
        raw.add(result.scores[known], right)
        calibrated.add(result.confidence[known], right)
    accuracy = float(raw.right.sum() / raw.pixels.sum())
    return {"names": names, "accuracy": accuracy, "scores": raw.error(), "confidences": calibrated.error()}


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibration", type=int, default=40)
    parser.add_argument("--scenes", type=int, default=25)
    options = parser.parse_args()
    segmenter = Segmenter.from_pretrained(options.model)
    calibration = segmenter.calibrate(WorldData(scenes="validation", count=options.calibration, names=150).open())
    command = ("calibration.py", "MODEL", *sys.argv[2:])
    result = {
        "method": None if segmenter.description is None else segmenter.description.method.name,
        "calibration": calibration.model_dump(mode="json", exclude={"scores", "accuracies"}),
        "scenes": options.scenes,
        "rows": [measured(segmenter, names, options.scenes) for names in NAMES],
    }
    store("calibration", result, provenance().replace(command=command))
    print(json.dumps(result["rows"], indent=1))


if __name__ == "__main__":
    main()
