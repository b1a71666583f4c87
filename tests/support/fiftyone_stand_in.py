"""The one name of FiftyOne that is used, for tests: FiftyOne itself brings a database.

Its `fiftyone/core/labels.py` defines `Segmentation(mask=None, mask_path=None)` with a two-dimensional integer mask, in
which 0 is skipped as "no class".
"""

import sys
from types import ModuleType

import numpy as np
import pytest


class StandIn:
    """The keyword arguments of `fo.Segmentation`; any other one is an error."""

    def __init__(self, *, mask: np.ndarray | None = None, mask_path: str | None = None) -> None:
        assert mask is not None
        assert mask.ndim == 2
        assert np.issubdtype(mask.dtype, np.integer)
        self.mask, self.mask_path = mask, mask_path


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in in the place of FiftyOne, for one test."""
    module = ModuleType("fiftyone")
    module.Segmentation = StandIn  # type: ignore[attr-defined]  # a module made for this test
    monkeypatch.setitem(sys.modules, "fiftyone", module)
    monkeypatch.setattr("ahs_seg.io.extras.find_spec", lambda package: package)
