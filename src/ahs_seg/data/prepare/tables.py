"""Mapping of raw values in the original files to labels; the tables are JSON files that state their source."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np
from jaxtyping import UInt, UInt16

_VALUES = 65536


def convert_ids(raw: UInt[np.ndarray, "H W"], table: str, ignore: int) -> UInt16[np.ndarray, "H W"]:
    """Labels mapped from raw values (0..65535) by the named table; values not in the table become `ignore`."""
    return _lookup(table, ignore)[raw]


def raw_ids(table: str) -> list[int]:
    """Raw values of the labels 0, 1, 2, ... in the named table."""
    ids = json.loads(_folder().joinpath(f"{table}.json").read_text(encoding="utf-8"))["raw_ids"]
    return [int(value) for value in ids]


def read_ids(name: str) -> list[str]:
    """Image names in a packaged list."""
    lines = _folder().joinpath(f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


@cache
def _lookup(table: str, ignore: int) -> UInt16[np.ndarray, " values"]:
    lookup = np.full(_VALUES, ignore, np.uint16)
    ids = raw_ids(table)
    lookup[ids] = np.arange(len(ids), dtype=np.uint16)
    return lookup


def _folder() -> Traversable:
    return resources.files("ahs_seg").joinpath("data", "tables")
