"""Which measure of a result tells images and words that a model knows from others: AUROC, and the rates of a threshold.

    python -m benchmarks.at_home MODEL --photographs FOLDER [--scenes 20] [--photos 20]

MODEL is a directory as `make quickstart` writes it; the training-free baseline on the packaged CLIP is measured, too.
FOLDER has `images/train`, `images/val` and `classes.txt`, as CamVid. At home are drawn scenes with 20 and 150 names of
the drawn world. Elsewhere are photographs with their own class names, with names of everyday things and with the names
of the drawn world, and drawn scenes with names of everyday things. The bound is that of a calibration, `usual`, on 40
validation scenes with 150 names; every figure is of test scenes and of `images/val`. Writes
`benchmarks/results/at_home.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from ahs_seg.backbones.clip_config import TINY
from ahs_seg.checkpoints.training_free import PREFIX
from ahs_seg.data.config import WorldData, WorldNames
from ahs_seg.io.images import read_image
from ahs_seg.io.provenance import provenance
from ahs_seg.output.familiarity import certainty, chance, usual
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import Vocabulary
from benchmarks.stored import command_line, store

NAMES: tuple[WorldNames, ...] = (20, 150)
EVERYDAY = Vocabulary.parse(
    "cat, dog, bus, building, road, person, bicycle, tree, chair, sofa, lamp, boat, horse, table, computer, bottle, "
    "river, mountain, bridge, train"
)
CALIBRATED = 40
"""Validation scenes of the calibration."""
FITTED = 200
"""Training scenes whose image features give the mean and covariance of the distance that is compared."""

Image = UInt8[np.ndarray, "H W 3"]
Measures = dict[str, float]


def scenes(
    split: Literal["train", "validation", "test"], count: int, names: WorldNames
) -> tuple[list[Image], Vocabulary]:
    data = WorldData(scenes=split, count=count, names=names).open()
    return [data[index].image for index in range(count)], data.vocabulary


def distance_from_training(segmenter: Segmenter) -> Callable[[Image], float]:
    """Mahalanobis distance of the mean image feature from those of training scenes, divided by the root of its size."""

    def feature(image: Image) -> np.ndarray:
        mean: np.ndarray = segmenter.features(image).mean((1, 2)).numpy()
        return mean / np.linalg.norm(mean)

    known = np.stack([feature(image) for image in scenes("train", FITTED, 150)[0]])
    middle, spread = known.mean(0), np.cov(known.T)
    size = len(middle)
    inverse = np.linalg.inv(0.9 * spread + 0.1 * np.trace(spread) / size * np.eye(size))

    def distance(image: Image) -> float:
        away = feature(image) - middle
        return float(np.sqrt(away @ inverse @ away / size))

    return distance


def measured(
    segmenter: Segmenter, images: Sequence[Image], words: Vocabulary, distance: Callable[[Image], float]
) -> list[Measures]:
    """Every measure of every image, larger where a model is more at home."""
    found = []
    for image in images:
        result = segmenter(image, words, top_k=2, return_logits=True)
        assert result.top_scores is not None
        assert result.logits is not None
        scores = 1 / (1 + np.exp(-result.logits.reshape(len(words), -1).astype(np.float64)))
        shares = scores / scores.sum(0)
        entropy = -(shares * np.log(shares + 1e-12)).sum(0).mean() / np.log(len(words))
        found.append(
            {
                "certainty": certainty(result.scores),
                "margin": float((result.top_scores[0] - result.top_scores[1]).mean()),
                "entropy, negative": -float(entropy),
                "feature distance, negative": -distance(image),
            }
        )
    return found


def auroc(home: Sequence[float], other: Sequence[float]) -> float:
    """Share of pairs in which the image at home has the larger value; ties count half."""
    first, second = np.array(home)[:, None], np.array(other)[None]
    return float((first > second).mean() + 0.5 * (first == second).mean())


def compared(segmenter: Segmenter, folder: Path, count: int, photos: int) -> dict[str, Any]:
    """The figures of one model."""
    distance = distance_from_training(segmenter)
    calibrated, known = scenes("validation", CALIBRATED, NAMES[-1])
    threshold = usual([certainty(segmenter(image, known).scores) for image in calibrated])
    assert threshold is not None, "there are scenes"
    home = {f"scenes, {names} names": measured(segmenter, *scenes("test", count, names), distance) for names in NAMES}
    photographs = [read_image(path) for path in sorted((folder / "images" / "val").glob("*.jpg"))[:photos]]
    street = Vocabulary.parse(str(folder / "classes.txt"))
    others = {
        "photographs, their names": (photographs, street),
        "photographs, everyday names": (photographs, EVERYDAY),
        "photographs, 20 drawn names": (photographs, scenes("test", 1, 20)[1]),
        "photographs, 150 drawn names": (photographs, scenes("test", 1, 150)[1]),
        "scenes, everyday names": (scenes("test", count, 20)[0], EVERYDAY),
        "scenes, names of the photographs": (scenes("test", count, 20)[0], street),
    }
    every = [one for some in home.values() for one in some]
    rows = []
    for title, (images, words) in others.items():
        away = measured(segmenter, images, words, distance)
        bound = max(threshold, chance(len(words)))
        rows.append(
            {
                "elsewhere": title,
                "images": len(images),
                "auroc": {key: auroc([one[key] for one in every], [one[key] for one in away]) for key in every[0]},
                "certainty": float(np.median([one["certainty"] for one in away])),
                "warned": float(np.mean([one["certainty"] < bound for one in away])),
                "near_chance": float(np.mean([one["certainty"] < chance(len(words)) for one in away])),
            }
        )
    return {
        "threshold": threshold,
        "home": [
            {
                "home": title,
                "images": len(some),
                "certainty": float(np.median([one["certainty"] for one in some])),
                "warned": float(np.mean([one["certainty"] < threshold for one in some])),
            }
            for title, some in home.items()
        ],
        "elsewhere": rows,
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--photos", type=int, default=20)
    options = parser.parse_args()
    segmenters = {
        "trained": Segmenter.from_pretrained(options.model),
        "training-free": Segmenter.from_pretrained(PREFIX + TINY),
    }
    command = ("at_home.py", "MODEL", "--photographs", "FOLDER", *sys.argv[4:])
    result = {
        "photographs": "CamVid, images/val",
        "validation_scenes": CALIBRATED,
        "models": {
            name: {
                "method": None if segmenter.description is None else segmenter.description.method.name,
                **compared(segmenter, options.photographs, options.scenes, options.photos),
            }
            for name, segmenter in segmenters.items()
        },
    }
    store("at_home", result, provenance().replace(command=command))
    print(json.dumps(result["models"], indent=1))


if __name__ == "__main__":
    main()
