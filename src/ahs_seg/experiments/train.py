"""Training of a method config on a dataset; writes the model directory, its evaluation and a report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.checkpoints.model_dir import check_model_place
from ahs_seg.config import Config
from ahs_seg.data.augment import Augmentation
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.categories import categories_of
from ahs_seg.data.check import check_data
from ahs_seg.evaluation import EvaluationReport, evaluate
from ahs_seg.experiments.report.run import write_run_report
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.io.atomic import write_text
from ahs_seg.io.provenance import provenance
from ahs_seg.methods import CatSegConfig, Method, MethodConfig
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.class_pooling import mean_of_rows
from ahs_seg.output.familiarity import TrainingImages
from ahs_seg.segmenter import Segmenter
from ahs_seg.training.callbacks import TrainingCallback
from ahs_seg.training.launch import launch
from ahs_seg.training.loggers import check_loggers
from ahs_seg.training.loop import TrainResult, fit
from ahs_seg.training.recipe import Recipe
from ahs_seg.training.run import CONFIG, MODEL, check_trainable, claim, load_weights
from ahs_seg.vocabulary.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

REPORT = "evaluation.json"


class TrainingConfig(Config):
    """All settings that determine the result of a training run, except the data."""

    method: MethodConfig = CatSegConfig()
    augmentation: Augmentation = Augmentation()
    training: Recipe = Recipe()
    inference: InferenceConfig = InferenceConfig()

    @property
    def data_title(self) -> str | None:
        """Name of the training data; None: the dataset was passed as an object."""
        return None


@dataclass(frozen=True)
class ExperimentResult:
    """Result of a run: path of the model directory, training result, evaluation on validation data, and time.

    Of several processes only the first one has an evaluation.
    """

    model: Path
    training: TrainResult
    evaluation: EvaluationReport | None
    seconds: float


@dataclass(frozen=True)
class Validation:
    """Validation dataset and its name in reports."""

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
    callbacks: Sequence[TrainingCallback] = (),
) -> ExperimentResult:
    """Train the method of a config on a dataset; writes model, logs, checkpoints, evaluation and report.

    The objective is the method's own, with every loss of its parts. `validation` is evaluated every
    `recipe.evaluate_every` steps and at the end, with the settings `inference`; with `recipe.keep_best` the model is
    then the best checkpoint, otherwise the last step. `resume` continues an interrupted run in the same directory.
    `callbacks` are called after steps and validations and may end the run. Of several processes the first one alone
    makes the evaluation at the end and the report; in the others this returns once the model is written.

    Raises:
        CallbackError: a callback raised an exception; a checkpoint is written before.
        TypeError: `dataset` is not a dataset; it needs `vocabulary`, `__len__` and `__getitem__`.
        DataCheckError: nothing can be learned from the dataset, see `check_data`.
        ConfigError: the directory holds a run and `resume` is off, or the run there has other settings.
    """
    run = TrainingConfig(method=config, augmentation=augmentation, training=recipe, inference=inference)
    judged = None if validation is None else Validation(checked(validation), "validation")
    return train_on(
        run, checked(dataset), judged, Path(directory), resume=resume, progress=progress, callbacks=callbacks
    )


def checked(dataset: object) -> SegmentationDataset:
    """Return the dataset if it has the interface of `SegmentationDataset` and is not empty.

    Raises:
        TypeError: an attribute is missing or has the wrong type.
        ValueError: the dataset is empty.
    """
    if not isinstance(dataset, SegmentationDataset):
        raise TypeError(
            f"{type(dataset).__name__} is not a dataset; it needs `vocabulary` (a Vocabulary), `__len__`, and "
            "`__getitem__` that returns a Sample."
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
    callbacks: Sequence[TrainingCallback] = (),
) -> ExperimentResult:
    """Train as `train` does, with all settings in one config, which is saved as `config.yaml`.

    Raises:
        ConfigError: the directory holds a run and `resume` is off, or the run there has other settings.
        DataCheckError: nothing can be learned from the data; it is checked before anything is written.
        FolderInUseError: another run writes to the directory.
        OverwriteError: the place of the model is taken by something else.
        TextTooLongError, TrainingSetupError: as by `check_trainable`; nothing is written.
    """
    began = time.monotonic()
    check_loggers(run.training.logger)
    check_model_place(directory / MODEL)
    fabric = launch(run.training)
    _check(run, dataset, validation, warn=fabric.is_global_zero)
    run = run.replace(method=run.method.for_classes(len(dataset.vocabulary)))
    torch.manual_seed(run.training.seed)
    method = run.method.build()
    check_trainable(run.training, method, dataset, None if validation is None else validation.dataset)
    description = describe(run, dataset)
    with claim(directory, run, fabric, resume=resume):
        result = fit(
            run.training,
            method,
            dataset,
            directory,
            objective=objective(run, method, dataset.vocabulary),
            augment=run.augmentation.apply,
            evaluate=None if validation is None else _scorer(run, validation.dataset, description),
            settings={**run.model_dump(mode="json", exclude={"training"}), "inference": run.inference.identity},
            resume=resume,
            progress=progress,
            fabric=fabric,
            callbacks=callbacks,
        )
        if run.training.keep_best and result.best is not None:
            load_weights(method, result.best)
        if fabric.is_global_zero:
            write_text(directory / CONFIG, run.to_yaml())
            save_model(method, description, directory / MODEL)
        fabric.barrier()  # the last one: processes that wait for one another have a time limit, evaluations have none
        report = None
        if fabric.is_global_zero:
            report = _finish(run, method, description, validation, directory, progress=progress)
    return ExperimentResult(directory / MODEL, result, report, time.monotonic() - began)


def _check(run: TrainingConfig, dataset: SegmentationDataset, validation: Validation | None, *, warn: bool) -> None:
    """Warn of what the data cannot teach; drawn scenes label themselves."""
    if getattr(dataset, "image_kind", None) == "drawn scenes":
        return
    titles = (_title(run, dataset), "validation" if validation is None else validation.title)
    found = check_data(dataset, None if validation is None else validation.dataset, titles=titles)
    found.raise_errors()
    for finding in found.warnings:
        if warn:
            logger.warning("%s", finding)


def _finish(
    run: TrainingConfig,
    method: Method,
    description: ModelDescription,
    validation: Validation | None,
    directory: Path,
    *,
    progress: bool,
) -> EvaluationReport | None:
    """Write the evaluation of the model and the report of the run; called in one process only."""
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
    """Build the training objective of the run's method for the classes of a vocabulary."""
    table = run.training.prompts.table(vocabulary)

    def embed() -> Float[Tensor, "k d"]:
        rows = F.normalize(TextCache().encode(method.backbone, table).mean(1), dim=-1)
        owners = torch.tensor(table.row_class, device=rows.device)
        return mean_of_rows(rows, owners, len(vocabulary))

    labels = tuple(vocabulary.labels)
    classes = TrainingClasses(labels, categories_of(labels), embed)
    return run.method.objective(method, classes, ignore_as_negative=run.training.ignore_as_negative)


def describe(run: TrainingConfig, dataset: SegmentationDataset) -> ModelDescription:
    """Build the description that is saved in the model directory of a run on this dataset."""
    origin = TrainingImages(kind=getattr(dataset, "image_kind", None), data=_title(run, dataset))
    settings = ModelDescription(
        method=run.method, prompts=run.training.prompts, inference=run.inference, training=origin
    )
    return settings.trained_with(dataset.vocabulary)


def _title(run: TrainingConfig, dataset: SegmentationDataset) -> str:
    return run.data_title or str(getattr(dataset, "name", type(dataset).__name__))


def _evaluate(
    run: TrainingConfig,
    method: Method,
    dataset: SegmentationDataset,
    title: str,
    description: ModelDescription,
    *,
    progress: bool,
) -> EvaluationReport:
    """Evaluate the method on a dataset with the inference settings of the run."""
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
        report = _evaluate(run, method, dataset, "validation", description, progress=False)
        if lost := report.failures:
            logger.warning(
                "validation: %s of %s images could not be evaluated, the first: %s Scores of checkpoints that lack "
                "other images cannot be compared, though the best checkpoint is chosen by them.",
                *(len(lost), len(dataset), lost[0].problem),
            )
        return report.scores.summary()

    return score
