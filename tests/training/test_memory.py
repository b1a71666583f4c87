"""Bytes of tensors while they live, counted in blocks whose tensors are known."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from ahs_seg.training.memory import OverLimitError, TensorBytes, remembered, state_bytes, unchanged


def test_bytes_are_counted_while_tensors_live():
    given = torch.ones(100)
    with TensorBytes() as counted:
        one = given * 2
        view = one[:50].view(5, 10)  # no memory of its own
        given.add_(1)  # in place
        assert (counted.now, counted.peak) == (400, 400)
        two = torch.zeros(1000, dtype=torch.float64)
        assert counted.now == 8400
        del two
        assert (counted.now, counted.peak) == (400, 8400)
        del one
        assert counted.now == 400, "the view keeps it"
        del view
        assert (counted.now, counted.peak) == (0, 8400)


def test_what_the_backward_pass_needs_is_counted():
    weight = torch.ones(10, 10, requires_grad=True)
    with TensorBytes() as counted:
        result = torch.ones(10).requires_grad_() @ weight
        loss = result.sigmoid().sum()
        del result
        assert counted.now >= 40 + 40 + 4, "the input, the output of the sigmoid, the loss"
        loss.backward()
        del loss
        assert weight.grad is not None
        assert counted.now == 400, "the gradient is what is left"


def test_a_block_ends_at_its_limit():
    with pytest.raises(OverLimitError, match="more than the limit of 100"), TensorBytes(100):
        torch.zeros(50)
    with TensorBytes(100):
        torch.zeros(25)


def test_a_trial_leaves_buffers_and_gradients_as_they_were():
    norm = nn.BatchNorm1d(3)
    norm.weight.grad = torch.full((3,), 7.0)
    with unchanged(norm):
        norm(torch.arange(12.0).view(4, 3)).sum().backward()
    assert norm.num_batches_tracked == 0
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == [0, 0, 0]
    assert norm.weight.grad.tolist() == [7, 7, 7]
    assert norm.bias.grad is None


def test_buffers_and_random_states_are_put_back():
    norm = nn.BatchNorm1d(3)
    put_back = remembered(norm, torch.device("cpu"))
    drawn = torch.rand(2), random.random(), np.random.rand()
    norm(torch.arange(12.0).view(4, 3))
    put_back()
    assert norm.num_batches_tracked == 0
    assert torch.equal(torch.rand(2), drawn[0])
    assert (random.random(), np.random.rand()) == drawn[1:]


def test_state_is_weights_buffers_gradients_and_two_moments():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    module[0].requires_grad_(requires_grad=False)
    buffers = 4 * 4 * 2 + 8
    assert state_bytes(module) == (4 * (12 + 4 + 4 + 4) + buffers, 3 * 4 * 8)
