"""The colours and verdicts of a report's figures."""

from __future__ import annotations

import numpy as np

from ahs_seg.experiments.report import Figure
from ahs_seg.experiments.report.images import view
from tests.support.reports import figure


def test_figure_tells_what_became_of_each_class():
    shown = view(figure())
    assert [panel.caption for panel in shown.panels] == ["image", "ground truth", "prediction"]
    assert [(line.name, line.unseen, line.verdict) for line in shown.legend] == [
        ("sky", False, "IoU 100"),
        ("red <b>star</b>", True, "missed"),
        ("car", True, "not there"),
    ]
    assert shown.right == 0.5
    assert [line.verdict for line in view(figure(truth=False)).legend] == ["50 %", "50 %"]


def test_large_photographs_are_reduced():
    labels = np.zeros((600, 2000), np.int32)
    photograph = np.random.default_rng(0).integers(0, 256, (600, 2000, 3), dtype=np.uint8)
    shown = view(Figure("", photograph, labels, ["sky"]))
    assert all(panel.address.startswith("data:image/jpeg") for panel in shown.panels)
    assert len(shown.panels[0].address) < 400_000
