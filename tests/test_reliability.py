"""What `docs/reliability.md` states is what the code enforces."""

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "reliability.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (?P<what>[^|]+) \| (?P<limit>[^|]+) \| `(?P<constant>ahs_seg[\w.]*:[\w.]+)` \|$", re.MULTILINE)
ROWS = [(row["constant"], row["limit"]) for row in ROW.finditer(PAGE)]
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
"""Factors of the units in which a constant is not given; one in MB or seconds is in the unit of its table row."""


def stated(limit: str) -> float:
    number, _, unit = limit.strip().partition(" ")
    return float(number.replace(",", "")) * UNITS.get(unit, 1)


def enforced(constant: str) -> object:
    """The value of `module:NAME`, or the default of a field, `module:Class.field`."""
    module, _, name = constant.partition(":")
    name, _, field = name.partition(".")
    value = getattr(importlib.import_module(module), name)
    if not field:
        return value
    return {one.name: one.default for one in dataclasses.fields(value)}[field]


@pytest.mark.parametrize(("constant", "limit"), ROWS)
def test_a_stated_limit_is_the_one_enforced(constant: str, limit: str) -> None:
    assert enforced(constant) == stated(limit)


def test_every_row_of_the_table_is_compared() -> None:
    table = PAGE.partition("## Limits")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(ROWS) == len(rows) > 10


@pytest.mark.parametrize(("limit", "value"), [("100 MiB", 104857600), ("400,000,000", 4e8), ("30 s", 30), ("0.5", 0.5)])
def test_limits_are_read_with_their_unit(limit: str, value: float) -> None:
    assert stated(limit) == value
