"""What is known about the stages of a method."""

import pytest
from torch import nn

from ahs_seg.checkpoints.exporting.families import staged
from ahs_seg.checkpoints.exporting.stages import ExportError


def test_a_method_of_your_own_is_told_what_to_do() -> None:
    with pytest.raises(ExportError, match=r"Linear has no stages for export; .* Register a StagedMethod"):
        staged(nn.Linear(1, 1))  # type: ignore[arg-type]  # no method of the package
