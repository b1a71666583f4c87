"""A whole experiment: method, data, recipe and protocol in one yaml file, run by one call."""

from __future__ import annotations

from pathlib import Path

from ahs_seg.data.config import DataConfig
from ahs_seg.experiments.train import ExperimentResult, TrainingConfig, Validation, train_on


class Experiment(TrainingConfig):
    """Everything that decides what a run gives; a run writes it beside its results as `config.yaml`.

    `validation` is evaluated during training (`training.evaluate_every`) and at the end.
    """

    data: DataConfig
    validation: DataConfig | None = None


def run_experiment(
    experiment: Experiment, directory: Path, *, resume: bool = False, progress: bool = True
) -> ExperimentResult:
    """Open the data of an experiment and train on it as `train` does.

    `directory` gets config, logs, checkpoints, `model/`, `evaluation.json`, and `report.html` with the losses and the
    statistics of the method's parts.

    Raises:
        FolderError: the data is not as it should be; before anything is trained.
        ConfigError: the directory holds a run and `resume` is off, or that run was another one.
    """
    dataset = experiment.data.open()
    validation = None
    if experiment.validation is not None:
        validation = Validation(experiment.validation.open(), experiment.validation.title)
    return train_on(experiment, dataset, validation, directory, resume=resume, progress=progress)
