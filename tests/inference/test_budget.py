"""What is computed at a time, with the free memory of a device that is told."""

import torch

from ahs_seg.inference.budget import MERGING_SHARE, VIEW_BYTES, free_bytes, merging_bytes, views_at_once

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def test_the_cpu_does_as_configured() -> None:
    assert free_bytes(CPU) is None
    assert merging_bytes(1000, CPU) == 1000
    assert views_at_once(1, 5, CPU) == 1
    assert views_at_once(8, 5, CPU) == 8


def test_a_device_takes_what_is_free() -> None:
    assert merging_bytes(1000, GPU, lambda _: 5000 * MERGING_SHARE) == 5000
    assert merging_bytes(1000, GPU, lambda _: 10) == 1000
    assert views_at_once(1, 5, GPU, lambda _: 20 * VIEW_BYTES) == 5
    assert views_at_once(1, 5, GPU, lambda _: 3 * VIEW_BYTES) == 3
    assert views_at_once(2, 5, GPU, lambda _: 0) == 2
