"""SCAN in two graphs."""

import pytest
import torch

from ahs_seg.checkpoints.exporting.runtime_method import RuntimeMethod
from ahs_seg.checkpoints.exporting.scan import StagedScan
from ahs_seg.checkpoints.exporting.stages import ExportError
from ahs_seg.methods import ScanConfig
from ahs_seg.methods.mask.scan.segmenter import ScanSegmenter
from ahs_seg.types import ClassText
from tests.support.exported import difference, small


@pytest.mark.parametrize("ensemble", [{"batch": 3, "ratio": 0.5}, {"choice": "random", "ratio": 0.5}], ids=str)
def test_crops_are_encoded_by_their_graph(ensemble: dict[str, object]) -> None:
    assert difference(small(ScanConfig, ensemble=ensemble), 3) < 1e-5


def test_without_a_second_stage_there_is_one_graph() -> None:
    method = small(ScanConfig)
    assert isinstance(method, ScanSegmenter)
    method.ensemble = None
    with torch.no_grad():
        assert list(StagedScan(method).stages()) == ["image"]
    text = torch.randn(2, 1, 24)
    with pytest.raises(ExportError, match="2 names cannot be baked into the graphs of SCAN: crops are cut out"):
        StagedScan(method).texts(ClassText(text, text))


def test_a_second_stage_that_was_not_exported_is_refused() -> None:
    method = small(ScanConfig)
    assert isinstance(method, ScanSegmenter)
    method.ensemble = None
    exported = RuntimeMethod(method, {}, StagedScan(method).fixed)
    assert exported.for_inference().method.ensemble is None
    with pytest.raises(ExportError, match="second_stage=1 is asked for, but the graphs were exported with second_stag"):
        exported.for_inference({"ensemble": {"ratio": 0.5}})
