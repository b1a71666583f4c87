"""Rendering of an ablation table as markdown."""

from __future__ import annotations

from ahs_seg.experiments.ablation.counts import METRICS
from ahs_seg.experiments.ablation.statistics import LEVEL, Comparison, SeedSummary
from ahs_seg.experiments.ablation.table import Table, TableRow
from ahs_seg.io.outside_text import markdown_text


def markdown(table: Table) -> str:
    """Render the table as markdown: scores in percent, differences in points with both intervals and the verdict."""
    base = markdown_text(table.row(table.baseline).title)
    head = [METRICS[metric] for metric in table.metrics]
    lines = [
        f"# {markdown_text(table.title)}",
        "",
        f"mIoU in percent on {markdown_text(table.data)}: mean ± s.d. over seeds {', '.join(map(str, table.seeds))}. "
        f"Baseline: {base}.",
        "",
        f"| row | {' | '.join(head)} | training | parameters |",
        "|---|" + "---:|" * (len(head) + 2),
        *(_score_line(table, row) for row in table.rows),
        "",
        f"Difference to {base}, in points, paired by seed: [interval from resampling seeds and images] "
        "[Student's interval over seeds]. **Resolved** where neither contains zero and the difference reaches "
        f"{_bound(table)} points; otherwise unresolved.",
        "",
        f"| row | {' | '.join(head)} |",
        "|---|" + "---|" * len(head),
        *(_difference_line(table, row) for row in table.compared),
        "",
        *_notes(table),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _score_line(table: Table, row: TableRow) -> str:
    cells = [_mean_of(row.scores.get(metric)) for metric in table.metrics]
    seconds = "" if row.seconds is None else f"{row.seconds:.0f} s"
    return f"| {markdown_text(row.title)} | {' | '.join(cells)} | {seconds} | {size_of(table, row)} |"


def size_of(table: Table, row: TableRow) -> str:
    """Number of parameters as text: the total for the baseline, the difference to it for other rows."""
    if row.parameters is None:
        return ""
    return f"{row.parameters:,}" if row.name == table.baseline else f"{row.added:+,}"


def by_chance(table: Table) -> str:
    """Sentence with the number of intervals that are expected to miss the true value by chance."""
    count = sum(len(row.differences) for row in table.compared)
    return f"{count} differences at {100 * LEVEL:.0f} %: some {(1 - LEVEL) * count:.1f} intervals miss by chance."


def _mean_of(summary: SeedSummary | None) -> str:
    if summary is None:
        return "-"
    spread = "" if summary.spread is None else f" ± {100 * summary.spread:.1f}"
    return f"{100 * summary.mean:.1f}{spread}"


def _difference_line(table: Table, row: TableRow) -> str:
    cells = [_difference(row.differences.get(metric)) for metric in table.metrics]
    return f"| {markdown_text(row.title)} | {' | '.join(cells)} |"


def _difference(found: Comparison | None) -> str:
    if found is None:
        return "-"
    intervals = [f"[{100 * one.low:+.1f}, {100 * one.high:+.1f}]" for one in (found.resampled, found.student) if one]
    value = f"{100 * found.difference:+.1f}"
    shown = f"**{value}**" if found.verdict == "resolved" else value
    return f"{shown} {' '.join(intervals)} {found.verdict}"


def _bound(table: Table) -> str:
    bounds = {found.smallest for row in table.compared for found in row.differences.values()}
    return " to ".join(f"{100 * bound:.1f}" for bound in sorted({min(bounds), max(bounds)})) if bounds else "-"


def _notes(table: Table) -> list[str]:
    notes = [
        f"{table.images} images, protocol {table.protocol}.",
        by_chance(table),
        f"Overrides: {markdown_text(' '.join(table.overrides) or 'none')}. Runs of commit {', '.join(table.commits)}.",
        f"Made with: {markdown_text(' '.join(table.provenance.command))}",
        *(_missing(row) for row in table.rows if row.missing),
        *map(markdown_text, table.failures),
    ]
    return [f"- {note}" for note in notes]


def _missing(row: TableRow) -> str:
    return f"{markdown_text(row.title)}: no result for seed {', '.join(map(str, row.missing))}."
