"""Random tensors that are the same in every run."""

import torch
from torch import Tensor


def randn(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in double precision, for values by hand and gradients by differences."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in single precision, as a network gives them."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
