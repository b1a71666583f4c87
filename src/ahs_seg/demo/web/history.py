"""The last results of a session: one is chosen, whose scores and downloads the visitor asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ahs_seg.demo.web.feature_cache import held_bytes
from ahs_seg.demo.web.session import SessionResult

KEPT: Final = 8
"""Results of a session that are kept, one for each model of a request."""
KEPT_BYTES: Final = 256 * 2**20
"""Bytes of them; the results of the last request are kept whatever their size."""
PIXEL_BYTES: Final = 3 + 4 + 4
"""Bytes of a result for each pixel: its colours, label and score."""
TEXT_BYTES: Final = 64 * 2**20
"""Room for the text embeddings of a result: two tensors of 3,000 rows with 2,560 numbers."""


@dataclass(frozen=True, slots=True)
class History:
    """Results of a session, the oldest first; `chosen` is the name of the one that is shown."""

    results: tuple[SessionResult, ...] = ()
    chosen: str = ""

    def with_new(self, new: tuple[SessionResult, ...]) -> History:
        """The history after a request; its first result is the chosen one, and the oldest make room."""
        kept = [*self.results, *new]
        while len(kept) > len(new) and (len(kept) > KEPT or held_bytes(kept) > KEPT_BYTES):
            kept.pop(0)
        return History(tuple(kept), new[0].name)

    def find(self, name: str) -> SessionResult | None:
        """The result of this name, or None if it is not kept."""
        return next((one for one in self.results if one.name == name), None)

    def choosing(self, name: str) -> History:
        """The history with another chosen result."""
        return replace(self, chosen=name)
