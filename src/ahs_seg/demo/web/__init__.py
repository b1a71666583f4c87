"""The page that `ahs-seg serve` shows: a picture and words in, an overlay to explore out."""

from ahs_seg.demo.web.limits import LimitError, Limits
from ahs_seg.demo.web.workbench import Answer, Workbench

__all__ = ["Answer", "LimitError", "Limits", "Workbench"]
