"""Whether scores are those of what a model knows."""

import numpy as np
import pytest

from ahs_seg.output.familiarity import TrainingImages, certainty, chance, doubts, usual


def flat(score: float) -> np.ndarray:
    return np.full((4, 6), score, np.float32)


def test_certainty_is_the_mean_score() -> None:
    scores = flat(0.25)
    scores[:2] = 0.75
    assert certainty(scores) == pytest.approx(0.5)
    assert certainty(np.zeros((0, 3), np.float32)) == 0.0


@pytest.mark.parametrize(
    ("classes", "expected"), [(1, 0.5), (2, 0.5), (4, 0.5), (8, 0.25), (20, 0.1), (40, 0.1), (1000, 0.005)]
)
def test_chance_is_some_times_one_over_the_classes_within_bounds(classes: int, expected: float) -> None:
    assert chance(classes) == pytest.approx(expected)


def test_usual_is_what_nearly_all_images_exceed() -> None:
    assert usual([]) is None
    assert usual([0.8] * 99 + [0.1]) == pytest.approx(0.85 * 0.8)
    assert usual([index / 100 for index in range(101)]) == pytest.approx(0.85 * 0.02)


def test_a_street_photograph_of_the_small_model_is_near_chance() -> None:
    [warning] = doubts(0.013, 11, None)
    assert warning.startswith("the scores are near chance")
    assert doubts(0.8, 11, None) == ()


def test_a_model_of_drawn_scenes_names_what_it_knows() -> None:
    drawn = TrainingImages(kind="drawn scenes", certainty=0.6)
    [warning] = doubts(0.5, 20, drawn)
    assert "knows drawn scenes only" in warning
    assert "cat-seg-vitb" in warning
    assert doubts(0.7, 20, drawn) == ()
    assert doubts(0.5, 20, TrainingImages(kind="drawn scenes")) == ()
    assert "drawn scenes only" in doubts(0.05, 20, TrainingImages(kind="drawn scenes"))[0]


def test_a_calibrated_model_of_photographs_says_that_scores_are_unusual() -> None:
    [warning] = doubts(0.3, 20, TrainingImages(kind="photographs", certainty=0.4))
    assert "calibrated on" in warning
    assert "near chance" in doubts(0.05, 20, TrainingImages(kind="photographs", certainty=0.4))[0]


def test_training_images_in_words() -> None:
    assert str(TrainingImages(kind="photographs", data="streets")) == "photographs, streets"
    assert str(TrainingImages(data="streets")) == "streets"
    assert str(TrainingImages()) == "unknown"
