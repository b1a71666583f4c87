"""What a result has besides labels and scores, and what cannot be asked for."""

from typing import Any

import numpy as np
import pytest
import torch

from ahs_seg.inference.predict import InferenceConfig, Prediction, predict
from ahs_seg.inference.results import OutputOptions, to_segmentation, to_segmentations, with_unknown
from ahs_seg.inference.top_k import OutputOptionsError
from ahs_seg.output.calibration import IDENTITY_CALIBRATION, CalibrationError
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.drawn_images import drawn
from tests.support.shape_checks import unchecked
from tests.support.tiny_models import ColourMethod

TABLE = PromptConfig(templates=("a {}",)).table(Vocabulary.parse("cat, sofa, lamp, dog"))
WORDS = torch.randn(4, 1, 16, generator=torch.Generator().manual_seed(0))


def result(**options: float | bool | None):
    request = OutputOptions(**options)  # type: ignore[arg-type]  # as a caller gives them
    with torch.no_grad():
        return to_segmentation(
            ColourMethod(),
            drawn(20, 30),
            WORDS,
            TABLE,
            InferenceConfig(),
            calibration=IDENTITY_CALIBRATION,
            request=request,
        )


def test_plain_labels_are_those_of_the_prediction() -> None:
    with torch.no_grad():
        expected = predict(ColourMethod(), drawn(20, 30), WORDS, InferenceConfig())
    found = result()
    assert np.array_equal(found.labels, expected.labels.numpy())
    assert np.array_equal(found.scores, expected.scores.numpy())
    assert (found.top_labels, found.logits) == (None, None)


def test_the_best_classes_fall_and_the_first_is_the_label() -> None:
    found = result(top_k=3)
    assert found.top_labels is not None
    assert found.top_scores is not None
    assert found.top_labels.shape == (3, 20, 30)
    assert np.array_equal(found.top_labels[0], result().labels)
    assert (np.diff(found.top_scores, axis=0) <= 0).all()
    assert all(len(set(column)) == 3 for column in found.top_labels.reshape(3, -1).T.tolist())


def test_pixels_of_little_confidence_are_unknown_and_keep_their_score() -> None:
    plain = result()
    bound = float(np.median(plain.scores))
    found = result(unknown_below=bound)
    unsure = plain.scores < bound
    assert unsure.any()
    assert not unsure.all()
    assert (found.labels[unsure] == IGNORE).all()
    assert np.array_equal(found.labels[~unsure], plain.labels[~unsure])
    assert np.array_equal(found.scores, plain.scores)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k=0; give"),
        ({"top_k": 2.5}, r"top_k=2\.5; give .*, a whole number of at least 1"),
        ({"top_k": "3"}, "top_k='3'; give"),
        ({"top_k": True}, "top_k=True; give"),
        ({"unknown_below": 1.5}, r"unknown_below=1\.5; a confidence is a number between 0 and 1"),
        ({"unknown_below": "0.5"}, r"unknown_below='0\.5'; a confidence is"),
        ({"unknown_below": float("nan")}, "unknown_below=nan; a confidence is"),
        ({"unknown_below": True}, "unknown_below=True; a confidence is"),
    ],
)
def test_wrong_requests_are_refused(options: dict[str, Any], message: str) -> None:
    with unchecked(), pytest.raises(OutputOptionsError, match=message):
        OutputOptions(**options)


def test_numbers_of_numpy_are_numbers() -> None:
    with unchecked():
        request: Any = OutputOptions(np.int64(2), np.float32(0.5))  # type: ignore[arg-type]  # as a caller gives them
    assert (request.top_k, request.unknown_below) == (2, 0.5)


def test_unknown_pixels_need_a_calibration() -> None:
    OutputOptions(unknown_below=0.5).check(IDENTITY_CALIBRATION)
    OutputOptions().check(None)
    with pytest.raises(CalibrationError, match="no calibration"):
        OutputOptions(unknown_below=0.5).check(None)


@pytest.mark.parametrize("options", [{}, {"unknown_below": 0.5}, {"top_k": 2}, {"logits": True}])
def test_several_images_have_the_results_of_each(options: dict[str, float]) -> None:
    request = OutputOptions(**options)  # type: ignore[arg-type]  # as a caller gives them
    images = [drawn(20, 30), drawn(25, 16), drawn(20, 30)[::-1].copy()]
    with torch.no_grad():
        together = to_segmentations(
            *(ColourMethod(), images, WORDS, TABLE, InferenceConfig()),
            calibration=IDENTITY_CALIBRATION,
            request=request,
        )
        alone = [
            to_segmentation(
                *(ColourMethod(), image, WORDS, TABLE, InferenceConfig()),
                calibration=IDENTITY_CALIBRATION,
                request=request,
            )
            for image in images
        ]
    for one, other, image in zip(together, alone, images, strict=True):
        assert one.labels.shape == image.shape[:2]
        assert np.array_equal(one.labels, other.labels)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
        assert (one.top_labels is None) == (other.top_labels is None)
        assert (one.logits is None) == (other.logits is None)


def test_probabilities_need_none() -> None:
    OutputOptions(unknown_below=0.5).check(None, probabilities=True)
    table = PromptConfig(templates=("a {}",)).table(Vocabulary.parse("cat, sofa"))
    scores = torch.tensor([[0.2, 0.5], [0.6, 0.4]])
    labels = torch.tensor([[0, 1], [1, 0]], dtype=torch.int32)
    request = OutputOptions(unknown_below=0.5)
    found = with_unknown(Prediction(labels, scores), drawn(2, 2), table, calibration=None, request=request)
    assert found.labels.tolist() == [[IGNORE, 1], [1, IGNORE]]
