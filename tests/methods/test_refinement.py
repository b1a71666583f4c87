"""Settings of the refinement by the image: what they reach, and which are refused."""

from typing import Any

import pytest

from ahs_seg.config import ConfigError
from ahs_seg.methods.refinement import PamrConfig


def test_values_travel_from_at_most_every_step_of_the_largest_dilation() -> None:
    assert PamrConfig().reach == 160


@pytest.mark.parametrize("values", [{"iterations": 0}, {"dilations": ()}, {"dilations": (0,)}])
def test_settings_without_effect_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        PamrConfig(**values)
