"""The estimate of a run changes nothing, and counts what a step of four images then takes."""

import pytest
import torch

from ahs_seg.config import ConfigError
from ahs_seg.methods.objective import SegmentationObjective
from ahs_seg.training.estimate import estimate
from tests.support.training import TinyDataset, flip, tiny_recipe
from tests.support.training_runs import cat_seg


def test_an_estimate_changes_neither_the_method_nor_the_random_state():
    method, recipe = cat_seg(), tiny_recipe(batch_size=4, accumulation=2, names_per_step=3)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    torch.manual_seed(5)
    found = estimate(recipe, method, TinyDataset(), objective=SegmentationObjective(), augment=flip)
    assert torch.initial_seed() == 5
    torch.manual_seed(5)
    expected = torch.rand(())
    torch.manual_seed(5)
    assert torch.equal(torch.rand(()), expected)
    assert {name for name, value in method.state_dict().items() if not torch.equal(value, before[name])} == set()
    assert {value.grad for value in method.parameters()} == {None}
    assert (found.batch, found.classes) == (2, 3)
    trained = sum(value.numel() for value in method.parameters() if value.requires_grad)
    assert found.optimizer == 12 * trained
    assert found.kept.seconds > 0


def test_the_batch_is_that_of_one_of_the_processes():
    recipe = tiny_recipe(batch_size=8, accumulation=2, devices=2)
    found = estimate(recipe, cat_seg(), TinyDataset(), objective=SegmentationObjective())
    assert found.batch == 2
    with pytest.raises(ConfigError, match="it must be a multiple of 3"):
        estimate(tiny_recipe(devices=3), cat_seg(), TinyDataset(), objective=SegmentationObjective())
