"""The config of SCAN: levels and shifts that fit its CLIP."""

import pytest

from ahs_seg.config import ConfigError
from tests.support.scan import build


def test_levels_and_shifts_that_do_not_exist_are_named() -> None:
    with pytest.raises(ConfigError, match="block 4 does not exist; this CLIP has 1 to 3"):
        build(shifts=(1, 4))
    with pytest.raises(ConfigError, match="3 widths for 2 levels"):
        build(levels=(1, 2))
