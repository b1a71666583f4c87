"""Layers without values: nothing is drawn, and buffers are there all the same."""

import torch
from torch import nn

from ahs_seg.modules.unfilled import shapes_only, unfilled


class Layered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(3, 4)
        self.conv = nn.Conv2d(3, 4, 2)
        self.norm = nn.LayerNorm(4)
        self.scale = nn.Parameter(torch.ones(2))
        nn.init.trunc_normal_(self.scale)
        self.register_buffer("places", torch.zeros(3).fill_(2), persistent=False)


def test_no_random_number_is_drawn_and_buffers_are_computed() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with unfilled():
        network = Layered()
    assert torch.equal(torch.get_rng_state(), before)
    assert network.places.tolist() == [2, 2, 2]
    assert network.scale.tolist() == [1, 1], "what is no initialisation is done"
    Layered()
    assert not torch.equal(torch.get_rng_state(), before), "outside of the context layers draw"


def test_shapes_are_those_of_the_filled_layers_and_take_no_memory() -> None:
    with shapes_only():
        network = Layered()
    expected = Layered().state_dict()
    assert {key: value.shape for key, value in network.state_dict().items()} == {
        key: value.shape for key, value in expected.items()
    }
    assert all(value.is_meta for value in network.state_dict().values())
