"""Swin as a pixel backbone."""

from pathlib import Path

import pytest
import torch

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.swin import SwinConfig

TINY = SwinConfig(source=None, dim=8, depths=(1, 1, 1, 1), heads=(1, 1, 2, 2), window=4, drop_path=0.0)


@pytest.mark.parametrize("size", [(64, 96), (32, 32)])
def test_maps_of_four_strides(size: tuple[int, int]) -> None:
    swin = TINY.build()
    maps = swin(torch.randn(2, 3, *size))
    height, width = size
    shapes = [(2, 8 * 2**index, height // 4 // 2**index, width // 4 // 2**index) for index in range(4)]
    assert [tuple(one.shape) for one in maps] == shapes
    assert swin.channels == tuple(shape[1] for shape in shapes)


def test_every_weight_takes_part() -> None:
    swin = TINY.build()
    for parameter in swin.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    sum(one.square().sum() for one in swin(torch.randn(1, 3, 64, 64))).backward()
    assert [name for name, value in swin.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_images_are_normalised_as_for_imagenet() -> None:
    grey = torch.full((1, 3, 1, 1), 0.5)
    expected = torch.tensor([(127.5 - 123.675) / 58.395, (127.5 - 116.28) / 57.12, (127.5 - 103.53) / 57.375])
    torch.testing.assert_close(TINY.build().normalise(grey).flatten(), expected)


def test_a_weight_that_the_file_lacks_is_named(tmp_path: Path) -> None:
    model = TINY.build_empty().model
    model.save_pretrained(tmp_path)
    loaded = TINY.replace(source=str(tmp_path)).build().model.state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in model.state_dict().items())
    state = {key: value for key, value in model.state_dict().items() if "blocks.0.layernorm_before.weight" not in key}
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(BackboneError, match=r"4 missing: swin\.encoder\.layers\.0\.blocks\.0\.layernorm_before"):
        TINY.replace(source=str(tmp_path)).build()
