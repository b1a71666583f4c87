from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ahs_seg.data.base import Sample
from ahs_seg.training.sampler import StepDataset, load_steps
from tests.support.training import TinyDataset, flip, tiny_recipe


def steps_of(recipe, rank=0, processes=1, augment=flip, start=0):
    data = StepDataset(TinyDataset(), recipe, augment, rank, processes)
    return list(load_steps(data, recipe, start, pin=False))


def images_of(loaded) -> list[torch.Tensor]:
    return [torch.cat([part.images for part in parts]) for _, parts in loaded]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int) -> None:
    alone, helped = steps_of(tiny_recipe()), steps_of(tiny_recipe(workers=workers))
    assert [step for step, _ in helped] == list(range(8))
    for mine, other in zip(alone, helped, strict=True):
        assert all(map(torch.equal, mine[1][0], other[1][0]))


def test_to_resume_is_to_start_later() -> None:
    whole, rest = images_of(steps_of(tiny_recipe())), images_of(steps_of(tiny_recipe(), start=5))
    assert all(map(torch.equal, whole[5:], rest))


@pytest.mark.parametrize(("processes", "accumulation"), [(1, 4), (2, 1), (2, 2), (4, 1)])
def test_processes_and_parts_divide_the_same_batch(processes: int, accumulation: int) -> None:
    whole = images_of(steps_of(tiny_recipe()))
    recipe = tiny_recipe(accumulation=accumulation)
    shares = [steps_of(recipe, rank, processes) for rank in range(processes)]
    assert {len(parts) for share in shares for _, parts in share} == {accumulation}
    for index, batch in enumerate(whole):
        assert torch.equal(batch, torch.cat([images_of(share)[index] for share in shares]))


def test_the_same_image_is_augmented_differently_in_each_epoch() -> None:
    recipe = tiny_recipe(steps=5, batch_size=1)
    data = TinyDataset(length=1)
    steps = StepDataset(data, recipe, flip, 0, 1)
    seen = {steps[index][0].images.numpy().tobytes() for index in range(5)}
    assert len(seen) == 5


def test_wrong_samples_are_named() -> None:
    @dataclass
    class Odd(TinyDataset):
        label: int = 0

        def __getitem__(self, index: int) -> Sample:
            shape = (8 + index, 8)
            return Sample(np.zeros((*shape, 3), np.uint8), np.full(shape, self.label, np.int32), f"odd {index}")

    with pytest.raises(ValueError, match=r"differ in size: odd \d 8x\d+, .* crops to one size"):
        StepDataset(Odd(), tiny_recipe(), None, 0, 1)[0]
    for label in (6, -2):
        message = rf"odd \d: label {label} is outside the list of 6 classes; allowed are 0 to 5, and -1 for ignored"
        with pytest.raises(ValueError, match=message):
            StepDataset(Odd(label=label), tiny_recipe(), None, 0, 1)[0]
