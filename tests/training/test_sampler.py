from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ahs_seg.data.base import Sample
from ahs_seg.errors import SampleError
from ahs_seg.training.sampler import MAX_UNUSABLE, StepDataset, UnusableDataError, global_seed, load_steps
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
        assert all(map(torch.equal, mine[1][0][:2], other[1][0][:2]))


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


class Flaky(TinyDataset):
    """Images 1 and 4 cannot be read; image 4 in a way that nobody has thought of."""

    def __getitem__(self, index: int) -> Sample:
        if index == 1:
            raise SampleError("image one: damaged")
        if index == 4:
            raise RuntimeError("the decoder gave up")
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_used_is_replaced_and_named(workers: int) -> None:
    recipe = tiny_recipe(workers=workers)
    flaky = list(load_steps(StepDataset(Flaky(), recipe, flip, 0, 1), recipe, 0, pin=False))
    whole = steps_of(recipe)
    named = {reason for _, parts in flaky for part in parts for reason in part.left_out}
    assert named == {"image one: damaged", "image 4: RuntimeError: the decoder gave up"}
    for (_, mine), (_, theirs) in zip(flaky, whole, strict=True):
        same = [torch.equal(one, other) for one, other in zip(mine[0].images, theirs[0].images, strict=True)]
        assert same.count(False) == len(mine[0].left_out)
    again = list(load_steps(StepDataset(Flaky(), recipe, flip, 0, 1), recipe, 5, pin=False))
    assert all(map(torch.equal, images_of(flaky)[5:], images_of(again))), "to resume is still to start later"


@pytest.mark.parametrize("workers", [0, 1])
def test_data_that_cannot_be_used_at_all_ends_the_training(workers: int) -> None:
    class Gone(TinyDataset):
        def __getitem__(self, index: int) -> Sample:
            raise FileNotFoundError(2, "No such file or directory", f"{index}.png")

    recipe = tiny_recipe(workers=workers)
    message = rf"^{MAX_UNUSABLE} training images in a row cannot be used\. The first: image \d: \d\.png: No such file"
    with pytest.raises(UnusableDataError, match=message):
        list(load_steps(StepDataset(Gone(), recipe, flip, 0, 1), recipe, 0, pin=False))


def test_the_first_reason_is_a_sentence_of_its_own() -> None:
    class Torn(TinyDataset):
        def __getitem__(self, index: int) -> Sample:
            raise RuntimeError("torn")

    recipe = tiny_recipe()
    with pytest.raises(UnusableDataError, match=r"RuntimeError: torn\. Mend or remove them\.$"):
        list(load_steps(StepDataset(Torn(), recipe, flip, 0, 1), recipe, 0, pin=False))


def test_every_process_has_random_numbers_of_its_own_in_every_step() -> None:
    cases = [(seed, step, rank) for seed in range(2) for step in range(3) for rank in range(2)]
    seeds = [global_seed(*case) for case in cases]
    assert seeds == [global_seed(*case) for case in cases]
    assert len(set(seeds)) == len(cases)
    assert all(0 <= seed < 2**32 for seed in seeds)
