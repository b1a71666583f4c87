"""Training-free variants on the drawn world: dense forms, softmax, refinement by the image, temperatures.

    python -m benchmarks.training_free [--scenes 40] [--seeds 10] [--resume]

All variants run with the packaged tiny CLIP on the same scenes with 150 names, at equal prompts (one
template). The defaults are chosen on the validation scenes (`chosen`, with calibration errors of the scores
for several temperatures, 15 bins); the table is over ten other seeds of scenes, which nothing else uses. Writes
`benchmarks/results/training_free.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch

from ahs_seg.backbones.base import DenseForm
from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.data.base import Sample
from ahs_seg.data.world.dataset import VALIDATION_SEED, WorldDataset
from ahs_seg.data.world.names import seen_names
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.io.provenance import provenance
from ahs_seg.methods.refinement import PamrConfig
from ahs_seg.methods.zero_shot import ZeroShotConfig
from ahs_seg.metrics import ConfusionMatrix
from ahs_seg.output.calibration import Reliability
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import IGNORE
from benchmarks.stored import command_line, store, stored

FIRST_SEED = 7_100
NAMES = 150
FORMS: tuple[DenseForm, ...] = ("cat_seg", "value", "residual", "clip", "sclip", "naclip", "clearclip")
TEMPERATURES = (0.01, 0.025, 0.05, 0.1)
BASELINE = "cat_seg, softmax in each view"
"""The second baseline of the other tables; the first is the best form."""
REFINED = "value, refined"
"""PAMR in 3 iterations with dilations 1, 2; the published settings reach over the whole of a scene of 96 pixels."""
TEXTS = TextCache()
VALIDATION = 20
"""Validation scenes for the temperatures; the forms are compared on twice as many."""


def segmenter(form: DenseForm, **settings: Any) -> Segmenter:
    config = ZeroShotConfig(backbone=ClipConfig(source=TINY, dense=form), **settings)
    return Segmenter(config.build(), cache=TEXTS)


def variants() -> dict[str, Segmenter]:
    return {
        BASELINE: segmenter("cat_seg", temperature=0.01, softmax="views"),
        **{form: segmenter(form) for form in FORMS},
        REFINED: segmenter("value", refine=PamrConfig(iterations=3, dilations=(1, 2))),
    }


def miou(models: dict[str, Segmenter], world: WorldDataset, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """The scores in percent of each variant on the scenes."""
    labels, found = world.vocabulary.labels, {}
    for name, model in models.items():
        matrix, predict = ConfusionMatrix(len(labels)), model.predictor(world.vocabulary)
        for sample in samples:
            matrix.update(torch.from_numpy(predict(sample.image))[None], torch.from_numpy(sample.labels)[None])
        scores = matrix.scores(labels, seen=seen_names())
        found[name] = {key: 100 * (getattr(scores, key) or 0.0) for key in ("miou", "seen", "unseen")}
    return found


def calibration_errors(form: DenseForm, world: WorldDataset, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Expected calibration error and mean score of the scores of a form, by temperature."""
    errors = {}
    for temperature in TEMPERATURES:
        model, reliability = segmenter(form, temperature=temperature), Reliability()
        scores, right = [], []
        for sample in samples:
            result, known = model(sample.image, world.vocabulary), sample.labels != IGNORE
            reliability.add(result.scores[known], (result.labels == sample.labels)[known])
            scores.append(result.scores[known].mean())
            right.append((result.labels == sample.labels)[known].mean())
        errors[f"{temperature:g}"] = {
            "calibration_error": reliability.error(),
            "mean_score": float(np.mean(scores)),
            "accuracy": float(np.mean(right)),
        }
    return errors


def summary(by_seed: Sequence[dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over the seeds of every variant."""
    rows = []
    for name in by_seed[0]:
        row: dict[str, Any] = {"variant": name}
        for key in ("miou", "seen", "unseen"):
            values = [one[name][key] for one in by_seed]
            row[key] = {"mean": mean(values), "sd": stdev(values) if len(values) > 1 else 0.0, "by_seed": values}
        rows.append(row)
    return rows


def choice(models: dict[str, Segmenter]) -> dict[str, Any]:
    """The best form on validation scenes, and what temperatures do to its scores."""
    world = WorldDataset(VALIDATION_SEED, 2 * VALIDATION, NAMES)
    samples = [world[index] for index in range(len(world))]
    forms = miou({form: models[form] for form in FORMS}, world, samples)
    best = max(FORMS, key=lambda form: forms[form]["miou"])
    print(best, json.dumps(forms, indent=1), flush=True)
    temperatures = calibration_errors(best, world, samples[:VALIDATION])
    print(json.dumps(temperatures, indent=1), flush=True)
    return {"scenes": len(samples), "forms": forms, "best": best, "temperatures": temperatures}


def earlier(
    result: dict[str, Any], scenes: int, names: Collection[str], commit: str | None
) -> list[dict[str, dict[str, float]]]:
    """The scores by seed of an earlier run, as `miou` gave them, if it is one of this commit and these variants."""
    if result["scenes"] != scenes:
        raise SystemExit(f"the results are of {result['scenes']} scenes a seed; give --scenes {result['scenes']}")
    if result["provenance"]["commit"] != commit:
        found = result["provenance"]["commit"]
        raise SystemExit(f"the results are of commit {found}, this is {commit}; check that one out, or omit --resume")
    if others := {row["variant"] for row in result["rows"]} ^ {*names}:
        raise SystemExit(f"the results have other variants ({', '.join(sorted(others))}); omit --resume")
    return [
        {
            row["variant"]: {key: row[key]["by_seed"][index] for key in ("miou", "seen", "unseen")}
            for row in result["rows"]
        }
        for index in range(len(result["seeds"]))
    ]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--scenes", type=int, default=40, help="scenes of every seed")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--resume", action="store_true", help="keep what the file of results holds, add what is missing"
    )
    options = parser.parse_args()
    models = variants()
    made = provenance().replace(command=("training_free.py", *sys.argv[1:]))
    before = stored("training_free") if options.resume else None
    by_seed = [] if before is None else earlier(before, options.scenes, models, made.commit)
    chosen = choice(models) if before is None else before["chosen"]
    for seed in range(FIRST_SEED + len(by_seed), FIRST_SEED + options.seeds):
        world = WorldDataset(seed, options.scenes, NAMES)
        by_seed.append(miou(models, world, [world[index] for index in range(len(world))]))
        print(seed, {name: round(scores["miou"], 1) for name, scores in by_seed[-1].items()}, flush=True)
        result = {
            "names": NAMES,
            "scenes": options.scenes,
            "seeds": list(range(FIRST_SEED, seed + 1)),
            "chosen": chosen,
            "rows": summary(by_seed),
        }
        store("training_free", result, made)


if __name__ == "__main__":
    main()
