"""The page that `ahs-seg serve` shows: a picture and words in, an overlay to explore out."""

from ahs_seg.demo.web.limits import LimitError, Limits
from ahs_seg.demo.web.session import SessionResult, Workbench

__all__ = ["LimitError", "Limits", "SessionResult", "Workbench"]
