"""Score maps and watchers for tests of inference."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Fixed:
    """Score maps that are simply there."""

    def __init__(self, maps: torch.Tensor) -> None:
        self.maps = maps
        self.row_bytes = maps[0].nbytes

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return self.maps[rows]


class LargestTensor(TorchDispatchMode):
    """Numbers in the largest tensor that any operation makes."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.untyped_storage().nbytes() // tensor.element_size())
        return result
