"""`sv.Detections` as supervision itself makes them from masks."""

import numpy as np
import pytest
import supervision

from ahs_seg.errors import MissingPackageError
from ahs_seg.integrations.supervision import to_detections
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import blobs, made

LABELS = np.array([[0, 0, 2], [0, 1, 2], [-1, 1, 2]], np.int32)


def test_masks_boxes_scores_and_names_worked_out_by_hand() -> None:
    found = to_detections(LABELS, [2, 1], ["cat", "sofa", "lamp"], [0.5, 0.25], [(2, 0, 3, 3), (1, 1, 2, 3)])
    assert isinstance(found, supervision.Detections)
    assert found.mask is not None
    assert np.array_equal(found.mask, np.stack([LABELS == 2, LABELS == 1]))
    assert found.xyxy.tolist() == [[2, 0, 3, 3], [1, 1, 2, 3]]
    assert found.confidence.tolist() == [0.5, 0.25]
    assert found.class_id.tolist() == [2, 1]
    assert found["class_name"].tolist() == ["lamp", "sofa"]
    assert found.area.tolist() == [3, 2]


def test_boxes_enclose_the_masks_as_supervision_sees_them() -> None:
    found = made(blobs(3)).to_supervision()
    assert isinstance(found.mask, np.ndarray)
    inclusive = supervision.mask_to_xyxy(found.mask)
    assert np.array_equal(found.xyxy, np.add(inclusive, [0, 0, 1, 1]))
    supervision.MaskAnnotator().annotate(made(blobs(3)).image.copy(), found)


def test_background_is_left_out_and_an_empty_result_has_no_entries() -> None:
    words = Vocabulary.parse("cat").with_background(["wall"])
    assert made([[0, 1], [1, 1]], words).to_supervision()["class_name"].tolist() == ["cat"]
    nothing: Segmentation = made([[-1, -1]])
    assert len(nothing.to_supervision()) == 0


def test_without_the_package_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ahs_seg.io.extras.find_spec", lambda package: None)
    with pytest.raises(MissingPackageError, match=r"to_supervision needs supervision.*pip install supervision"):
        made([[0, 1]]).to_supervision()
