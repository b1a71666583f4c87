"""The inference form of spatial aggregation equals the plain module."""

import pytest
import torch
from torch import nn

from ahs_seg.config import ConfigError
from ahs_seg.methods.cost.window_attention import SpatialAggregation, WindowBlock
from ahs_seg.methods.cost.window_form import WindowForm, window_places
from ahs_seg.modules import fused_linear
from tests.support.tensors import randn
from tests.support.textbook import randomise


def built(window: int = 4) -> SpatialAggregation:
    torch.manual_seed(0)
    module = SpatialAggregation(16, 6, heads=2, window=window)
    randomise(module)
    return module.eval()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("batch", "classes", "grid"), [(1, 1, (4, 4)), (2, 3, (8, 4)), (1, 5, (8, 12))])
@torch.inference_mode()
def test_equal_to_the_plain_module(
    monkeypatch: pytest.MonkeyPatch, packed: bool, batch: int, classes: int, grid: tuple[int, int]
) -> None:
    monkeypatch.setattr(
        fused_linear, "packed_is_faster", lambda *_, **__: packed and torch.backends.mkldnn.is_available()
    )
    plain = built()
    form = WindowForm.of(plain)
    maps = randn(batch, classes, *grid, 16).float()
    terms = plain.guide(randn(batch, 6, *grid, seed=1).float())
    before = maps.clone()
    expected, found = plain(maps, terms), form(maps, terms)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert torch.equal(maps, before)
    assert all(
        torch.equal(one, other)
        for one, other in zip(form.guide(randn(batch, 6, *grid, seed=1).float())[0], terms[0], strict=True)
    )


def test_places_by_hand() -> None:
    places = window_places((2, 4), 2, 0)
    assert places.order.tolist() == [0, 1, 4, 5, 2, 3, 6, 7]
    assert places.order[places.back].tolist() == list(range(8))
    assert places.mask is None
    shifted = window_places((2, 4), 2, 1)
    assert shifted.order.tolist() == [5, 6, 1, 2, 7, 4, 3, 0]
    assert shifted.mask is not None
    assert shifted.mask.shape == (2, 1, 4, 4)


def test_a_grid_that_does_not_fit_is_the_error_of_the_plain_module() -> None:
    form = WindowForm.of(built())
    with torch.inference_mode(), pytest.raises(ConfigError, match="multiples of window=4"):
        form(randn(1, 1, 6, 4, 16).float(), form.guide(randn(1, 6, 6, 4).float()))


@torch.inference_mode()
def test_hooks_and_foreign_modules_inside_are_respected() -> None:
    plain = built()
    form = WindowForm.of(plain)
    maps, terms = randn(1, 2, 4, 4, 16).float(), plain.guide(randn(1, 6, 4, 4).float())
    seen: list[nn.Module] = []
    handle = form.plain.mlp.register_forward_hook(lambda module, *_: seen.append(module))
    form(maps, terms)
    assert seen == [plain.plain.mlp]
    handle.remove()

    class Doubled(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
            return 2 * super().forward(input)

    own = Doubled(16, 16)
    own.load_state_dict(plain.shifted.output.state_dict())
    before = form(maps, terms)
    form.shifted.output = own
    assert torch.equal(form(maps, terms), plain(maps, terms))
    assert not torch.allclose(form(maps, terms), before)
    assert isinstance(form.undone().plain, WindowBlock)
