"""Numbers that authors published, to stand beside measured ones."""

from __future__ import annotations

import json
from importlib import resources

from ahs_seg.config import Config


class Published(Config):
    """mIoU in percent of one model as its authors print it, by benchmark; `protocol` is its name here."""

    method: str
    backbone: str
    dim: int
    protocol: str
    source: str
    miou: dict[str, float]


def published_numbers() -> list[Published]:
    """All published numbers that the package knows."""
    text = resources.files("ahs_seg").joinpath("assets", "published.json").read_text(encoding="utf-8")
    return [Published.parse(entry, source="published.json") for entry in json.loads(text)]


def published_for(method: str, dim: int, protocol: str, benchmark: str) -> float | None:
    """The published mIoU (percent) of a method with this width of the joint space, where there is one."""
    for entry in published_numbers():
        if (entry.method, entry.dim, entry.protocol) == (method, dim, protocol):
            return entry.miou.get(benchmark)
    return None
