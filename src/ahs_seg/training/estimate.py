"""What a training run will need: memory, time of a step, the largest batch; from steps that change nothing."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from torch import nn

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.io.allocator import keeping_freed_memory
from ahs_seg.training.class_sampling import NameSource, names_of_step
from ahs_seg.training.forward import Objective, TrainingStep
from ahs_seg.training.launch import (
    create_fabric,
    own_products,
    own_randomness,
    own_threads,
    process_count,
    seed_generators,
)
from ahs_seg.training.recipe import Recipe
from ahs_seg.training.run import start_run
from ahs_seg.training.sampler import Augment, StepDataset
from ahs_seg.training.trial import TrainingEstimate, estimate_step


def estimate(
    recipe: Recipe,
    method: nn.Module,
    dataset: SegmentationDataset,
    *,
    objective: Objective,
    augment: Augment | None = None,
) -> TrainingEstimate:
    """Memory and time of the steps of a run with these settings, in one process on one device; nothing is written.

    The first two images of the run are used; an image of another size needs in proportion to its pixels. `batch` of the
    result is what one of the run's processes holds at once.

    Raises:
        ConfigError: the batch cannot be split among the processes and micro-batches of the recipe.
    """
    share = recipe.share(process_count(recipe))
    alone = recipe.replace(devices=1, num_nodes=1, strategy="auto")
    fabric = create_fabric(alone)
    step = TrainingStep(method, objective).train()
    with (
        tempfile.TemporaryDirectory() as nowhere,
        own_randomness(recipe, fabric.device),
        own_threads(alone, fabric),
        keeping_freed_memory(),
        own_products(recipe),
    ):
        run, _ = start_run(alone, step, dataset, Path(nowhere), settings={}, fabric=fabric, resume=False)
        seed_generators(recipe, 0, 0)
        (both,) = StepDataset(dataset, alone.replace(batch_size=2, accumulation=1), augment, 0, 1)[0]
        names = NameSource(dataset.vocabulary, recipe.prompts, step.backbone.tokenizer)
        found = estimate_step(run, names(names_of_step(run, 0, [both])), both)
    return replace(found, batch=share)
