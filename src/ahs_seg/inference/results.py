"""Run inference for one image and assemble the requested `Segmentation` fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, UInt8

from ahs_seg.inference.predict import InferenceConfig, Prediction, predict, predict_many
from ahs_seg.inference.top_k import OutputOptionsError, check_count, rank
from ahs_seg.methods.base import Method
from ahs_seg.output.calibration import Calibration, CalibrationError
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.types import IGNORE, Words
from ahs_seg.vocabulary.prompts import PromptTable


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Requested fields of a `Segmentation` besides labels and scores."""

    top_k: int | None = None
    unknown_below: float | None = None
    logits: bool = False

    def __post_init__(self) -> None:
        if self.top_k is not None:
            check_count("top_k", self.top_k, "the number of classes wanted for every pixel")
        if self.unknown_below is not None and not _is_share(self.unknown_below):
            raise OutputOptionsError(
                f"unknown_below={self.unknown_below!r}; a confidence is a number between 0 and 1, e.g. 0.5"
            )

    def check(self, calibration: Calibration | None, *, probabilities: bool = False) -> None:
        """Check that a model with this calibration (None: without) can give these fields.

        If the scores of a method are `probabilities` over all names, as those of `zero_shot`, `unknown_below` needs no
        calibration; it is then the lowest score of a pixel that gets a class.

        Raises:
            CalibrationError: `unknown_below` is set, but the model has no calibration and its scores no such meaning.
        """
        if self.unknown_below is not None and calibration is None and not probabilities:
            raise CalibrationError(
                "unknown_below is a confidence, and this model (with these prompts and this protocol) has no "
                "calibration. Measure one with segmenter.calibrate(dataset) on labelled images, or use scores as "
                "confidences with segmenter.calibration = ahs_seg.output.calibration.IDENTITY_CALIBRATION"
            )


def to_segmentation(
    method: Method,
    pixels: UInt8[np.ndarray, "H W 3"],
    words: Words,
    table: PromptTable,
    config: InferenceConfig,
    *,
    calibration: Calibration | None,
    request: OutputOptions,
) -> Segmentation:
    """The segmentation of one image with the requested fields."""
    if request.top_k is None and not request.logits:
        plain = predict(method, pixels, words, config, row_class=table.row_class)
        return with_unknown(plain, pixels, table, calibration=calibration, request=request)
    ranking = rank(
        method,
        pixels,
        words,
        config,
        row_class=table.row_class,
        depth=request.top_k or 1,
        logits=request.logits,
    )
    labels, scores = ranking.labels.cpu().numpy(), ranking.scores.cpu().numpy()
    return Segmentation(
        pixels,
        _known(labels[0], scores[0], calibration, request),
        scores[0],
        table.vocabulary,
        top_labels=labels if request.top_k else None,
        top_scores=scores if request.top_k else None,
        logits=None if ranking.logits is None else ranking.logits.cpu().numpy(),
        calibration=calibration,
    )


def to_segmentations(
    method: Method,
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    words: Words,
    table: PromptTable,
    config: InferenceConfig,
    *,
    calibration: Calibration | None,
    request: OutputOptions,
) -> list[Segmentation]:
    """The segmentations of several images; views of equal size of all images run through the method together.

    With `top_k` or logits, which need more memory for each image, one image runs at a time.
    """
    if len(images) == 1 or request.top_k is not None or request.logits:
        return [
            to_segmentation(method, pixels, words, table, config, calibration=calibration, request=request)
            for pixels in images
        ]
    together = config.replace(batch=max(config.batch, len(images)))
    found = predict_many(method, images, words, together, row_class=table.row_class)
    return [
        with_unknown(one, pixels, table, calibration=calibration, request=request)
        for pixels, one in zip(images, found, strict=True)
    ]


def with_unknown(
    prediction: Prediction,
    pixels: UInt8[np.ndarray, "H W 3"],
    table: PromptTable,
    *,
    calibration: Calibration | None,
    request: OutputOptions,
) -> Segmentation:
    """A prediction as a segmentation; pixels whose confidence is below `unknown_below` get no class.

    Without a calibration the score is the confidence (see `OutputOptions.check`).
    """
    labels, scores = prediction.labels.cpu().numpy(), prediction.scores.cpu().numpy()
    known = _known(labels, scores, calibration, request)
    return Segmentation(pixels, known, scores, table.vocabulary, calibration=calibration)


def _known(
    labels: Int32[np.ndarray, "H W"], scores: np.ndarray, calibration: Calibration | None, request: OutputOptions
) -> Int32[np.ndarray, "H W"]:
    if request.unknown_below is None:
        return labels
    unsure = (scores if calibration is None else calibration(scores)) < request.unknown_below
    return np.where(unsure, np.int32(IGNORE), labels)


def _is_share(value: object) -> bool:
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and bool(0 <= value <= 1)
    )
