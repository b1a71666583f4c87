"""The inference form of class aggregation equals the plain module."""

import pytest
import torch

from ahs_seg.methods.cost.class_attention import AttentionKind, ClassAggregation, ClassSummary
from ahs_seg.methods.cost.class_form import ClassForm
from ahs_seg.modules import fused_linear
from tests.support.tensors import randn
from tests.support.textbook import randomise


def result(module: ClassAggregation, maps: torch.Tensor, pooling: int) -> tuple[ClassSummary, torch.Tensor]:
    count = maps.shape[1]
    terms = module.guide(randn(len(maps), count, 6, seed=1).float())
    chunks = [slice(0, 2), slice(2, count)]
    parts = [module.summarise(maps[:, chunk], (terms[0][:, chunk], terms[1][:, chunk]), pooling) for chunk in chunks]
    summary = module.combine(parts, count)
    return summary, module(maps, terms, summary, count=count, pooling=pooling)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["linear", "full"])
@pytest.mark.parametrize(("pooling", "pad"), [(1, 9), (2, 0)])
@torch.inference_mode()
def test_equal_to_the_plain_module(
    monkeypatch: pytest.MonkeyPatch, packed: bool, kind: AttentionKind, pooling: int, pad: int
) -> None:
    monkeypatch.setattr(
        fused_linear, "packed_is_faster", lambda *_, **__: packed and torch.backends.mkldnn.is_available()
    )
    torch.manual_seed(0)
    plain = ClassAggregation(16, 6, heads=2, pad_length=pad, kind=kind).eval()
    randomise(plain)
    form = ClassForm.of(plain)
    maps = randn(2, 5, 4, 6, 16).float()
    before = maps.clone()
    expected, found = result(plain, maps, pooling), result(form, maps, pooling)
    for one, other in zip((*found[0], found[1]), (*expected[0], expected[1]), strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()
    assert torch.equal(maps, before)


def test_with_gradients_the_plain_module_computes() -> None:
    torch.manual_seed(0)
    plain = ClassAggregation(16, 6, heads=2, pad_length=9, kind="linear")
    randomise(plain)
    maps = randn(1, 5, 2, 2, 16).float()
    (result(ClassForm.of(plain), maps, 1)[1]).sum().backward()
    assert all(value.grad is not None for value in plain.parameters())
    assert torch.equal(result(ClassForm.of(plain), maps, 1)[1], result(plain, maps, 1)[1])
