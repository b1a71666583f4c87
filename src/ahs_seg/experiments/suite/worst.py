"""The worst classes of an evaluation, each with the image in which most of its pixels are missed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from ahs_seg.checkpoints.model_dir import ModelDescription
from ahs_seg.data.config import DataConfig
from ahs_seg.evaluation import EvaluationReport
from ahs_seg.evaluation.journal import journal_folder, recorded
from ahs_seg.evaluation.model import predictors_for
from ahs_seg.evaluation.protocols import Protocol
from ahs_seg.experiments.report import Figure, WorstClasses, worst_classes
from ahs_seg.io.failures import ends_run
from ahs_seg.methods.base import Method

SHOWN: Final = 4
"""Number of classes of a report that are shown with an image."""


def worst_figures(
    description: ModelDescription,
    method: Method,
    source: DataConfig,
    protocols: Sequence[Protocol],
    reports: Sequence[EvaluationReport],
    journal: Path,
    *,
    shown: int = SHOWN,
) -> list[WorstClasses]:
    """The worst classes under each protocol, with example figures; their images are read and predicted again."""
    dataset = source.open()
    device = str(next(method.parameters()).device)
    predictors = predictors_for(description, method, tuple(protocols), dataset.vocabulary, device=device)
    result = []
    for protocol, predict, report in zip(protocols, predictors, reports, strict=True):
        worst = worst_classes(report, shown)
        index = {label: number for number, label in enumerate(report.labels)}
        places = hardest(journal_folder(journal, protocol), [index[row.name] for row in worst.rows])
        shared: defaultdict[int, list[str]] = defaultdict(list)
        for row in worst.rows:
            if (place := places.get(index[row.name])) is not None:
                shared[place].append(row.name)
        figures = []
        for place, names in shared.items():
            try:
                sample = dataset[place]
            except Exception as error:  # the report lists it as a failure, see `io.failures`
                if ends_run(error):
                    raise
                continue
            figures.append(
                Figure(
                    title=f"{', '.join(names)}: {sample.name}",
                    image=sample.image,
                    prediction=predict(sample.image),
                    names=report.labels,
                    truth=sample.labels,
                    seen=report.seen,
                )
            )
        result.append(WorstClasses(worst.title, worst.rows, figures))
    return result


def hardest(folder: Path, classes: Collection[int]) -> dict[int, int]:
    """Index of the image with the most missed pixels, by class, computed from a journal."""
    most: dict[int, tuple[int, int]] = {}
    wanted = set(classes)
    for index, counts in recorded(folder):
        pairs = np.array(counts.pairs, np.int64).reshape(-1, 3)
        missed = pairs[pairs[:, 0] != pairs[:, 1]]
        for label in wanted & set(missed[:, 0].tolist()):
            pixels = int(missed[missed[:, 0] == label, 2].sum())
            most[label] = max(most.get(label, (0, 0)), (pixels, -index))
    return {label: -index for label, (_, index) in most.items()}
