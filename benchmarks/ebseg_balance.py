"""The balance of EBSeg's three embeddings, chosen on validation scenes.

    python -m benchmarks.ebseg_balance MODEL ... [--scenes 300] [--names 150]

Each MODEL is EBSeg of the quickstart with another seed (`ahs-seg quickstart --method ebseg --seed 11`). Unseen classes
have the weights beta of the averaged and gamma = 1 - beta of the recognised embedding; seen classes move
the weight `supervised` from the averaged embedding to the trained one. Writes `benchmarks/results/ebseg_balance.json`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from ahs_seg.data.config import WorldData
from ahs_seg.io.provenance import provenance
from ahs_seg.methods.mask.ebseg.segmenter import EBSegSegmenter
from ahs_seg.metrics.confusion import ConfusionMatrix
from ahs_seg.segmenter import Segmenter
from benchmarks.stored import command_line, store

GAMMAS: Final = (0.0, 0.2, 0.4, 0.6, 0.8)
SUPERVISED: Final = (0.0, 0.1, 0.2, 0.4)
WEIGHTS: Final = ("alpha", "beta", "gamma")
METRICS: Final = ("miou", "seen", "unseen", "harmonic")


def balances() -> list[dict[str, float]]:
    """Every balance of the grid; the weight of the trained embedding must fit into beta."""
    grid = [(round(1 - gamma, 2), gamma, supervised) for gamma in GAMMAS for supervised in SUPERVISED]
    return [
        {"alpha": round(beta - supervised, 2), "beta": beta, "gamma": gamma}
        for beta, gamma, supervised in grid
        if supervised <= beta
    ]


def told(values: dict[str, Any]) -> Iterator[str]:
    """What the page of EBSeg tells: the balance with the best mean over all names, and the best without a part."""

    def scores(row: dict[str, float]) -> list[str]:
        return [f"{100 * row[metric]:.1f}" for metric in ("miou", "unseen")]

    rows = values["rows"]
    best, averaged, balanced = (
        max(some, key=lambda row: row["miou"])
        for some in (
            rows,
            [row for row in rows if not row["gamma"]],
            [row for row in rows if row["alpha"] == row["beta"]],
        )
    )
    yield f"{', '.join(f'${chr(92)}{key}$ = {best[key]:g}' for key in WEIGHTS)}, is the best of {len(rows)} on"
    yield " on all names and ".join(scores(best)) + " on unseen ones"
    yield f"it is {' and '.join(scores(averaged))} at best"
    yield f"$\\beta$) {' and '.join(scores(balanced))}"


def scored(segmenter: Segmenter, data: Any, balance: dict[str, float]) -> dict[str, float]:
    method = segmenter.method
    assert isinstance(method, EBSegSegmenter)
    method.alpha, method.beta, method.gamma = (balance[key] for key in WEIGHTS)
    counts = ConfusionMatrix(len(data.vocabulary))
    for index in range(len(data)):
        sample = data[index]
        counts.update(segmenter(sample.image, data.vocabulary).labels, sample.labels)
    assert segmenter.description is not None
    known = segmenter.description.seen(data.vocabulary)
    assert known is not None
    labels = data.vocabulary.labels
    found = counts.scores(labels, seen=[label for label, seen in zip(labels, known, strict=True) if seen])
    return {metric: float(getattr(found, metric)) for metric in METRICS}


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--names", type=int, default=150)
    given = parser.parse_args()
    data = WorldData.parse({"scenes": "validation", "count": given.scenes, "names": given.names}).open()
    found: list[list[dict[str, float]]] = []
    for path in given.models:
        segmenter = Segmenter.from_pretrained(path)
        found.append([scored(segmenter, data, balance) for balance in balances()])
        print(path, *zip(balances(), found[-1], strict=True), sep="\n", flush=True)
    rows = [
        {**balance, **{metric: float(np.mean([model[place][metric] for model in found])) for metric in METRICS}}
        for place, balance in enumerate(balances())
    ]
    command = ("ebseg_balance.py", *("MODEL" for _ in given.models), *sys.argv[1 + len(given.models) :])
    made = provenance().replace(command=command)
    settings = {"scenes": given.scenes, "names": given.names, "models": len(given.models)}
    store("ebseg_balance", {**settings, "rows": rows}, made)


if __name__ == "__main__":
    main()
