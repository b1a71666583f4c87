"""Short types are widened and autocast is left; everything else stays."""

import pytest
import torch

from ahs_seg.modules.full_precision import autocast_dtype, full_precision, widened


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_types_become_float32(dtype: torch.dtype) -> None:
    assert widened(torch.ones(2, dtype=dtype)).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_longer_types_stay(dtype: torch.dtype) -> None:
    values = torch.ones(2, dtype=dtype)
    assert widened(values) is values


def test_products_are_exact_inside_of_autocast() -> None:
    values = torch.rand(4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert (values @ values).dtype == torch.bfloat16
        with full_precision(values.device):
            assert (values @ values).dtype == torch.float32


def test_a_device_without_autocast() -> None:
    values = torch.rand(2, 2, device="meta")
    with full_precision(values.device):
        assert (values @ values).shape == (2, 2)


def test_the_type_of_autocast_is_told_while_it_is_on() -> None:
    device = torch.device("cpu")
    assert autocast_dtype(device) == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert autocast_dtype(device) == torch.bfloat16
        with full_precision(device):
            assert autocast_dtype(device) == torch.float32
    assert autocast_dtype(torch.device("meta")) == torch.float32
