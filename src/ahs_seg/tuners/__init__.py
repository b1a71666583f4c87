"""Tuners: which weights of a backbone train, and how.

Every tuner is a config with `apply` (choose and add what trains; the function computed does not change) and `merge`
(fold what was added into plain CLIP weights).
"""

from typing import Annotated, Final

from ahs_seg.config import OneOf
from ahs_seg.tuners.base import TunerConfig
from ahs_seg.tuners.orthogonal import Orthogonal
from ahs_seg.tuners.select import Attention, Frozen, Full

TUNERS: Final = (Frozen, Attention, Full, Orthogonal)
Tuner = Annotated[TunerConfig, OneOf(TunerConfig, TUNERS)]

__all__ = ["TUNERS", "Attention", "Frozen", "Full", "Orthogonal", "Tuner", "TunerConfig"]
