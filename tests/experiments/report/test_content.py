"""What a report is made of, read from the files of a run."""

from __future__ import annotations

from ahs_seg.experiments.report import LossCurve


def test_the_curve_is_read_from_the_training_log(tmp_path):
    (tmp_path / "train.csv").write_text("step,loss,lr\n1,0.5,1\n10,0.25,1\n20,,1\n")
    assert LossCurve.read(tmp_path / "train.csv") == LossCurve([1, 10], [0.5, 0.25])
