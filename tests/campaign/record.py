"""The figures of the campaign: each part notes its own; `python -m tests.campaign.record FOLDER` joins them.

They are written to `benchmarks/results/campaign.json` and from there into the table of `docs/reliability.md`.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from ahs_seg.io.atomic import write_text
from ahs_seg.io.provenance import provenance
from tests.campaign.driver import Verdict

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = ROOT / "benchmarks" / "results" / "campaign.json"
PAGE: Final = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
COLUMNS: Final = ("cases", "executions", "writes outside", "tracebacks", "crashes", "hangs", "lost or half-written")


class Part:
    """Figures of one part: its cases by the way they ended, and its faults in words."""

    def __init__(self, seed: int, folder: Path | None) -> None:
        self.seed, self.folder = seed, folder
        self.kinds: Counter[str] = Counter()
        self.faults: list[str] = []
        self.peak_mib = 0.0
        self.lost: list[str] = []
        self.events: Counter[str] = Counter()
        self.cases = 0
        self.longest = 0.0
        self._began = time.monotonic()

    def add(self, verdict: Verdict, lost: Iterable[str] = (), *, cases: int = 1) -> None:
        """Count a verdict about `cases` inputs; `lost` is what its results lack."""
        self.cases += cases
        self.kinds[verdict.kind] += 1
        self.peak_mib = max(self.peak_mib, verdict.peak_mib)
        self.longest = max(self.longest, verdict.seconds)
        for event in verdict.events:
            self.events["executions" if event.startswith(("executes", "connects")) else "writes outside"] += 1
        missing = [f"{verdict.name}: {fault}" for fault in lost]
        self.lost += missing
        self.faults += [*verdict.faults, *missing]

    def write(self, name: str, share: int = 0) -> None:
        """Store the figures of a share of a part, if a folder was chosen."""
        if self.folder is not None:
            figures = {"part": name, **self.to_dict()}
            write_text(self.folder / f"{name}.{share}.json", json.dumps(figures, indent=1) + "\n")

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain types."""
        return {
            "seed": self.seed,
            "cases": self.cases,
            "ends": dict(sorted(self.kinds.items())),
            "executions": self.events["executions"],
            "writes outside": self.events["writes outside"],
            "tracebacks": self.kinds["traceback"],
            "crashes": self.kinds["crash"],
            "hangs": self.kinds["hang"],
            "lost or half-written": len(self.lost),
            "peak_mib": round(self.peak_mib),
            "longest_seconds": round(self.longest, 1),
            "seconds": round(time.monotonic() - self._began),
            "faults": self.faults,
        }


def table(values: dict[str, Any]) -> str:
    """The figures as a table of Markdown, with the machine and the commit below."""
    head = ["part", *COLUMNS, "peak MiB", "longest case", "all cases"]
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for name, part in values["parts"].items():
        cells = [f"{part[column]:,}" for column in COLUMNS]
        ends = [f"{part['peak_mib']:,}", f"{part['longest_seconds']:.1f} s", f"{part['seconds']:,} s"]
        lines.append(f"| {' | '.join([name, *cells, *ends])} |")
    about = values["provenance"]
    machine = f"{about['hardware']['processor']}, {about['hardware']['cores']} cores"
    seeds = ", ".join(sorted({str(part["seed"]) for part in values["parts"].values()}))
    return "\n".join([*lines, "", f"{machine}, commit `{about['commit']}`, seed {seeds}.", ""])


def shown(page: str) -> str:
    """The table that stands in a page."""
    return page.partition(BEGIN)[2].partition(END)[0]


def joined(shares: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all parts by name, each added up over its shares."""
    parts: dict[str, Any] = {}
    for share in shares:
        name = share.pop("part")
        first = parts.get(name)
        parts[name] = share if first is None else {key: _added(key, first[key], share[key]) for key in first}
    return parts


def _added(key: str, first: Any, second: Any) -> Any:
    if key == "seed":
        return first
    if isinstance(first, dict):
        return dict(sorted((Counter(first) + Counter(second)).items()))
    return max(first, second) if key in ("peak_mib", "longest_seconds") else first + second


def main(folder: Path) -> None:
    """Join the figures of all parts and put them into the page."""
    parts = joined(json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json")))
    values = {"provenance": provenance().model_dump(mode="json"), "parts": parts}
    write_text(RESULTS, json.dumps(values, indent=1) + "\n")
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    write_text(PAGE, f"{before}{BEGIN}{table(values)}{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
