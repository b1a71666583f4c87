"""Suites: all benchmarks that are there, one after the other, and what is written about them.

results.json       reports with counts and provenance, and what was left out
results.md         a table, published numbers beside the measured ones
per_class/*.csv    every class of every report
report.html        a page with scores, the worst classes, what they are taken for, and pictures
journal/           counts of every picture; a run that was killed goes on from there
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ahs_seg.checkpoints.model_dir import ModelDescription, load_model
from ahs_seg.data.catalog import CatalogError
from ahs_seg.data.config import BenchmarkData, DataConfig
from ahs_seg.evaluation import EvaluationError, EvaluationReport
from ahs_seg.evaluation.model import EvaluationJob, device_for, evaluate_model
from ahs_seg.evaluation.protocols import Protocol
from ahs_seg.experiments.report import Report, write_report
from ahs_seg.experiments.suite.tables import class_table, suite_table
from ahs_seg.experiments.suite.worst import worst_figures
from ahs_seg.io.atomic import write_text
from ahs_seg.io.provenance import provenance
from ahs_seg.methods.base import Method
from ahs_seg.metrics import Measures

SUITES: Final = {
    "ovss": (
        "ade20k-847",
        "pascal-context-459",
        "ade20k-150",
        "pascal-context-59",
        "pascal-voc-20",
        "pascal-voc-20b",
    ),
}
"""Benchmarks by suite; `ovss` is what papers on open-vocabulary semantic segmentation print, in their order."""


@dataclass(frozen=True)
class SuiteResult:
    """The reports, and a line for each benchmark that was left out."""

    reports: list[EvaluationReport]
    skipped: list[str]


def suite_data(suite: str, root: Path) -> list[DataConfig]:
    """The benchmarks of a suite below `root`, there or not.

    Raises:
        EvaluationError: listing the suites there are.
    """
    if suite not in SUITES:
        raise EvaluationError(f"no suite is called {suite!r}; known are {', '.join(SUITES)}.")
    return [BenchmarkData(benchmark=name, root=root) for name in SUITES[suite]]


def run_suite(
    model: Path,
    data: Sequence[DataConfig],
    protocols: Sequence[Protocol],
    output: Path,
    *,
    measures: Measures | None = None,
    processes: int = 1,
    device: str = "auto",
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> SuiteResult:
    """Evaluate a model directory on all of the data that is there, under all protocols, and write `output`.

    Files are written anew after each benchmark. What is not prepared is skipped with a notice.

    Raises:
        EvaluationError: none of the data is there.
    """
    description, method = load_model(model)
    measures = (measures or Measures()).replace(pairs=True)
    reports: list[EvaluationReport] = []
    skipped: list[str] = []
    sources: list[DataConfig] = []
    for source in data:
        try:
            source.open()
        except CatalogError as error:
            skipped.append(str(error))
            say(f"skipped: {error}")
            continue
        job = EvaluationJob(
            model=model,
            data=source,
            protocols=tuple(protocols),
            measures=measures,
            journal=output / "journal" / slug(source.title),
            device=device,
        )
        reports += evaluate_model(job, processes=processes, progress=progress)
        sources.append(source)
        _write_tables(output, description, method.backbone.dim, protocols, reports, skipped)
    if not reports:
        raise EvaluationError("none of the data is there:\n  " + "\n  ".join(skipped))
    _write_tables(output, description, method.backbone.dim, protocols, reports, skipped)
    _write_page(output, description, method.to(device_for(device)), sources, protocols, reports, skipped)
    return SuiteResult(reports, skipped)


def slug(text: str) -> str:
    """A file name."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-")


def _write_tables(
    output: Path,
    description: ModelDescription,
    dim: int,
    protocols: Sequence[Protocol],
    reports: Sequence[EvaluationReport],
    skipped: Sequence[str],
) -> None:
    results = {
        "method": description.method.name,
        "protocols": [protocol.model_dump(mode="json") for protocol in protocols],
        "skipped": list(skipped),
        "reports": [report.to_dict() for report in reports],
    }
    write_text(output / "results.json", json.dumps(results) + "\n")
    table = suite_table(reports, [protocol.name for protocol in protocols], description.method.name, dim)
    notes = [f"- skipped: {line}" for line in skipped]
    write_text(output / "results.md", "\n".join([f"# {description.method.name}", "", table, "", *notes]) + "\n")
    for number, report in enumerate(reports):
        name = f"{slug(report.dataset)}-{slug(protocols[number % len(protocols)].name)}.csv"
        write_text(output / "per_class" / name, class_table(report))


def _write_page(
    output: Path,
    description: ModelDescription,
    method: Method,
    sources: Sequence[DataConfig],
    protocols: Sequence[Protocol],
    reports: Sequence[EvaluationReport],
    skipped: Sequence[str],
) -> None:
    worst = []
    for number, source in enumerate(sources):
        own = reports[number * len(protocols) : (number + 1) * len(protocols)]
        journal = output / "journal" / slug(source.title)
        worst += worst_figures(description, method, source, protocols, own, journal)
    left_out = f" Left out: {len(skipped)} that are not prepared." if skipped else ""
    page = Report(
        title=f"{description.method.name} on {len(sources)} benchmark{'s' * (len(sources) != 1)}",
        summary=f"Protocols: {', '.join(protocol.title for protocol in protocols)}.{left_out}",
        evaluations=reports,
        provenance=provenance(),
        worst=worst,
    )
    write_report(output / "report.html", page)
