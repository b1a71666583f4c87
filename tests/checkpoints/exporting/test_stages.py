"""What is known about the stages of a method."""

import pytest

from ahs_seg.checkpoints.exporting.families import staged
from ahs_seg.checkpoints.exporting.stages import ExportError
from ahs_seg.demo.web.feature_cache import ByteLRU, CachedMethod
from ahs_seg.methods import ZeroShotConfig
from tests.support.exported import small


def test_a_method_of_your_own_is_told_what_to_do() -> None:
    own = CachedMethod(small(ZeroShotConfig), ByteLRU(), name="own")
    with pytest.raises(ExportError, match=r"CachedMethod has no stages for export; .* Register a StagedMethod"):
        staged(own)
