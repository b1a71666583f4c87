"""What training of EBSeg minimises."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ahs_seg.methods.mask.ebseg.objective import EBSegLossConfig, EBSegObjective
from ahs_seg.types import IGNORE, TrainingForward
from tests.support.ebseg import images, losses_of, small, words


@pytest.mark.parametrize("size", [(40, 70), (33, 64), (5, 90)])
@pytest.mark.parametrize("kind", ["several", "one", "none", "some without"])
def test_labels_of_every_kind_train(kind: str, size: tuple[int, int]) -> None:
    method = small().train()
    labels = torch.randint(-1, 3, (2, *size), generator=torch.Generator().manual_seed(3))
    if kind == "one":
        labels = torch.full_like(labels, 1)
    elif kind == "none":
        labels = torch.full_like(labels, IGNORE)
    elif kind == "some without":
        labels[0] = IGNORE
    losses = losses_of(method, labels, words(3))
    assert set(losses) == {
        f"{name}{suffix}" for name in ("supervised", "recognised", "mask", "dice") for suffix in ("", "_0", "_1")
    } | {"structure"}
    assert all(loss.isfinite() for loss in losses.values())
    if kind == "none":
        assert losses["mask"] == losses["dice"] == losses["structure"] == 0
    torch.stack(list(losses.values())).sum().backward()
    trained = {name: p for name, p in method.named_parameters() if p.requires_grad}
    assert [name for name, p in trained.items() if p.grad is None or not p.grad.isfinite().all()] == []


def test_switches_change_what_they_say() -> None:
    labels = torch.randint(0, 3, (2, 40, 70), generator=torch.Generator().manual_seed(3))

    def losses(**config: Any) -> dict[str, Tensor]:
        torch.manual_seed(7)
        return losses_of(small(), labels, words(3), **config)

    base, off = losses(), losses(structure=0.0, recognised=0.0)
    assert off["structure"] == off["recognised"] == 0
    assert base["structure"] > 0
    torch.testing.assert_close(off["mask"], base["mask"])
    with torch.no_grad():
        balanced, alone = small(), small(alpha=0.0, beta=0.0, gamma=0.0)
        one, other = balanced(images(1), words(3)), alone(images(1), words(3))
        assert one.proposals is not None
        assert other.proposals is not None
        assert not torch.allclose(one.proposals.classes, other.proposals.classes)


def test_half_precision_trains_and_stays_near() -> None:
    method, text = small().train(), words(3)
    labels = torch.randint(0, 3, (2, 64, 64), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        plain = method(images(2, 64, 64), text).proposals
    shown, classes = images(2, 64, 64), torch.arange(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = method(shown, text)
    forward = TrainingForward(shown, labels, classes, classes, output, 0.0)
    losses = EBSegObjective(EBSegLossConfig(points=32))(method, forward)
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters() if p.requires_grad)
    assert plain is not None
    assert output.proposals is not None
    assert output.proposals.masks.dtype == output.proposals.classes.dtype == torch.float32
    assert (output.proposals.classes - plain.classes).abs().max() < 0.2
