"""What a model was trained on, and whether its scores on an image are those of what it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import numpy as np
from jaxtyping import Float
from pydantic import Field

from ahs_seg.config import Config
from ahs_seg.types import ImageKind

CHANCES: Final = 2.0
"""Mean score below which classes are not told apart, as a multiple of that of equal scores, one over their number."""
MANY_CHANCES: Final = 5.0
"""The same for many classes, of which most do not fit, up to `NEAR_CHANCE`."""
NEAR_CHANCE: Final = 0.1
HIGHEST_CHANCE: Final = 0.5
"""Upper bound for few classes: with two, even the better of two equal scores reaches it."""
USUAL: Final = 0.02
"""Share of the images of a calibration that may be less certain than the rest."""
OTHER_LISTS: Final = 0.85
"""Other class lists give other mean scores: with 20 names of the drawn world, 0.91 of those with 150."""


class TrainingImages(Config):
    """The images that a model was trained on.

    `kind` is None if it is not known, `data` names the dataset. `certainty` is the `certainty` that the model exceeds
    on images of its calibration (`usual`, `Segmenter.calibrate`); None: not measured.
    """

    kind: ImageKind | None = None
    data: str = ""
    certainty: Annotated[float, Field(ge=0, le=1)] | None = None

    def __str__(self) -> str:
        return ", ".join(filter(None, [self.kind, self.data])) or "unknown"


def certainty(scores: Float[np.ndarray, "H W"]) -> float:
    """Mean over the pixels of the score of the best class, in [0, 1].

    Every result has it. It separates both drawn scenes from photographs and known from unknown words, except for
    photographs that are given many names of the drawn world. Entropy needs the scores of all classes; the distance of
    image features from those of the training says nothing about words (`benchmarks/at_home.py` compares them).
    """
    return float(scores.mean(dtype=np.float64)) if scores.size else 0.0


def usual(reached: Sequence[float]) -> float | None:
    """The lowest certainty to be expected at home: 0.85 of what 98 % of the images of a calibration exceed.

    None: there are no images.
    """
    return OTHER_LISTS * float(np.quantile(reached, USUAL)) if reached else None


def chance(classes: int) -> float:
    """The certainty below which scores are those of classes that are not told apart."""
    return min(HIGHEST_CHANCE, max(CHANCES / classes, min(MANY_CHANCES / classes, NEAR_CHANCE)))


def doubts(reached: float, classes: int, training: TrainingImages | None) -> tuple[str, ...]:
    """Warnings about a result for `classes` classes whose `certainty` is `reached`, each one sentence.

    The text is the same for all images of a model.
    """
    known = None if training is None else training.kind
    home = None if training is None else training.certainty
    if known == "drawn scenes" and reached < max(chance(classes), home or 0.0):
        return (
            "this model knows drawn scenes only, and its scores say that this image or these words are none of them: "
            "the labels mean little. Use a model of photographs, such as cat-seg-vitb.",
        )
    if reached < chance(classes):
        return (
            "the scores are near chance for these classes: the model hardly tells them apart here. Check the words, or "
            "use another model.",
        )
    if home is not None and reached < home:
        return (
            "the scores are lower than on nearly all images that this model was calibrated on: this image or these "
            "words may be unknown to it.",
        )
    return ()
