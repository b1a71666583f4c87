"""What a run remembers: trained weights, buffers and moments, and nothing that is frozen."""

import pytest
import torch
from torch import nn

from ahs_seg.training.checkpoint import TrainingCheckpointError
from ahs_seg.training.state import collect, frozen_digest, restore_moments, restore_weights, stored_names


def network(seed: int = 0, *, frozen_seed: int = 7) -> nn.Sequential:
    """A frozen layer, a trained one and a norm with buffers."""
    torch.manual_seed(frozen_seed)
    frozen = nn.Linear(3, 4).requires_grad_(requires_grad=False)
    torch.manual_seed(seed)
    return nn.Sequential(frozen, nn.Linear(4, 2), nn.BatchNorm1d(2))


def trained(steps: int = 3) -> tuple[nn.Sequential, torch.optim.AdamW]:
    module = network()
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        images = torch.randn(5, 3, generator=torch.Generator().manual_seed(step))
        module(images).square().sum().backward()
        optimizer.step()
    return module, optimizer


def test_stored_are_trained_parameters_and_buffers() -> None:
    buffers = {f"2.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
    assert set(stored_names(network())) == {"1.weight", "1.bias", "2.weight", "2.bias"} | buffers


def test_the_digest_sees_frozen_weights_alone() -> None:
    assert frozen_digest(network(0)) == frozen_digest(network(1))
    assert frozen_digest(network()) != frozen_digest(network(frozen_seed=8))
    changed = network()
    with torch.no_grad():
        changed.get_parameter("0.weight")[0, 0] += 1e-6
    assert frozen_digest(changed) != frozen_digest(network())


def test_what_was_collected_goes_on_as_if_nothing_had_happened() -> None:
    module, optimizer = trained()
    stored = collect(module, optimizer, stored_names(module))
    other = network(seed=5)
    again = torch.optim.AdamW([p for p in other.parameters() if p.requires_grad], lr=0.1)
    restore_weights(other, stored)
    restore_moments(other, again, stored)
    for one, adam in ((module, optimizer), (other, again)):
        adam.zero_grad()
        one(torch.ones(5, 3) * torch.arange(5)[:, None]).square().sum().backward()
        adam.step()
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in module.state_dict().items())


def test_copies_do_not_change_with_the_module() -> None:
    module, optimizer = trained()
    stored = collect(module, optimizer, stored_names(module))
    before = stored["weight/1.weight"].clone()
    with torch.no_grad():
        module.get_parameter("1.weight").zero_()
    assert torch.equal(stored["weight/1.weight"], before)
    assert not any(name.startswith("weight/0.") for name in stored)


def test_another_method_is_refused_by_name() -> None:
    module, optimizer = trained()
    stored = collect(module, optimizer, stored_names(module))
    del stored["weight/1.bias"]
    with pytest.raises(
        TrainingCheckpointError, match=r"another method or tuner: 1 weights differ, e\.g\. '1\.bias' is only in the m"
    ):
        restore_weights(network(), stored)
    stored["weight/1.bias"] = torch.zeros(3)
    with pytest.raises(
        TrainingCheckpointError, match=r"1\.bias has shape \(3,\) in the checkpoint and \(2,\) in the method"
    ):
        restore_weights(network(), stored)
