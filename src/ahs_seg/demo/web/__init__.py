"""The web page of `ahs-seg serve`: segments an uploaded image by class names and shows an interactive overlay."""

from ahs_seg.demo.web.limits import LimitError, Limits
from ahs_seg.demo.web.session import SessionResult, Workbench

__all__ = ["LimitError", "Limits", "SessionResult", "Workbench"]
