"""Super-categories of classes, such as "animal" for dog and cat."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final

from ahs_seg.data.world.names import STUFF, things

WORLD_STUFF: Final = "stuff"


def categories_of(labels: Sequence[str]) -> tuple[str | None, ...]:
    """Super-category of every label, None where it is not known.

    Labels are looked up in COCO-Stuff or in the drawn world, whichever contains more of them.
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
    """Super-categories of the drawn world: the shape for things, "stuff" for all stuff."""
    return {name: thing.shape for name, thing in things().items()} | dict.fromkeys(STUFF, WORLD_STUFF)
