"""Published scores of the original papers, for comparison with measured ones."""

from __future__ import annotations

import json
from importlib import resources

from ahs_seg.config import Config


class Published(Config):
    """Published mIoU in percent of one model, by benchmark; `protocol` is the name of the protocol in this library."""

    method: str
    backbone: str
    dim: int
    protocol: str
    source: str
    miou: dict[str, float]


def published_numbers() -> list[Published]:
    """All published scores in the package."""
    text = resources.files("ahs_seg").joinpath("assets", "published.json").read_text(encoding="utf-8")
    return [Published.parse(entry, source="published.json") for entry in json.loads(text)]


def published_for(method: str, dim: int, protocol: str, benchmark: str) -> float | None:
    """Published mIoU (percent) of a method whose joint embedding space has `dim` dimensions; None if there is none."""
    for entry in published_numbers():
        if (entry.method, entry.dim, entry.protocol) == (method, dim, protocol):
            return entry.miou.get(benchmark)
    return None
