"""Experiments: method, data, training recipe and inference settings in one yaml file, and running them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ahs_seg.data.check import check_files
from ahs_seg.data.config import DataConfig
from ahs_seg.experiments.train import ExperimentResult, TrainingConfig, Validation, train_on
from ahs_seg.training.callbacks import TrainingCallback


class Experiment(TrainingConfig):
    """All settings that determine the result of a run; saved with the results as `config.yaml`.

    `validation` is evaluated during training (`training.evaluate_every`) and at the end.
    """

    data: DataConfig
    validation: DataConfig | None = None

    @property
    def data_title(self) -> str | None:
        """Name of the training data."""
        return self.data.title


def run_experiment(
    experiment: Experiment,
    directory: Path,
    *,
    resume: bool = False,
    progress: bool = True,
    callbacks: Sequence[TrainingCallback] = (),
) -> ExperimentResult:
    """Open the datasets of an experiment and train and evaluate its method, as `train` does.

    `directory` gets config, logs, checkpoints, `model/`, `evaluation.json`, and `report.html` with the losses and the
    statistics of the method's modules.

    Raises:
        FolderError: the data is invalid; every file of a folder is read before training.
        ConfigError: the directory holds a run and `resume` is off, or the run there has other settings.
    """
    dataset = experiment.data.open()
    validation = None
    if experiment.validation is not None:
        validation = Validation(experiment.validation.open(), experiment.validation.title)
    check_files(dataset, None if validation is None else validation.dataset)
    return train_on(experiment, dataset, validation, directory, resume=resume, progress=progress, callbacks=callbacks)
