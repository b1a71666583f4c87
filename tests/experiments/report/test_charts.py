"""Charts in the colours of the page."""

from __future__ import annotations

import numpy as np
import pytest

from ahs_seg.experiments.report import LossCurve
from ahs_seg.experiments.report.charts import loss_chart, smoothed


def test_chart_follows_the_colours_of_the_page_and_is_reproducible():
    curve = LossCurve(list(range(50)), [1 / (1 + k) for k in range(50)])
    drawing = loss_chart(curve)
    assert drawing.startswith("<svg")
    assert "currentColor" in drawing
    assert "var(--accent)" in drawing
    assert drawing == loss_chart(curve)


def test_smoothing_starts_at_the_first_value_and_keeps_constants():
    assert smoothed(np.array([4.0, 4.0, 4.0])).tolist() == pytest.approx([4, 4, 4])
    ramp = smoothed(np.arange(400.0))
    assert ramp[100:300] == pytest.approx(np.arange(100.0, 300.0))  # no lag
    assert smoothed(np.array([])).size == 0
