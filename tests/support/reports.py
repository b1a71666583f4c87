"""Evaluations with known counts, and a check of pages."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np

from ahs_seg.evaluation import EvaluationReport
from ahs_seg.experiments.report import Figure
from ahs_seg.io.provenance import Provenance
from ahs_seg.metrics import ConfusionMatrix

NAMES = ("sky", "red <b>star</b>", "car")
PROVENANCE = Provenance(
    versions={"torch": "2.13"}, hardware={"cores": 2}, commit="abc", command=("ahs-seg", "quickstart"), date="today"
)


def evaluation(method: str, hits: list[int], dataset: str = "world", **changes: Any) -> EvaluationReport:
    matrix = ConfusionMatrix(3)
    for label, right in enumerate(hits):
        guess = np.where(np.arange(10) < right, label, (label + 1) % 3)[None]
        matrix.update(guess, np.full((1, 10), label))
    fields: dict[str, Any] = {
        "method": method,
        "dataset": dataset,
        "protocol": "whole",
        "labels": NAMES,
        "seen": ("sky",),
    }
    report = EvaluationReport(**fields, images=4, counts=matrix.to_dict(), seconds=1.0, provenance=PROVENANCE)
    return report.replace(**changes)


class Checker(HTMLParser):
    """Collects addresses, and checks that tags close in order."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.alts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [value for key, value in attrs if key in ("src", "href", "xlink:href") and value]
        if tag == "img":
            self.alts.append(values["alt"] or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def figure(*, truth: bool = True) -> Figure:
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    labels = np.zeros((12, 16), np.int32)
    labels[:, 8:] = 1
    guess = np.where(labels == 1, 2, 0)
    return Figure("Scene 1", image, guess, NAMES, labels if truth else None, ("sky",))
