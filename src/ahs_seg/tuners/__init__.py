"""Tuners: which weights of a backbone train, and how.

Every tuner is a config with `apply` (choose and add what trains; the function computed does not change) and `merge`
(fold what was added into plain CLIP weights).
"""

from typing import Annotated

from pydantic import Field

from ahs_seg.tuners.orthogonal import Orthogonal
from ahs_seg.tuners.select import Attention, Frozen, Full

Tuner = Annotated[Frozen | Attention | Full | Orthogonal, Field(discriminator="name")]

__all__ = ["Attention", "Frozen", "Full", "Orthogonal", "Tuner"]
