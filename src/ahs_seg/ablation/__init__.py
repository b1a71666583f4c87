"""Ablation tables: rows of experiments over seeds, run once each, compared in pairs with a baseline."""

from ahs_seg.ablation.run import Choice, Outcome, run_ablation
from ahs_seg.ablation.suites import Suite, find_experiment, find_suite, row_names

__all__ = ["Choice", "Outcome", "Suite", "find_experiment", "find_suite", "row_names", "run_ablation"]
