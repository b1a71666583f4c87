"""Tuners: they select or add the trainable parameters of a backbone.

Every tuner is a config with `apply` (select or add the trainable parameters; the output of the backbone does not
change) and `merge` (fold the added parameters into the original weights).
"""

from typing import Annotated, Final

from ahs_seg.config import OneOf
from ahs_seg.tuners.base import TunerConfig
from ahs_seg.tuners.orthogonal import Orthogonal
from ahs_seg.tuners.select import Attention, Frozen, Full

TUNERS: Final = (Frozen, Attention, Full, Orthogonal)
Tuner = Annotated[TunerConfig, OneOf(TunerConfig, TUNERS)]

__all__ = ["TUNERS", "Attention", "Frozen", "Full", "Orthogonal", "Tuner", "TunerConfig"]
