"""CLIP's loss for regions, of which several may have the same name."""

import math

import pytest
import torch

from ahs_seg.methods.mask.scan.crop_clip import CropEncoder, RegionObjective, region_contrast
from ahs_seg.training.forward import can_recompute, set_checkpointing
from ahs_seg.training.memory import TensorBytes
from ahs_seg.types import IGNORE, TrainingForward
from tests.support.builders import random_backbone

UNIT = torch.eye(2)


def test_different_classes_give_the_loss_of_clip() -> None:
    scale = torch.tensor(2.0)
    found = region_contrast(UNIT, UNIT, torch.tensor([0, 1]), scale)
    assert math.isclose(found.item(), math.log(1 + math.exp(-2)), rel_tol=1e-6)


def test_all_pairs_of_a_class_are_right_answers() -> None:
    regions = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = region_contrast(regions, regions, torch.tensor([5, 5, 7]), torch.tensor(1.0))
    pair = math.log(2 * math.e + 1) - 1  # one of two right answers, the third pair has similarity 0
    alone = math.log(math.e + 2) - 1
    assert math.isclose(found.item(), (2 * pair + alone) / 3, rel_tol=1e-6)


@pytest.mark.parametrize("shown", [0, 1], ids=["no image shows a class", "one of two images does"])
def test_unlabelled_images_leave_no_trained_parameter_without_a_gradient(shown: int) -> None:
    method = CropEncoder(random_backbone(), shifts=(1,), ratio=0.5)
    labels = torch.full((2, 64, 64), IGNORE)
    labels[:shown, :32], labels[:shown, 32:] = 0, 1
    images, rows = torch.rand(2, 3, 64, 64), torch.arange(3)
    view = TrainingForward(images, labels, rows, rows, method(images, torch.randn(3, 1, 24)), 0.0)
    loss = RegionObjective(min_area=0.9)(method, view)["contrast"]
    loss.backward()
    gradients = {name: value.grad for name, value in method.named_parameters() if value.requires_grad}
    assert {name.split(".")[0] for name in gradients} == {"shifted", "scale"}
    assert all(gradient is not None for gradient in gradients.values())
    moved = [name for name, gradient in gradients.items() if gradient is not None and gradient.any()]
    assert (loss.item() > 0, len(moved)) == ((True, len(gradients)) if shown else (False, 0))
    assert loss.isfinite()


def test_names_are_compared_with_regions_and_regions_with_names() -> None:
    """Similarities 2 0 / 1 0: the two directions differ, so that each must be there."""
    regions, names = torch.tensor([[2.0, 0.0], [1.0, 0.0]]), torch.eye(2)
    found = region_contrast(regions, names, torch.tensor([0, 1]), torch.tensor(1.0))
    rows = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1))) / 2
    columns = (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    assert math.isclose(found.item(), (rows + columns) / 2, rel_tol=1e-6)


def contrast(method: CropEncoder, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The loss of two images with two classes, of a forward pass in this type."""
    draw = torch.Generator().manual_seed(0)
    images, text = torch.rand(2, 3, 64, 64, generator=draw), torch.randn(2, 1, 24, generator=draw)
    labels = torch.arange(64).div(32, rounding_mode="floor").expand(2, 64, 64)
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        output = method(images, text)
    torch.manual_seed(0)
    view = TrainingForward(images, labels, torch.arange(2), torch.arange(2), output, 0.0, compute_dtype=dtype)
    return RegionObjective(min_area=0.9)(method, view)["contrast"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_crops_are_encoded_in_the_type_of_the_forward_pass(dtype: torch.dtype) -> None:
    method, seen = CropEncoder(random_backbone(), shifts=(1,), ratio=0.5), list[torch.dtype]()
    layer = method.shifted.get_submodule("vision_model.encoder.layers.2.mlp.fc1")
    layer.register_forward_hook(lambda _module, _given, result: seen.append(result.dtype))
    loss = contrast(method, dtype)
    assert set(seen) == {dtype}
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, contrast(method), rtol=0.05, atol=0.0)


def test_crops_are_recomputed_without_a_change_of_gradients() -> None:
    method, found = CropEncoder(random_backbone(), shifts=(1,), ratio=0.5), []
    assert can_recompute(method)
    for enabled in (False, True):
        set_checkpointing(method, enabled=enabled)
        with TensorBytes() as counted:
            loss = contrast(method)
        held = counted.now
        method.zero_grad()
        loss.backward()
        found.append((held, [value.grad for value in method.shifted.parameters() if value.grad is not None]))
    (kept, plain), (fewer, recomputed) = found
    assert fewer < kept
    assert all(map(torch.equal, plain, recomputed))
