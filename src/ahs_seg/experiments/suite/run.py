"""Suites: evaluation on all available benchmarks of a list, and the files written for it.

results.json       reports with counts and provenance, and skipped benchmarks
results.md         table of measured and published scores
per_class/*.csv    scores of every class of every report
report.html        page with scores, the worst classes, their confusions, and example images
journal/           counts of every image, from which a killed run resumes
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
from ahs_seg.errors import AhsSegError
from ahs_seg.evaluation import EvaluationError, EvaluationReport
from ahs_seg.evaluation.model import EvaluationJob, evaluate_model
from ahs_seg.evaluation.protocols import Protocol
from ahs_seg.experiments.report import Report, write_report
from ahs_seg.experiments.suite.tables import class_table, suite_table
from ahs_seg.experiments.suite.worst import worst_figures
from ahs_seg.io.atomic import write_text
from ahs_seg.io.devices import find_device
from ahs_seg.io.failures import ends_run
from ahs_seg.io.precision import Precision
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
"""Benchmarks by suite; `ovss` are those of papers on open-vocabulary semantic segmentation, in their usual order."""


@dataclass(frozen=True)
class SuiteResult:
    """Reports of all evaluated benchmarks, and a message for each skipped one.

    `failed` are those of the messages about benchmarks that are there, but could not be evaluated.
    """

    reports: list[EvaluationReport]
    skipped: list[str]
    failed: list[str]


def suite_data(suite: str, root: Path) -> list[DataConfig]:
    """Data configs of the benchmarks of a suite below `root`; it is not checked whether they are prepared.

    Raises:
        EvaluationError: the suite is unknown; the message lists the known ones.
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
    dtype: Precision = "fp32",
    threads: int | None = None,
    cache: bool = True,
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> SuiteResult:
    """Evaluate a model directory on all available datasets under all protocols; writes the results to `output`.

    `dtype`, `threads` and `cache` are those of `EvaluationJob`. The tables are rewritten after each benchmark.
    Benchmarks that are not prepared or cannot be evaluated are skipped with a message.

    Raises:
        EvaluationError: none of the datasets is available and can be evaluated.
        DeviceError: this machine has no such device.
    """
    place = find_device(device)
    description, method = load_model(model)
    measures = (measures or Measures()).replace(pairs=True)
    reports: list[EvaluationReport] = []
    skipped: list[str] = []
    failed: list[str] = []
    sources: list[DataConfig] = []
    for source in data:
        job = EvaluationJob(
            model=model,
            data=source,
            protocols=tuple(protocols),
            measures=measures,
            journal=output / "journal" / slug(source.title),
            device=device,
            dtype=dtype,
            threads=threads,
            cache=cache,
        )
        try:
            source.open()
            reports += evaluate_model(job, processes=processes, progress=progress)
        except AhsSegError as error:
            if ends_run(error):
                raise
            skipped.append(str(error))
            failed += [] if isinstance(error, CatalogError) else [str(error)]
            say(f"skipped: {error}")
            continue
        sources.append(source)
        _write_tables(output, description, method.backbone.dim, protocols, reports, skipped)
    if not reports:
        raise EvaluationError("none of the datasets can be evaluated:\n  " + "\n  ".join(skipped))
    _write_tables(output, description, method.backbone.dim, protocols, reports, skipped)
    _write_page(output, description, method.to(place), sources, protocols, reports, skipped)
    return SuiteResult(reports, skipped, failed)


def slug(text: str) -> str:
    """Turn a text into a safe file name."""
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
    left_out = f" Skipped: {len(skipped)}." if skipped else ""
    page = Report(
        title=f"{description.method.name} on {len(sources)} benchmark{'s' * (len(sources) != 1)}",
        summary=f"Protocols: {', '.join(protocol.title for protocol in protocols)}.{left_out}",
        evaluations=reports,
        provenance=provenance(),
        worst=worst,
    )
    write_report(output / "report.html", page)
