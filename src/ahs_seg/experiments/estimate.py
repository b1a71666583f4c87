"""What an experiment will need in memory and time, before it is run."""

from __future__ import annotations

import torch

from ahs_seg.experiments.experiment import Experiment
from ahs_seg.experiments.train import checked, objective
from ahs_seg.training.estimate import estimate
from ahs_seg.training.trial import TrainingEstimate


def estimate_experiment(experiment: Experiment) -> TrainingEstimate:
    """Memory and time of the training steps of an experiment, from a few steps on its own data; writes nothing."""
    dataset = checked(experiment.data.open())
    config = experiment.method.for_classes(len(dataset.vocabulary))
    torch.manual_seed(experiment.training.seed)
    method = config.build()
    return estimate(
        experiment.training,
        method,
        dataset,
        objective=objective(experiment.replace(method=config), method, dataset.vocabulary),
        augment=experiment.augmentation.apply,
    )
