"""HTML reports of runs: one self-contained file with example images, scores, settings and provenance."""

from ahs_seg.experiments.report.content import Figure, LossCurve, Report, WorstClass, WorstClasses
from ahs_seg.experiments.report.page import render_report, write_report
from ahs_seg.experiments.report.worst import worst_classes

__all__ = [
    "Figure",
    "LossCurve",
    "Report",
    "WorstClass",
    "WorstClasses",
    "render_report",
    "worst_classes",
    "write_report",
]
