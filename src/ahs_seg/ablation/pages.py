"""The files of a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ahs_seg.ablation.markdown import markdown
from ahs_seg.ablation.runs import Result
from ahs_seg.ablation.table import Table
from ahs_seg.files import write_text


def write_table(table: Table, results: Mapping[str, Mapping[int, Result]], folder: Path) -> None:
    """Write `ablation.json`, `table.md`, the figures and `report.html` into a folder."""
    write_text(folder / "ablation.json", json.dumps(table.model_dump(mode="json"), indent=1) + "\n")
    write_text(folder / "table.md", markdown(table))
