"""Rendering of a report as one self-contained HTML file, without network access, scripts or fonts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from ahs_seg.evaluation import EvaluationReport
from ahs_seg.experiments.report.charts import loss_chart
from ahs_seg.experiments.report.content import Report
from ahs_seg.experiments.report.images import shared_colours, view
from ahs_seg.experiments.report.tables import class_rows, score_groups
from ahs_seg.io.atomic import write_text
from ahs_seg.io.outside_text import printable
from ahs_seg.io.provenance import Provenance

NO_FACTS: Final[Mapping[str, str]] = MappingProxyType({})


def write_report(path: Path, report: Report) -> None:
    """Write the report as a single HTML file, atomically."""
    write_text(path, render_report(report))


def render_page(
    name: str,
    *,
    title: str,
    summary: str,
    provenance: Provenance,
    facts: Mapping[str, str] = NO_FACTS,
    commits: Sequence[str] | None = None,
    **values: object,
) -> str:
    """Render a packaged template; every value is HTML-escaped.

    `base.html` shows title, summary and provenance, which all pages have; `facts` are further lines of the
    provenance, and `commits` replace its own.
    """
    template = _environment().get_template(name)
    return template.render(
        title=title,
        summary=summary,
        provenance=provenance,
        facts=facts,
        commits=[provenance.commit] if commits is None and provenance.commit else commits,
        **values,
    )


def render_report(report: Report) -> str:
    """Render a report as HTML; every name and text is HTML-escaped."""
    columns, groups = score_groups(report.evaluations, report.baselines)
    main = report.evaluations[0] if report.evaluations else None
    baseline = _baseline_of(main, report)
    shown = [*report.figures, *report.free_text, *(figure for one in report.worst for figure in one.figures)]
    colours = shared_colours(shown)
    return render_page(
        "page.html",
        title=report.title,
        summary=report.summary,
        provenance=report.provenance,
        facts=NO_FACTS if report.minutes is None else {"time": f"{report.minutes:.1f} minutes"},
        config=report.config,
        headline=_headline(main, baseline),
        columns=columns,
        groups=groups,
        figures=[view(figure, colours) for figure in report.figures],
        worst=[(one, [view(figure, colours) for figure in one.figures]) for one in report.worst],
        free_text=[view(figure, colours) for figure in report.free_text],
        chart=loss_chart(report.loss) if report.loss is not None and report.loss.steps else "",
        main=main,
        baseline=baseline,
        classes=[] if main is None else class_rows(main, baseline),
        failures=[(entry.dataset, failure) for entry in report.evaluations for failure in entry.failures],
    )


@cache
def _environment() -> Environment:
    """The packaged templates; the style sheet is one of them."""
    return Environment(
        loader=PackageLoader("ahs_seg", "assets/report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def _shown(value: object) -> object:
    """A value as a page shows it; text that is HTML already is left as it is."""
    return printable(value) if type(value) is str else value


def _baseline_of(main: EvaluationReport | None, report: Report) -> EvaluationReport | None:
    if main is None:
        return None
    return next((entry for entry in report.baselines if entry.dataset == main.dataset), None)


def _headline(main: EvaluationReport | None, baseline: EvaluationReport | None) -> list[tuple[str, str, str]]:
    """Headline scores: name, value in percent, and the baseline's value."""
    if main is None:
        return []
    scores, below = main.scores, baseline.scores if baseline else None
    result = []
    for key, name in (("unseen", "mIoU of unseen classes"), ("seen", "mIoU of seen classes"), ("miou", "mIoU of all")):
        value = getattr(scores, key)
        floor = getattr(below, key) if below else None
        if value is not None:
            note = "" if floor is None or baseline is None else f"{baseline.method}: {100 * floor:.1f}"
            result.append((name, f"{100 * value:.1f}", note))
    return result
