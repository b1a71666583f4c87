"""Settings of the refinement of score maps by the image."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ahs_seg.config import Config

Dilation = Annotated[int, Field(ge=1, le=256)]


class PamrConfig(Config):
    """PAMR (Araslanov and Roth, CVPR 2020): `iterations` means over the 8 neighbours at each of `dilations` pixels.

    The defaults are those of NACLIP. Distances are in pixels of the image, so that the effect depends on its size.
    """

    iterations: Annotated[int, Field(ge=1, le=100)] = 10
    dilations: Annotated[tuple[Dilation, ...], Field(min_length=1, max_length=8)] = (8, 16)

    @property
    def reach(self) -> int:
        """The largest distance in pixels from which a value can come."""
        return self.iterations * max(self.dilations)
