"""Names of the packaged class lists, and which of them somebody meant who wrote one a little differently."""

from __future__ import annotations

import difflib
import re
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

CLOSE: Final = 0.8
"""Smallest similarity (`difflib`) of a text and the name of a list for which it may have been meant."""
_BEGINNINGS: Final = frozenset(["ade", "coco", "cocostuff", "pascal", "pascalvoc", "pascalcontext", "voc"])


def known_vocabularies() -> list[str]:
    """Names of the packaged vocabularies, as `Vocabulary.known` accepts them."""
    return list(_names())


def known_text(name: str) -> str:
    """The text of a packaged list, one class a line; `name` is one of `known_vocabularies`."""
    return _folder().joinpath(f"{name}.txt").read_text(encoding="utf-8")


def find_known(text: str) -> str | None:
    """The known list that a text names, in any case and with `-`, `_` or a blank between its parts."""
    name = _folded(text)
    return name if name in _names() else None


def near_known(text: str) -> list[str]:
    """Known lists that a text nearly names, such as both of `ade20k`; empty for all other words."""
    name = _folded(text)
    stems = [stem for part in name.split("-") if (stem := _stem(part))]
    if stems and stems[0] in _BEGINNINGS:
        joined = "".join(stems)
        found = [
            known for known, parts in _stems().items() if set(stems) <= set(parts) or "".join(parts).startswith(joined)
        ]
        if found:
            return found
    return difflib.get_close_matches(name, _names(), n=3, cutoff=CLOSE)


@cache
def _names() -> tuple[str, ...]:
    names = [file.name for file in _folder().iterdir()]
    return tuple(sorted(name.removesuffix(".txt") for name in names if name.endswith(".txt")))


@cache
def _stems() -> dict[str, list[str]]:
    return {name: [stem for part in name.split("-") if (stem := _stem(part))] for name in _names()}


def _stem(part: str) -> str:
    """The letters with which a part of a name begins: `ade` of `ade20k`, nothing of `150`."""
    found = re.match("[a-z]*", part)
    return found[0] if found else ""


def _folded(text: str) -> str:
    return re.sub(r"[\s_-]+", "-", text.strip().casefold())


def _folder() -> Traversable:
    return resources.files("ahs_seg").joinpath("vocabulary", "classes")
