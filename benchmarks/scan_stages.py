"""Scores of trained SCAN models on the drawn world, with and without the second stage.

    ahs-seg quickstart --method scan --seed 0 --output runs/scan0
    python -m benchmarks.scan_stages runs/scan0 runs/scan1 runs/scan2 [--scenes 300]

Each folder is the output of a SCAN quickstart. Three settings of the same weights: proposals alone, masked crops
without contextual shift (no background patch is replaced), and the model as trained. mIoU on test scenes with 150
names, also of training-free segmentation on CAT-Seg's form. Writes `benchmarks/results/scan_stages.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

from ahs_seg.checkpoints import load_model
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.config import WorldData
from ahs_seg.evaluation import evaluate
from ahs_seg.experiments.quickstart import BASELINES
from ahs_seg.methods import ScanSegmenter
from ahs_seg.segmenter import Segmenter
from benchmarks.stored import command_line, store

BASELINE = BASELINES["zero_shot, CAT-Seg's form"]
Scores = dict[str, float | None]


def score(segmenter: Segmenter, dataset: SegmentationDataset, seen: tuple[str, ...]) -> Scores:
    report = evaluate(
        segmenter.predictor(dataset.vocabulary), dataset, method="scan", name="world", protocol="own", seen=seen
    )
    return {"all": report.scores.miou, "seen": report.scores.seen, "unseen": report.scores.unseen}


def stages(model: Path, dataset: SegmentationDataset) -> dict[str, Scores]:
    """Scores of one model for each setting."""
    segmenter, seen = Segmenter.from_pretrained(model), load_model(model)[0].trained_on
    method = segmenter.method
    assert isinstance(method, ScanSegmenter)
    whole = method.ensemble
    assert whole is not None, f"{model} was trained without a second stage"
    settings = {"proposals alone": None, "pictures, no shift": whole.replace(ratio=0.0), "SCAN": whole}
    found = {}
    for title, ensemble in settings.items():
        method.ensemble = ensemble
        found[title] = score(segmenter, dataset, seen)
    return found


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--scenes", type=int, default=300)
    given = parser.parse_args()
    dataset = WorldData(scenes="test", count=given.scenes, names=150).open()
    models = [model for folder in given.folders for model in sorted(folder.glob("run-scan-seed*/model"))]
    free = Segmenter(BASELINE.build())
    values = {
        "scenes": given.scenes,
        "names": len(dataset.vocabulary),
        "baseline": score(free, dataset, load_model(models[0])[0].trained_on),
        "runs": {model.parent.name: stages(model, dataset) for model in models},
    }
    store("scan_stages", values)
    print(json.dumps(values, indent=1))


if __name__ == "__main__":
    main()
