"""The files of `benchmarks/results`, and the command lines of the programs that write them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ahs_seg.io.atomic import write_text
from ahs_seg.io.provenance import Provenance, provenance

RESULTS: Final = Path(__file__).parent / "results"


def command_line(about: str | None) -> argparse.ArgumentParser:
    """Parser of a command line, whose help is the docstring of its module."""
    return argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)


def stored(name: str) -> dict[str, Any]:
    """The values of a result."""
    values: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return values


def store(name: str, values: Mapping[str, Any], made: Provenance | None = None) -> None:
    """Write the values of a result with their provenance (None: that of this process, now)."""
    path = RESULTS / f"{name}.json"
    told = (made or provenance()).model_dump(mode="json")
    write_text(path, json.dumps({**values, "provenance": told}, indent=1) + "\n")
    print(f"written: {path}")
