"""The report of a run: one HTML file with pictures, scores and what made them."""

from ahs_seg.report.content import Figure, LossCurve, Report
from ahs_seg.report.page import render_report, write_report

__all__ = ["Figure", "LossCurve", "Report", "render_report", "write_report"]
