"""Numbers and images on a device; that nothing waits for one is tried in `contract/test_pretended_device.py`."""

import pytest
import torch
from torch import Tensor

from ahs_seg.modules.constants import indices_on, made_on, uploaded


def test_numbers_are_those_that_a_copy_would_bring() -> None:
    values = (0.48145466, -1.0, 1 / 3)
    assert torch.equal(made_on(torch.device("cpu"), values), torch.tensor(values))


def test_indices_may_be_none_at_all() -> None:
    assert indices_on(torch.device("cpu"), (2, 0, 1)).tolist() == [2, 0, 1]
    empty = indices_on(torch.device("cpu"), ())
    assert empty.dtype == torch.long
    assert torch.arange(4.0)[empty].tolist() == []


@pytest.mark.parametrize(("kind", "pinned"), [("cuda", True), ("cpu", False), ("mps", False)])
def test_a_gpu_fetches_images_from_page_locked_memory(monkeypatch: pytest.MonkeyPatch, kind: str, pinned: bool) -> None:
    asked: list[object] = []

    def pin(images: Tensor) -> Tensor:
        asked.append("pinned")
        return images

    def move(images: Tensor, *where: object, **how: object) -> Tensor:
        asked.append((*where, how))
        return images

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(Tensor, "to", move)
    images = torch.rand(2, 3, 4, 5)
    device = torch.device(kind)
    assert uploaded(images, device) is images
    assert asked == ["pinned"] * pinned + [(device, {"non_blocking": True})]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_images_arrive_on_a_gpu() -> None:
    images = torch.rand(2, 3, 4, 5)
    assert torch.equal(uploaded(images, torch.device("cuda")).cpu(), images)
