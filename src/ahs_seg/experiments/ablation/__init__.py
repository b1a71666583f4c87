"""Ablation tables: experiments run over several seeds and compared with a baseline, paired by seed."""

from ahs_seg.experiments.ablation.run import AblationOptions, AblationResult, run_ablation
from ahs_seg.experiments.ablation.suites import Suite, find_experiment, find_suite, row_names

__all__ = ["AblationOptions", "AblationResult", "Suite", "find_experiment", "find_suite", "row_names", "run_ablation"]
