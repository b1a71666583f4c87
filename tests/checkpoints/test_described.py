"""Models that are written, uploaded and exported; further tests are those of `Segmenter`."""

import pytest

from ahs_seg.checkpoints.described import DescribedModel
from ahs_seg.errors import CheckpointError
from ahs_seg.methods import ZeroShotConfig
from tests.support.exported import small


def test_a_method_alone_has_no_description_to_write(tmp_path: object) -> None:
    model = DescribedModel(small(ZeroShotConfig))
    assert repr(model) == "DescribedModel(ZeroShotSegmenter)"
    with pytest.raises(CheckpointError, match="created from a method alone"):
        model.save_pretrained(f"{tmp_path}/model")
    with pytest.raises(CheckpointError, match="created from a method alone"):
        model.export(f"{tmp_path}/model", "torch-export")
