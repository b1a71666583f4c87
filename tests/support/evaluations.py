"""Evaluations of drawn images."""

from __future__ import annotations

from typing import Any

from ahs_seg.evaluation import (
    EvaluationReport,
    evaluate,
)
from tests.support.datasets import Pictures, always_sky


def run(predict=always_sky, dataset: Pictures | None = None, **options) -> EvaluationReport:
    settings: dict[str, Any] = {
        "method": "constant",
        "name": "pictures",
        "protocol": "whole image",
        "progress": False,
    } | options
    return evaluate(predict, dataset or Pictures(), **settings)
