"""Sampling and augmentation of training images as pure functions of (seed, step): there is no state to save.

Resuming at step s is the same as starting at step s. The number of processes, micro-batches and workers does not
change the images of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ahs_seg.data.base import Sample, SegmentationDataset
from ahs_seg.data.shuffled_stream import ShuffledStream
from ahs_seg.errors import AhsSegError, SampleError
from ahs_seg.io.failures import failure_of
from ahs_seg.training.interrupt import ignore_interrupts
from ahs_seg.training.recipe import Recipe, TrainingSetupError
from ahs_seg.types import IGNORE

Augment = Callable[[Sample, np.random.Generator], Sample]

MAX_UNUSABLE: Final = 16
"""Images in a row that may be unusable before a training ends."""

_ORDER, _AUGMENT, _NAMES, _GLOBAL = range(4)  # independent streams of random numbers


def augment_generator(seed: int, position: int) -> np.random.Generator:
    """Random generator for augmenting the image at a position of the endless shuffled sequence of training images."""
    return np.random.default_rng([seed, _AUGMENT, position])


def names_generator(seed: int, step: int) -> np.random.Generator:
    """Random generator for choosing the classes of a step; the same in every process."""
    return np.random.default_rng([seed, _NAMES, step])


def global_seed(seed: int, step: int, rank: int) -> int:
    """Seed of the global generators (python, numpy, torch) of one process in one step."""
    return int(np.random.SeedSequence([seed, _GLOBAL, step, rank]).generate_state(1)[0])


class Pictures(NamedTuple):
    """Images and labels of one micro-batch of one process; `left_out` says which images were replaced by others."""

    images: UInt8[Tensor, "b 3 H W"]
    labels: Int64[Tensor, "b H W"]
    left_out: tuple[str, ...] = ()


class UnusableDataError(AhsSegError, ValueError):
    """So many training images in a row cannot be used that the dataset itself must be wrong."""


class StepDataset(Dataset[list[Pictures]]):
    """Dataset whose item s is the data of one process in step s: `accumulation` micro-batches of equal size.

    An image that cannot be used, for any reason, is replaced by the next one of the shuffled sequence that can; which
    one depends only on the files, as a resumed run needs it.
    """

    def __init__(
        self, dataset: SegmentationDataset, recipe: Recipe, augment: Augment | None, rank: int, processes: int
    ) -> None:
        self._dataset = dataset
        self._order = ShuffledStream(range(len(dataset)), (recipe.seed, _ORDER))
        self._recipe = recipe
        self._augment = augment
        self._share = recipe.share(processes)
        self._first = rank * self._share * recipe.accumulation

    def __getitem__(self, step: int) -> list[Pictures]:
        start = step * self._recipe.batch_size + self._first
        return [
            self._stack([self._usable(start + part * self._share + index) for index in range(self._share)])
            for part in range(self._recipe.accumulation)
        ]

    def _usable(self, position: int) -> tuple[Sample, tuple[str, ...]]:
        """The sample of a position or the first one after it that can be used, and why earlier ones cannot."""
        reasons: list[str] = []
        for item in range(position, position + MAX_UNUSABLE):
            index = self._order[item]
            try:
                return self._sample(index, position), tuple(reasons)
            except Exception as error:  # noqa: BLE001  # this image is left out, see `io.failures`
                reasons.append(str(failure_of(error, f"image {index}")))
        raise UnusableDataError(
            f"{MAX_UNUSABLE} training images in a row cannot be used. The first: {reasons[0].removesuffix('.')}. "
            "Mend or remove them."
        )

    def _sample(self, index: int, position: int) -> Sample:
        sample = self._dataset[index]
        if self._augment is not None:
            sample = self._augment(sample, augment_generator(self._recipe.seed, position))
        classes = len(self._dataset.vocabulary)
        low, high = int(sample.labels.min()), int(sample.labels.max())
        if low < IGNORE or high >= classes:
            raise SampleError(
                f"{sample.name}: label {high if high >= classes else low} is outside the list of {classes} classes; "
                f"allowed are 0 to {classes - 1}, and {IGNORE} for ignored pixels"
            )
        return sample

    def _stack(self, found: list[tuple[Sample, tuple[str, ...]]]) -> Pictures:
        samples = [sample for sample, _ in found]
        shapes = {sample.image.shape[:2]: sample.name for sample in samples}
        if len(shapes) > 1:
            sizes = ", ".join(f"{name} {width}x{height}" for (height, width), name in shapes.items())
            raise TrainingSetupError(
                f"images of one batch differ in size: {sizes}. Use an augmentation that crops to one size."
            )
        images = np.stack([sample.image for sample in samples]).transpose(0, 3, 1, 2)
        labels = np.stack([sample.labels for sample in samples]).astype(np.int64)
        left_out = tuple(reason for _, reasons in found for reason in reasons)
        return Pictures(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels), left_out)


class _Carried(Dataset[list[Pictures] | Exception]):
    """The items of a `StepDataset`, or their errors as values: a `DataLoader` puts a traceback into the message."""

    def __init__(self, steps: StepDataset) -> None:
        self._steps = steps

    def __getitem__(self, step: int) -> list[Pictures] | Exception:
        try:
            return self._steps[step]
        except Exception as error:  # noqa: BLE001  # raised again in the main process
            return error


def load_steps(steps: StepDataset, recipe: Recipe, start: int, *, pin: bool) -> Iterator[tuple[int, list[Pictures]]]:
    """Iterate over (step index, micro-batches) from step `start`, prefetched by `recipe.workers` processes."""
    order = range(start, recipe.steps)
    loader: DataLoader[list[Pictures] | Exception] = DataLoader(
        _Carried(steps),
        batch_size=None,
        sampler=order,
        num_workers=min(recipe.workers, len(order)),
        pin_memory=pin,
        worker_init_fn=ignore_interrupts,
        generator=torch.Generator(),  # a private generator, so that starting workers does not advance the global one
    )
    for step, parts in zip(order, loader, strict=True):
        if isinstance(parts, Exception):
            raise parts
        yield step, parts
