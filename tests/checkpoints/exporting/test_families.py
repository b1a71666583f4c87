"""Every method of the package in stages equals its forward pass, for few and for many classes."""

import pytest

from ahs_seg.config import Config
from ahs_seg.methods import METHODS
from tests.support.exported import difference, small


@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.__name__)
def test_stages_are_the_forward_pass(kind: type[Config]) -> None:
    method = small(kind)
    assert difference(method, 3) < 1e-5
    assert difference(method, 17) < 1e-5  # more than the cost family keeps and pads to
