"""Super-categories of class names: which classes are kinds of the same thing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final

from ahs_seg.data.world.names import STUFF, things

WORLD_STUFF: Final = "stuff"


def categories_of(labels: Sequence[str]) -> tuple[str | None, ...]:
    """The super-category of every label, None where none is known.

    Labels are looked up among the classes of COCO-Stuff and of the drawn world, whichever has more of them.
    """
    tables = (_coco_stuff(), _drawn_world())
    table = max(tables, key=lambda names: sum(label in names for label in labels))
    return tuple(table.get(label) for label in labels)


@cache
def _coco_stuff() -> Mapping[str, str]:
    text = resources.files("ahs_seg").joinpath("data", "categories.json").read_text(encoding="utf-8")
    members: dict[str, list[str]] = json.loads(text)["members"]
    return {name: category for category, names in members.items() for name in names}


@cache
def _drawn_world() -> Mapping[str, str]:
    """Things of one shape are kinds of that shape; all stuff is stuff."""
    return {name: thing.shape for name, thing in things().items()} | dict.fromkeys(STUFF, WORLD_STUFF)
