"""Train a method on a dataset: from a method config to a model directory, its evaluation and the report of the run."""

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
from ahs_seg.evaluation import EvaluationReport, evaluate
from ahs_seg.experiments.report.run import write_run_report
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.io.atomic import write_text
from ahs_seg.io.provenance import provenance
from ahs_seg.methods import CatSegConfig, Method, MethodConfig
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.class_pooling import mean_of_rows
from ahs_seg.segmenter import Segmenter
from ahs_seg.training.launch import launch
from ahs_seg.training.loop import TrainResult, fit
from ahs_seg.training.recipe import Recipe
from ahs_seg.training.run import load_weights
from ahs_seg.vocabulary.seen_classes import Overlap, class_synonyms
from ahs_seg.vocabulary.vocabulary import Vocabulary

CONFIG, MODEL, REPORT = "config.yaml", "model", "evaluation.json"


class TrainingConfig(Config):
    """Everything that decides what a training gives, except the data."""

    method: MethodConfig = CatSegConfig()
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


@dataclass(frozen=True)
class Validation:
    """The data that a training is evaluated on, and what reports call it."""

    dataset: SegmentationDataset
    title: str


def train(
    config: MethodConfig,
    dataset: SegmentationDataset,
    directory: Path | str,
    *,
    validation: SegmentationDataset | None = None,
    recipe: Recipe = Recipe(),
    augmentation: Augmentation = Augmentation(),
    inference: InferenceConfig = InferenceConfig(),
    resume: bool = False,
    progress: bool = True,
) -> ExperimentResult:
    """Train the method of a config on a dataset; writes model, logs, checkpoints, evaluation and report.

    The objective is the method's own, with every loss of its parts. `validation` is evaluated every
    `recipe.evaluate_every` steps and at the end, with the protocol `inference`; with `recipe.keep_best` the model is
    then the best checkpoint, otherwise the last step. `resume` continues an interrupted run in the same directory.

    Raises:
        TypeError: not a dataset; it needs `vocabulary`, `__len__` and `__getitem__`.
        ConfigError: the directory holds a run and `resume` is off, or that run was another one.
    """
    run = TrainingConfig(method=config, augmentation=augmentation, training=recipe, inference=inference)
    judged = None if validation is None else Validation(checked(validation), "validation")
    return train_on(run, checked(dataset), judged, Path(directory), resume=resume, progress=progress)


def checked(dataset: object) -> SegmentationDataset:
    """The dataset, if it can be trained on and evaluated.

    Raises:
        TypeError: naming what is missing.
        ValueError: it is empty.
    """
    if not isinstance(dataset, SegmentationDataset):
        raise TypeError(
            f"{type(dataset).__name__} is not a dataset; it needs `vocabulary` (a Vocabulary), `__len__`, and "
            "`__getitem__` that gives a Sample."
        )
    vocabulary: object = dataset.vocabulary
    if not isinstance(vocabulary, Vocabulary):
        raise TypeError(
            f"{type(dataset).__name__}.vocabulary is a {type(vocabulary).__name__}, not a Vocabulary; make one of the "
            'class names with Vocabulary.parse(["road", "tree"]).'
        )
    if len(dataset) == 0:
        raise ValueError(f"{type(dataset).__name__} is empty; give a dataset of at least one sample.")
    return dataset


def train_on(
    run: TrainingConfig,
    dataset: SegmentationDataset,
    validation: Validation | None,
    directory: Path,
    *,
    resume: bool = False,
    progress: bool = True,
) -> ExperimentResult:
    """What `train` does, for a config as a whole; `config.yaml` of the directory will hold it."""
    began = time.monotonic()
    fabric = launch(run.training)
    run = run.replace(method=run.method.for_classes(len(dataset.vocabulary)))
    torch.manual_seed(run.training.seed)
    method = run.method.build()
    directory.mkdir(parents=True, exist_ok=True)
    description = describe(run, dataset.vocabulary)
    result = fit(
        run.training,
        method,
        dataset,
        directory,
        objective=objective(run, method, dataset.vocabulary),
        augment=run.augmentation.apply,
        evaluate=None if validation is None else _scorer(run, validation.dataset, description),
        resume=resume,
        progress=progress,
        fabric=fabric,
    )
    if result.best is not None:
        load_weights(method, result.best)
    report = None
    if fabric.is_global_zero:
        report = _finish(run, method, description, validation, directory, progress=progress)
    fabric.barrier()
    return ExperimentResult(directory / MODEL, result, report, time.monotonic() - began)


def _finish(
    run: TrainingConfig,
    method: Method,
    description: ModelDescription,
    validation: Validation | None,
    directory: Path,
    *,
    progress: bool,
) -> EvaluationReport | None:
    """Write the model, its config, its evaluation and the page of the run; in one process."""
    write_text(directory / CONFIG, run.to_yaml())
    save_model(method.to("cpu"), description, directory / MODEL)
    report = None
    if validation is not None:
        report = _evaluate(run, method, validation.dataset, validation.title, description, progress=progress)
        report.save(directory / REPORT)
    write_run_report(
        directory,
        title=f"Training of {run.method.name}",
        config=run.to_yaml(),
        provenance=provenance(),
        evaluations=[] if report is None else [report],
    )
    return report


def objective(run: TrainingConfig, method: Method, vocabulary: Vocabulary) -> nn.Module:
    """What training minimises: the objective of the run's method for the classes of a vocabulary."""
    table = run.training.prompts.table(vocabulary)

    def embed() -> Float[Tensor, "k d"]:
        rows = F.normalize(TextCache().encode(method.backbone, table).mean(1), dim=-1)
        owners = torch.tensor(table.row_class, device=rows.device)
        return mean_of_rows(rows, owners, len(vocabulary))

    labels = tuple(vocabulary.labels)
    classes = TrainingClasses(labels, categories_of(labels), embed)
    return run.method.objective(method, classes, ignore_as_negative=run.training.ignore_as_negative)


def describe(run: TrainingConfig, vocabulary: Vocabulary) -> ModelDescription:
    """What the model directory of a run on this vocabulary says about it."""
    return ModelDescription(
        method=run.method,
        prompts=run.training.prompts,
        inference=run.inference,
        trained_on=tuple(vocabulary.labels),
        overlap=Overlap(words=class_synonyms(vocabulary)),
    )


def _evaluate(
    run: TrainingConfig,
    method: Method,
    dataset: SegmentationDataset,
    title: str,
    description: ModelDescription,
    *,
    progress: bool,
) -> EvaluationReport:
    """The report of the method on a dataset, under the protocol of the run."""
    segmenter = Segmenter(method, prompts=run.training.prompts, inference=run.inference, description=description)
    return evaluate(
        segmenter.predictor(dataset.vocabulary),
        dataset,
        method=run.method.name,
        name=title,
        protocol=run.inference.title,
        seen=description.trained_on,
        progress=progress,
    )


def _scorer(
    run: TrainingConfig, dataset: SegmentationDataset, description: ModelDescription
) -> Callable[[nn.Module], Mapping[str, float]]:
    def score(method: nn.Module) -> Mapping[str, float]:
        assert isinstance(method, Method)
        return _evaluate(run, method, dataset, "validation", description, progress=False).scores.summary()

    return score
