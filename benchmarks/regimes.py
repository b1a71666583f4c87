"""The map of modules and regimes: what each tuned module changes on unseen names, by regime.

    python -m benchmarks.regimes

prints the table of `docs/methods/when.md` from the results of `ahs-seg ablate --suite tuned`, one file for each scale.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ahs_seg.experiments.ablation.statistics import Comparison
from ahs_seg.experiments.ablation.table import Table
from benchmarks.markdown import table
from benchmarks.stored import RESULTS

SUITE: Final = "tuned"
REGIMES: Final = {
    "world": "150 names",
    "names_459": "459 names",
    "names_847": "847 names",
    "hard": "harder scenes",
    "few": "40 names in training",
    "long": "1,400 steps",
}
"""Scales of the suite on the drawn world, and what they are called."""
FIRST, *OTHERS = REGIMES
"""The scale whose table is that of the suite itself, and those with a table of their own."""
TOLD: Final = {
    (FIRST, "ahs_seg"): "gain {ahs_seg:.1f} points on unseen names, and HA-HEM alone {ha_hem:.1f}, both resolved",
    (FIRST, "ahs_seg_lite"): "({ahs_seg_lite:+.1f} points on unseen names",
    (FIRST, "hps_seg"): "({hps_seg:+.1f} on unseen names, both intervals above 0)",
    ("hard", "when"): "that of HA-HEM ({ha_hem:+.1f}) is resolved there",
    ("names_847", "when"): "HA-HEM ({ha_hem:+.1f}), of AHS-Seg ({ahs_seg:+.1f}) and of the simple design "
    "({ahs_seg_lite:+.1f}) are resolved",
    ("names_847", "ahs_seg"): "847 names they gain {ahs_seg:.1f} and {ha_hem:.1f}",
    ("names_847", "ahs_seg_lite"): "and {ahs_seg_lite:.1f} among 847 names, both resolved)",
}
"""What the pages of methods tell in sentences, by scale and page (`gains`)."""

DENSE: Final = (
    "HA-HEM gains {ha_hem:.1f} points on unseen names with CAT-Seg's form and {ha_hem_residual:.1f} with the "
    "residual one, the simple design {ahs_seg_lite:.1f} and {ahs_seg_lite_residual:.1f}"
)
"""What the page of regimes tells of the comparison of dense forms on validation scenes."""
COMBINED: Final = (
    "together they gain {ha_hem+mh_fpn:.1f} points on unseen names where HA-HEM alone gains {ha_hem:.1f}",
    "nothing is left of the gain ({ha_hem+dc_hsp:.1f}), and beside both {full:.1f} points",
    "at a tenth all three modules gain {weak:.1f} points, at a hundredth {weaker:.1f}",
    "but the gain is {quiet:.1f} points",
    "{ha_hem+sdr:.1f} points beside HA-HEM, {full+sdr:.1f} beside all three modules",
    "starts at zero changes nothing ({residual:.1f} points)",
)
"""What the page of AHS-Seg tells of modules beside the tuned HA-HEM on validation scenes."""


def few_names(values: dict[str, Any]) -> Iterator[str]:
    """What the page tells in a sentence of the seeds of the models that were trained on few names."""
    rows = {row["name"]: row for row in values["rows"]}
    gain = {
        name: [100 * row["differences"]["unseen"]["by_seed"][seed] for seed in ("0", "2")]
        for name, row in rows.items()
        if row["differences"]
    }
    told = {name: f"{one:.1f} and {other:.1f}" for name, (one, other) in gain.items()}
    strong = f"AHS-Seg (DC-HSP with documented weights) {told['ahs_seg_strong']}"
    yield f"HA-HEM {told['ha_hem']} points, {strong}, the simple design {told['ahs_seg_lite']}"
    small = gain["residual"] + gain["hps_seg"]
    yield f"the residual form and HPS-Seg between {min(small):.1f} and {max(small):.1f}"
    behind = [100 * rows[name]["scores"]["unseen"]["by_seed"]["1"] for name in ("baseline", "ha_hem")]
    yield f"({behind[0]:.1f} and {behind[1]:.1f} % on unseen names"


def result_of(scale: str) -> str:
    """Name of the result of a scale, without its ending; that of the first scale has the name of the suite alone."""
    return f"ablation_{SUITE}" if scale == FIRST else f"ablation_{SUITE}_{scale}"


def regime_map(results: Path = RESULTS) -> Iterator[str]:
    """Table of the differences on unseen names, one row for each module and one column for each regime measured."""
    files = {title: results / f"{result_of(scale)}.json" for scale, title in REGIMES.items()}
    found = {
        title: Table.parse(json.loads(path.read_text(encoding="utf-8")), source=path.name)
        for title, path in files.items()
        if path.is_file()
    }
    modules = {row.name: row.title for one in found.values() for row in one.compared}
    columns = [f"{title} ({len(one.seeds)} seeds)" for title, one in found.items()]
    rows = [[title, *(_cell(one, name) for one in found.values())] for name, title in modules.items()]
    yield from table(["", *columns], rows)


def gains(told: str, values: dict[str, Any]) -> Iterator[str]:
    """What a page tells in a sentence: gains on unseen names in points, by the names of the rows."""
    found = {row["name"]: row["differences"].get("unseen") for row in values["rows"]}
    yield told.format(**{name: 100 * one["difference"] for name, one in found.items() if one})


def combined(values: dict[str, Any]) -> Iterator[str]:
    """What the page of AHS-Seg tells in sentences of the modules beside HA-HEM."""
    for told in COMBINED:
        yield from gains(told, values)


def _cell(one: Table, name: str) -> str:
    row = next((row for row in one.rows if row.name == name), None)
    return _difference(row.differences["unseen"]) if row else ""


def _difference(found: Comparison) -> str:
    value = f"{100 * found.difference:+.1f}"
    bold = f"**{value}**" if found.verdict == "resolved" else value
    intervals = (one for one in (found.resampled, found.student) if one)
    return " ".join([bold, *(f"[{100 * one.low:+.1f}, {100 * one.high:+.1f}]" for one in intervals)])


if __name__ == "__main__":
    print("\n".join(regime_map()))
