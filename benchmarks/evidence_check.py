"""Compare texts and tables with the files in `benchmarks/results`: `python -m benchmarks.evidence_check`.

Every line of a table that a page shows of a result, and every figure that it tells in a sentence (`prose`), must be
those that its file gives, scores and intervals those of the counts that are kept (`recount`), every file that a page
names must exist, and every result must be told somewhere. Differences are errors; results that are not of one commit
without changes are listed as results to be made again.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ahs_seg.experiments.ablation.markdown import markdown
from ahs_seg.experiments.ablation.table import Table
from benchmarks import prose, recount, regimes, tables
from benchmarks.stored import RESULTS, stored

ROOT = Path(__file__).parents[1]
PAGES: Final = {
    "ablation_ahs_seg": "docs/methods/ahs_seg.md",
    "ablation_ahs_seg_sweep": "docs/methods/ahs_seg.md",
    "ablation_ahs_seg_combined": "docs/methods/ahs_seg.md",
    "ablation_ahs_seg_combined_names_847": "docs/methods/ahs_seg.md",
    "ablation_dense_form": "docs/methods/when.md",
    "ablation_ahs_seg_lite": "docs/methods/ahs_seg_lite.md",
    "ablation_ahs_seg_lite_sweep": "docs/methods/ahs_seg_lite.md",
    **{regimes.result_of(scale): "docs/methods/when.md" for scale in regimes.REGIMES},
    "ablation_hps_seg": "docs/methods/hps_seg.md",
    "ablation_ebseg": "docs/methods/ebseg.md",
    "ablation_scan": "docs/methods/scan.md",
    "scan_stages": "docs/methods/scan.md",
    "training_free": "docs/methods/zero_shot.md",
    "quickstart": "docs/methods/index.md",
    "protocol": "docs/methods/cat_seg.md",
    "inference_form": "docs/python.md",
    "precision": "docs/python.md",
    "runtimes": "docs/export.md",
    "runtime_agreement": "docs/export.md",
    "training": "docs/own-data.md",
    "start_up": "docs/python.md",
}
"""The page that shows the tables of a result."""
_LINK = re.compile(r"benchmarks/results/([a-z_]+\.(?:json|txt))")
_CHANGED = "+changes"


def lines_of(name: str, values: dict[str, Any]) -> list[str]:
    """Lines of tables that a result gives; titles and column heads are left to the page."""
    if name.startswith(f"ablation_{regimes.SUITE}_"):
        return [line for line in regimes.regime_map() if line.startswith("| ")]
    if name.startswith("ablation_"):
        table = Table.parse(values, source=name)
        lines = [line for line in markdown(table).splitlines() if line.startswith("| ")]
        rows = [line for line in lines if not line.startswith("| row ")]
        return rows if len(table.seeds) > 1 else rows[: len(table.rows)]  # one seed has no difference worth a table
    if name == "scan_stages":  # rows of the page have titles of their own
        return [line.split(" | ", 1)[1] for line in tables.scan_stages(values) if " ± " in line]
    told = list(tables.methods() if name == "quickstart" else getattr(tables, name)(values))
    start = ("| ", "Calibration")
    return [line for line in told if line.startswith(start)]


def differences(root: Path = ROOT) -> Iterator[str]:
    """What texts and tables below `root` say otherwise than the results of this checkout, one line each."""
    if (RESULTS / "README.md").read_text(encoding="utf-8") != "\n".join(tables.page()):
        yield "benchmarks/results/README.md is not what `python -m benchmarks.tables` writes; run it"
    for name, place in PAGES.items():
        if not (RESULTS / f"{name}.json").is_file():
            continue
        page = (root / place).read_text(encoding="utf-8")
        yield from (
            f"{place} lacks a line of {name}.json: {line}" for line in lines_of(name, stored(name)) if line not in page
        )
    texts = {
        path: path.read_text(encoding="utf-8") for path in (root / "README.md", *sorted((root / "docs").rglob("*.md")))
    }
    named = {found: path for path, text in texts.items() for found in _LINK.findall(text)}
    for found, path in named.items():
        if not (RESULTS / found).is_file():
            yield f"{path.relative_to(root)} names benchmarks/results/{found}, which does not exist"
    yield from prose.missing(root)
    yield from recount.every_fault()
    told = {part.__name__ for part in tables.TABLES} | set(PAGES)
    for path in sorted(RESULTS.glob("*.json")):
        if path.stem not in told and path.name not in named:
            yield f"{path.name} is told by no page; delete it, or say what it shows"


def outdated(results: Path = RESULTS) -> Iterator[str]:
    """Results that are not of one commit without changes, one line each."""
    for path in sorted(results.glob("*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        commits = set(values.get("commits", ())) | {one.get("provenance", {}).get("commit") for one in _parts(values)}
        commits.discard(None)
        if len(commits) > 1 or any(commit.endswith(_CHANGED) for commit in commits):
            short = sorted(commit[:7] + _CHANGED * commit.endswith(_CHANGED) for commit in commits)
            yield f"{path.name}: {', '.join(short)}"


def _parts(values: dict[str, Any]) -> list[dict[str, Any]]:
    runs = values.get("runs", [])
    return [values, *(one for one in runs if isinstance(one, dict))] if isinstance(runs, list) else [values]


def main() -> None:
    """Print differences, then results to be made again; fail on differences."""
    found = list(differences())
    print("\n".join(found) or "texts and tables are those of the files")
    if again := list(outdated()):
        print("of several commits, or of one with changes (make evidence):", *again, sep="\n  ")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
