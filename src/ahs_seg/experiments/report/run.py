"""HTML report of a training run, made from its log files: scores, losses and monitored values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ahs_seg.evaluation import EvaluationReport
from ahs_seg.experiments.report.curves import COLUMNS, NARROW, loss_panels, read_series, statistic_panels
from ahs_seg.experiments.report.page import render_page
from ahs_seg.experiments.report.tables import score_groups
from ahs_seg.io.atomic import write_text
from ahs_seg.io.provenance import Provenance

PAGE: Final = "report.html"
WIDTHS: Final = (COLUMNS, NARROW)
"""Panels side by side on a wide page and on a phone."""


def write_run_report(
    directory: Path,
    *,
    title: str,
    config: str,
    provenance: Provenance,
    evaluations: Sequence[EvaluationReport] = (),
) -> Path:
    """Write `report.html` of a run from its `train.csv`, `statistics.csv` and `evaluation.csv`; returns its path."""
    training = read_series(directory / "train.csv")
    losses = {name: one for name, one in training.items() if name == "loss" or name.startswith("loss_")}
    if len(losses) == len(("loss", "loss_segmentation")):
        losses.pop("loss")  # the total equals the only loss
    watched = read_series(directory / "statistics.csv")
    scored = read_series(directory / "evaluation.csv")
    columns, groups = score_groups(evaluations, [])
    steps = max((one.steps[-1] for one in losses.values() if one.steps), default=0)
    page = render_page(
        "run.html",
        title=title,
        summary=f"{steps} steps of training.",
        config=config,
        provenance=provenance,
        columns=columns,
        groups=groups,
        losses=[loss_panels(losses, columns=each) for each in WIDTHS if losses],
        statistics=[statistic_panels(watched, columns=each) for each in WIDTHS if watched],
        scored=[statistic_panels(scored, columns=each) for each in WIDTHS if scored],
    )
    write_text(directory / PAGE, page)
    return directory / PAGE
