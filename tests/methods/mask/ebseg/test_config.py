"""The config of EBSeg: blocks that fit its CLIP, chosen from its depth where nothing is said."""

import pytest

from ahs_seg.config import ConfigError
from ahs_seg.methods.mask.ebseg.config import EBSegConfig
from ahs_seg.methods.mask.ebseg.objective import EBSegLossConfig, EBSegObjective
from tests.support.builders import random_backbone
from tests.support.small_methods import EBSEG_SMALL


def test_blocks_follow_the_depth_of_the_clip() -> None:
    """A third, two thirds and all of the blocks before those that recognise; values from a sixth of all."""
    config = EBSEG_SMALL.replace(recognition_blocks=3)
    recognition = config.compose(random_backbone(depth=12)).recognition
    assert (recognition.front, recognition.taps, recognition.value_start) == (9, (3, 6, 9), 2)


def test_blocks_that_are_given_are_taken() -> None:
    config = EBSEG_SMALL.replace(taps=(1, 2, 2), value_start=2)
    recognition = config.compose(random_backbone(depth=4)).recognition
    assert (recognition.taps, recognition.value_start) == ((1, 2, 2), 2)


def test_blocks_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit a CLIP of 3 blocks"):
        EBSEG_SMALL.replace(taps=(1, 2, 3)).compose(random_backbone(depth=3))


def test_the_balance_is_that_of_the_config() -> None:
    config = EBSEG_SMALL.replace(alpha=0.2, beta=0.4, gamma=0.6)
    method = config.compose(random_backbone())
    assert (method.alpha, method.beta, method.gamma) == (0.2, 0.4, 0.6)


def test_the_losses_are_those_of_the_config() -> None:
    loss = EBSegLossConfig(points=7, structure=0.0)
    term = EBSEG_SMALL.replace(loss=loss).term()
    assert isinstance(term, EBSegObjective)
    assert term.config is loss


@pytest.mark.parametrize("wrong", ["alpha=1.5", "beta=-0.1", "taps=[1, 2]", "value_start=0", "gama=0.1"])
def test_wrong_values_name_their_key(wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong.partition("=")[0]):
        EBSegConfig.parse({}, [wrong])
