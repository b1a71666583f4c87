"""A whole experiment: method, data, recipe and protocol in one config, run by one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.config import Config
from ahs_seg.data.augment import Augmentation
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.categories import categories_of
from ahs_seg.data.config import DataConfig
from ahs_seg.evaluation import EvaluationReport, evaluate
from ahs_seg.experiments.report.run import write_run_report
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.io.atomic import write_text
from ahs_seg.io.provenance import provenance
from ahs_seg.methods import CatSegConfig, MethodConfig
from ahs_seg.methods.base import Method
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.class_pooling import mean_of_rows
from ahs_seg.segmenter import Segmenter
from ahs_seg.training.launch import launch
from ahs_seg.training.loop import TrainResult, train
from ahs_seg.training.recipe import Recipe
from ahs_seg.training.run import load_weights
from ahs_seg.vocabulary.seen_classes import Overlap, words_of
from ahs_seg.vocabulary.vocabulary import Vocabulary

CONFIG, MODEL, REPORT = "config.yaml", "model", "evaluation.json"


class Experiment(Config):
    """Everything that decides what a run gives; a run writes it beside its results as `config.yaml`.

    `validation` is evaluated during training (`training.evaluate_every`) and at the end.
    """

    method: MethodConfig = CatSegConfig()
    data: DataConfig
    validation: DataConfig | None = None
    augmentation: Augmentation = Augmentation()
    training: Recipe = Recipe()
    inference: InferenceConfig = InferenceConfig()


@dataclass(frozen=True)
class ExperimentResult:
    """What a run leaves behind: the model directory, its evaluation if there was validation data, and the times."""

    model: Path
    training: TrainResult
    evaluation: EvaluationReport | None
    seconds: float


def run_experiment(
    experiment: Experiment, directory: Path, *, resume: bool = False, progress: bool = True
) -> ExperimentResult:
    """Check the data, train, evaluate, and write `directory`: config, logs, checkpoints, `model/`, `evaluation.json`,
    and `report.html` with the losses and what the parts of the method did.

    With `training.keep_best` and validation data the model is the best checkpoint, otherwise the last step.

    Raises:
        FolderError: the data is not as it should be; before anything is trained.
        ConfigError: the directory holds a run and `resume` is off, or that run was another one.
    """
    began = time.monotonic()
    fabric = launch(experiment.training)
    dataset = experiment.data.open()
    validation = None if experiment.validation is None else experiment.validation.open()
    sized = experiment.method.for_classes(len(dataset.vocabulary))
    experiment = experiment.replace(method=sized)
    torch.manual_seed(experiment.training.seed)
    method = experiment.method.build()
    directory.mkdir(parents=True, exist_ok=True)
    scorer = None if validation is None else _scorer(experiment, validation, describe(experiment, dataset))
    result = train(
        experiment.training,
        method,
        dataset,
        directory,
        augment=experiment.augmentation.apply,
        objective=objective(experiment, method, dataset.vocabulary),
        evaluate=scorer,
        resume=resume,
        progress=progress,
        fabric=fabric,
    )
    if result.best is not None:
        load_weights(method, result.best)
    report = None
    if fabric.is_global_zero:
        report = _finish(experiment, method, dataset, validation, directory, progress=progress)
    fabric.barrier()
    return ExperimentResult(directory / MODEL, result, report, time.monotonic() - began)


def _finish(
    experiment: Experiment,
    method: Method,
    dataset: SegmentationDataset,
    validation: SegmentationDataset | None,
    directory: Path,
    *,
    progress: bool,
) -> EvaluationReport | None:
    """Write the model, its config, its evaluation and the page of the run; in one process."""
    write_text(directory / CONFIG, experiment.to_yaml())
    description = describe(experiment, dataset)
    save_model(method.to("cpu"), description, directory / MODEL)
    report = None
    if validation is not None and experiment.validation is not None:
        report = evaluate_method(
            experiment, method, validation, experiment.validation.title, description, progress=progress
        )
        report.save(directory / REPORT)
    write_run_report(
        directory,
        title=f"Training of {experiment.method.name}",
        config=experiment.to_yaml(),
        provenance=provenance(),
        evaluations=[] if report is None else [report],
    )
    return report


def objective(experiment: Experiment, method: Method, vocabulary: Vocabulary) -> nn.Module:
    """What training minimises for the experiment's method on classes of a vocabulary."""
    table = experiment.training.prompts.table(vocabulary)

    def embed() -> Float[Tensor, "k d"]:
        rows = F.normalize(TextCache().encode(method.backbone, table).mean(1), dim=-1)
        owners = torch.tensor(table.row_class, device=rows.device)
        return mean_of_rows(rows, owners, len(vocabulary))

    labels = tuple(vocabulary.labels)
    classes = TrainingClasses(labels, categories_of(labels), embed)
    return experiment.method.objective(method, classes, ignore_as_negative=experiment.training.ignore_as_negative)


def describe(experiment: Experiment, dataset: SegmentationDataset) -> ModelDescription:
    """What the model directory of an experiment says about it."""
    return ModelDescription(
        method=experiment.method,
        prompts=experiment.training.prompts,
        inference=experiment.inference,
        trained_on=tuple(dataset.vocabulary.labels),
        overlap=Overlap(words=words_of(dataset.vocabulary)),
    )


def evaluate_method(
    experiment: Experiment,
    method: Method,
    dataset: SegmentationDataset,
    title: str,
    description: ModelDescription,
    *,
    progress: bool = True,
) -> EvaluationReport:
    """The report of a method with this description on a dataset, under the protocol of the experiment."""
    segmenter = Segmenter(
        method, prompts=experiment.training.prompts, inference=experiment.inference, description=description
    )
    return evaluate(
        segmenter.predictor(dataset.vocabulary),
        dataset,
        method=experiment.method.name,
        name=title,
        protocol=experiment.inference.title,
        seen=description.trained_on,
        progress=progress,
    )


def _scorer(
    experiment: Experiment, dataset: SegmentationDataset, description: ModelDescription
) -> Callable[[nn.Module], Mapping[str, float]]:
    def score(method: nn.Module) -> Mapping[str, float]:
        assert isinstance(method, Method)
        report = evaluate_method(experiment, method, dataset, "validation", description, progress=False)
        return report.scores.summary()

    return score
