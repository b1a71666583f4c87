"""Evaluation of a predictor or of stored predictions on a dataset: reports with scores and provenance."""

from ahs_seg.evaluation.external import (
    PredictionFile,
    PredictionFolder,
    Predictions,
    open_predictions,
    score_predictions,
)
from ahs_seg.evaluation.report import EvaluationError, EvaluationReport, Failure, merge_reports, score_table, short_name
from ahs_seg.evaluation.run import Predictor, evaluate, evaluate_together

__all__ = [
    "EvaluationError",
    "EvaluationReport",
    "Failure",
    "PredictionFile",
    "PredictionFolder",
    "Predictions",
    "Predictor",
    "evaluate",
    "evaluate_together",
    "merge_reports",
    "open_predictions",
    "score_predictions",
    "score_table",
    "short_name",
]
