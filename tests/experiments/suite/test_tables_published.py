"""Published numbers, and where they stand."""

from __future__ import annotations

from ahs_seg.experiments.suite import EvaluationJob, evaluate_model, published_numbers
from ahs_seg.experiments.suite.tables import suite_table
from tests.support.world_runs import OWN, WORLD


def test_published_numbers_stand_beside_measured_ones(model):
    base = next(entry for entry in published_numbers() if entry.backbone == "ViT-B/16")
    assert base.miou["ade20k-150"] == 31.8
    report = evaluate_model(EvaluationJob(model=model, data=WORLD, protocols=(OWN,)), progress=False)[0]
    row = report.replace(dataset="ade20k-150")
    measured = 100 * report.scores.miou
    table = suite_table([row], ["catseg"], "cat_seg", 512)
    assert f"| **{measured:.2f}** | 31.8 | {measured - 31.8:+.1f} |" in table
    assert base.source in table
    assert "| 31.8 |" not in suite_table([row], ["san"], "cat_seg", 512)
