"""Experiments: one training run, the quickstart, suites of benchmarks, ablation tables and reports."""
