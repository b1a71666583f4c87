import numpy as np
import pytest

from ahs_seg.config import ConfigError
from ahs_seg.data.base import Sample
from ahs_seg.errors import SampleError
from ahs_seg.output.calibration import IDENTITY_CALIBRATION, Calibration, CalibrationError, Reliability, calibrate
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary


def pixels(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a model that is right with probability score squared."""
    rng = np.random.default_rng(seed)
    scores = rng.random(count).astype(np.float32)
    return scores, rng.random(count) < scores**2


def test_the_error_by_hand():
    counted = Reliability()
    counted.add(np.array([0.9, 0.9, 0.9, 0.9], np.float32), np.array([True, True, True, False]))
    counted.add(np.array([[0.1]], np.float32), np.array([[False]]))
    assert counted.error() == pytest.approx((4 * abs(0.9 - 0.75) + 0.1) / 5, abs=1e-6)


def test_confidences_are_shares_of_right_pixels():
    counted = Reliability()
    counted.add(*pixels(200_000, 0))
    calibration = counted.fit("made up")
    assert calibration.error_before == pytest.approx(counted.error())
    assert calibration.error_before == pytest.approx(1 / 6, abs=0.005)  # the mean of s - s^2
    assert calibration.error_after < 0.005
    values = np.linspace(0.05, 0.95, 50, dtype=np.float32)
    np.testing.assert_allclose(calibration(values), values**2, atol=0.03)
    scores, right = pixels(100_000, 1)  # pixels it was not made of
    raw, better = Reliability(), Reliability()
    raw.add(scores, right)
    better.add(calibration(scores), right)
    assert better.error() < raw.error() / 10


def test_confidences_never_fall():
    counted = Reliability()
    rng = np.random.default_rng(0)
    counted.add(rng.random(5000, dtype=np.float32), rng.random(5000) < 0.5)
    confidences = counted.fit("noise")(np.linspace(0, 1, 100, dtype=np.float32))
    assert (np.diff(confidences) >= 0).all()
    assert len(counted.fit("noise").scores) <= 64


def test_one_score_only():
    counted = Reliability()
    counted.add(np.full(10, 0.5, np.float32), np.arange(10) < 3)
    assert counted.fit("one")(np.array([0.0, 0.5, 1.0], np.float32)) == pytest.approx([0.3, 0.3, 0.3])


def test_scores_as_they_are():
    values = np.linspace(0, 1, 9, dtype=np.float32)
    np.testing.assert_allclose(IDENTITY_CALIBRATION(values), values, atol=1e-6)


@pytest.mark.parametrize(
    ("scores", "accuracies", "message"),
    [
        ((), (), "at least 1"),
        ((0.1, 0.2), (0.5,), "2 scores and 1 accuracies"),
        ((0.2, 0.1), (0.5, 0.6), "must rise"),
        ((0.1, 0.2), (0.6, 0.5), "must not fall"),
        ((0.1, 0.2), (0.6, 1.5), "allowed is 0 to 1"),
    ],
)
def test_wrong_tables_are_explained(scores, accuracies, message):
    with pytest.raises(ConfigError, match=message):
        Calibration.parse({"scores": scores, "accuracies": accuracies, "source": "x"})


class Images:
    vocabulary = Vocabulary.parse("cat, dog")

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Sample:
        if index == 1:
            raise SampleError("1.jpg: damaged")
        return Sample(np.zeros((2, 2, 3), np.uint8), np.array([[0, 1], [1, IGNORE]], np.int32), str(index))


def test_only_labelled_pixels_of_readable_images_count(caplog):
    def predict(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.array([[0, 0], [1, 1]], np.int32), np.array([[0.8, 0.8], [0.8, 0.1]], np.float32)

    calibration = calibrate(predict, Images())
    assert calibration.accuracies == pytest.approx((2 / 3,))
    assert calibration.source == "2 images with 2 classes"
    assert "1.jpg: damaged" in caplog.text
    assert calibrate(predict, Images(), images=1).source == "1 images with 2 classes"
    with pytest.raises(CalibrationError, match="no labelled pixel"):
        calibrate(predict, Images(), images=0)


@pytest.mark.parametrize("changed", [{0: 255}, {1: 2}, {IGNORE: -2}], ids=["unlabelled 255", "one too high", "below"])
def test_labels_that_are_no_class_are_refused_as_by_evaluate(changed, caplog):
    class Wrong(Images):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(0)
            labels = np.vectorize(lambda label: changed.get(label, label))(sample.labels).astype(np.int32)
            return Sample(sample.image, labels if index else sample.labels, sample.name)

    def predict(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((2, 2), np.int32), np.full((2, 2), 0.8, np.float32)

    assert calibrate(predict, Wrong()).accuracies == pytest.approx((1 / 3,))
    assert "left out: image 2: labels have values" in caplog.text

    class AllWrong(Wrong):
        def __getitem__(self, index: int) -> Sample:
            return super().__getitem__(1)

    with pytest.raises(CalibrationError, match=r"^none of 3 images .* problem: image 0: labels have values .* allowed"):
        calibrate(predict, AllWrong())


def test_a_map_of_another_size_than_the_prediction_costs_its_image():
    def predict(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((2, 3), np.int32), np.full((2, 3), 0.8, np.float32)

    with pytest.raises(CalibrationError, match="prediction is 3x2, labels are 2x2"):
        calibrate(predict, Images())
