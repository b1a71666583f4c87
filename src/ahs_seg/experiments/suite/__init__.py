"""Evaluation of a model on a suite of prepared benchmarks, under named protocols, in one or more processes."""

from ahs_seg.checkpoints.published import Published, published_numbers
from ahs_seg.evaluation.model import EvaluationJob, evaluate_model
from ahs_seg.experiments.suite.run import SUITES, SuiteResult, run_suite, suite_data

__all__ = [
    "SUITES",
    "EvaluationJob",
    "Published",
    "SuiteResult",
    "evaluate_model",
    "published_numbers",
    "run_suite",
    "suite_data",
]
