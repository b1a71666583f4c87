"""ADE20K-150 from a miniature of its original layout."""

from __future__ import annotations

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.catalog import open_benchmark
from ahs_seg.types import IGNORE
from tests.support import miniature
from tests.support.miniature import prepare, stored


def test_ade20k_150(tmp_path):
    root = miniature.ade150(tmp_path)
    summary = prepare("ade20k-150", root)
    assert (summary.made, summary.kept, summary.faulty) == (2, 0, {})
    expected = [[255, 0, 1], [149, 74, 255]]
    assert stored("ade20k-150", root) == {"ADE_val_00000001": expected, "ADE_val_00000002": expected}
    dataset = open_benchmark("ade20k-150", root)
    assert isinstance(dataset, SegmentationDataset)
    assert dataset[1].name == "ADE_val_00000002"
    assert dataset[0].labels.tolist() == [[IGNORE, 0, 1], [149, 74, IGNORE]]
    assert dataset.vocabulary.labels[149] == "flag"


def test_ade20k_150_values_that_do_not_exist_cost_that_image(tmp_path):
    root = miniature.ade150(tmp_path)
    miniature.grey(root / "ADEChallengeData2016/annotations/validation/ADE_val_00000002.png", [[151, 0, 0]] * 2)
    summary = prepare("ade20k-150", root)
    assert list(summary.faulty) == ["ADE_val_00000002"]
    assert "value 151" in summary.faulty["ADE_val_00000002"]
    assert list(stored("ade20k-150", root)) == ["ADE_val_00000001"]
