"""Second training stage of SCAN: fine-tune CLIP to classify masked image crops, taken from labelled images."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from jaxtyping import Float, Int64
from lightning_fabric import Fabric
from pydantic import Field, PositiveInt
from torch import Tensor

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig, check_clip_place, save_clip
from ahs_seg.backbones.image_tower import ImageTower
from ahs_seg.checkpoints import CheckpointError, load_model, save_model
from ahs_seg.checkpoints.model_dir import check_model_place
from ahs_seg.config import Config, ConfigError
from ahs_seg.data.augment import Augmentation
from ahs_seg.data.base import Sample, SegmentationDataset
from ahs_seg.data.check import check_files
from ahs_seg.data.config import DataConfig
from ahs_seg.inference.predict import to_tensor
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.io.atomic import write_text
from ahs_seg.io.failures import failure_of
from ahs_seg.methods import ScanSegmenter
from ahs_seg.methods.mask.scan.context_shift import spread_evenly
from ahs_seg.methods.mask.scan.crop_clip import ContextFeatures, CropEncoder, RegionObjective, classes_of
from ahs_seg.methods.objective import SumObjective
from ahs_seg.modules.class_pooling import class_embeddings
from ahs_seg.training.launch import launch
from ahs_seg.training.loggers import check_loggers
from ahs_seg.training.loop import TrainResult, fit
from ahs_seg.training.recipe import OptimizerConfig, Recipe
from ahs_seg.training.run import CONFIG, MODEL, check_trainable, claim
from ahs_seg.training.sampler import UnusableDataError

logger = logging.getLogger(__name__)

CLIP = "clip"
Share = Annotated[float, Field(ge=0, le=1)]


class CropClipExperiment(Config):
    """Config for fine-tuning CLIP on masked image crops; defaults are SCAN's, with labels in place of its captions.

    `shifts` are the transformer blocks (from 1) after which a share `ratio` of the background patches is replaced by
    the class token of the image. A crop covers a random part of the mask's bounding box, with at least the share
    `least` of its area. `validation` is evaluated before and after training.
    """

    clip: ClipConfig = ClipConfig(source="laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", resolution=224)
    shifts: tuple[PositiveInt, ...] = (1, 3, 5, 7, 9)
    ratio: Share = 0.15
    least: Share = 0.9
    data: DataConfig
    validation: DataConfig | None = None
    augmentation: Augmentation = Augmentation(resize=None, crop=None, colour=None)
    training: Recipe = Recipe(
        optimizer=OptimizerConfig(
            lr=5e-6, weight_decay=0.2, betas=(0.9, 0.98), eps=1e-6, clip_norm=None, warmup_steps=100
        ),
        evaluate_every=0,
    )


@dataclass(frozen=True)
class CropClipResult:
    """Paths of the fine-tuned CLIP and of the SCAN model that uses it; mask accuracy before and after, in [0, 1]."""

    clip: Path
    model: Path | None
    training: TrainResult
    before: float | None
    after: float | None


def finetune_crop_clip(
    experiment: CropClipExperiment,
    directory: Path,
    *,
    into: Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> CropClipResult:
    """Fine-tune CLIP on masked crops; writes config, checkpoints, logs, `clip/` and, with `into`, `model/`.

    `into` is the model directory of a SCAN; `model/` is a copy with the fine-tuned image tower in its second stage.

    Raises:
        CheckpointError: `into` is not a SCAN model with this CLIP; checked before training.
        FolderError: files of a folder of labelled images cannot be used.
        ConfigError: the directory holds a run and `resume` is off, the run there has another recipe, or the CLIP lacks
            one of the blocks in `shifts`.
        MissingPackageError: the package of a logger is not installed.
        OverwriteError: the model or CLIP to write would replace the one that is read.
        FolderInUseError: another run writes to the directory.
        TextTooLongError, TrainingSetupError: as by `check_trainable`; nothing is written.
    """
    check_loggers(experiment.training.logger)
    check_outputs(experiment, directory, into)
    fabric = launch(experiment.training)
    torch.manual_seed(experiment.training.seed)
    backbone = _clip(experiment)
    if into is not None:
        _scan_on(into, backbone)
    dataset = experiment.data.open()
    validation = None if experiment.validation is None else experiment.validation.open()
    check_files(dataset, validation)
    method = CropEncoder(backbone, shifts=experiment.shifts, ratio=experiment.ratio)
    check_trainable(experiment.training, method, dataset, validation)
    method.to(fabric.device)
    with claim(directory, experiment, fabric, resume=resume):
        before = None if validation is None else region_accuracy(method, validation, experiment.training, fabric)
        result = fit(
            experiment.training,
            method,
            dataset,
            directory,
            augment=experiment.augmentation.apply,
            objective=SumObjective([RegionObjective(min_area=experiment.least)]),
            settings=experiment.model_dump(mode="json", exclude={"training"}),
            resume=resume,
            progress=progress,
            fabric=fabric,
        )
        method.eval()
        after = None if validation is None else region_accuracy(method, validation, experiment.training, fabric)
        model = None
        if fabric.is_global_zero:
            write_text(directory / CONFIG, experiment.to_yaml())
            save_clip(_tuned_state(method), method.backbone, directory / CLIP)
            model = None if into is None else put_into(method.shifted, into, directory / MODEL)
    fabric.barrier()
    return CropClipResult(directory / CLIP, model, result, before, after)


def check_outputs(experiment: CropClipExperiment, directory: Path, into: Path | None) -> None:
    """Check that the CLIP and the model that a fine-tuning writes to `directory` do not replace those that it reads.

    Raises:
        OverwriteError: one of them would.
    """
    check_clip_place(directory / CLIP, [Path(experiment.clip.source)])
    if into is not None:
        check_model_place(directory / MODEL, [into])


@torch.no_grad()
def region_accuracy(method: CropEncoder, dataset: SegmentationDataset, recipe: Recipe, fabric: Fabric) -> float:
    """Accuracy of classifying each ground-truth class mask of a dataset by its masked crop, in [0, 1].

    Images that fail are left out with a warning. The processes share the images, and all get the same accuracy; must be
    called in every process, with the method on the device of its process.

    Raises:
        UnusableDataError: all images fail.
    """
    table = recipe.prompts.table(dataset.vocabulary)
    text = TextCache().encode(method.backbone, table)
    owner, right, count, reasons = torch.tensor(table.row_class), 0, 0, list[str]()
    for index in range(fabric.global_rank, len(dataset), fabric.world_size):
        try:
            found, present = _regions(method, dataset[index], text)
        except Exception as error:  # noqa: BLE001  # this image fails, see `io.failures`
            reasons.append(str(failure_of(error, f"image {index}")))
            logger.warning("left out: %s", reasons[-1])
            continue
        right += int((owner[found] == present).sum())
        count += len(present)
    counts = torch.tensor([right, count, len(reasons)], device=fabric.device)
    right, count, lost = fabric.all_reduce(counts, reduce_op="sum").tolist()
    if lost and lost == len(dataset):
        first = reasons[0] if reasons else "see the other processes."
        raise UnusableDataError(
            f"none of {lost} validation images can be used. The first: {first} Mend or remove them."
        )
    return right / max(1, count)


def _regions(
    method: CropEncoder, sample: Sample, text: Float[Tensor, "r p d"]
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"]]:
    """The row of the best text for each class mask of a sample, and the class of each mask."""
    labels = torch.from_numpy(sample.labels).long()
    present = classes_of(labels)
    output = method(to_tensor(sample.image)[None].to(text.device), text)
    assert isinstance(output.features, ContextFeatures)
    if not len(present):
        return present, present
    masks = (labels == present[:, None, None]).to(text.device)
    scores = method.read(output.features, 0, masks, choose=spread_evenly) @ class_embeddings(output.text).T
    return scores.argmax(1).cpu(), present


def _tuned_state(method: CropEncoder) -> dict[str, Tensor]:
    """State dict of the whole CLIP, with the fine-tuned image tower."""
    tuned = method.shifted.state_dict()
    return {key: tuned.get(key, value) for key, value in method.backbone.network_state().items()}


def put_into(tower: ImageTower, source: Path, directory: Path) -> Path:
    """Save a copy of the SCAN model in `source` whose second stage uses `tower`; returns the path of the copy."""
    description, method = load_model(source)
    assert isinstance(method, ScanSegmenter)
    method.shifted.load_state_dict(tower.state_dict())
    return save_model(method, description, directory)


def _clip(experiment: CropClipExperiment) -> ClipBackbone:
    backbone = experiment.clip.build()
    if not isinstance(backbone, ClipBackbone):
        raise ConfigError(
            f"clip.source is of the kind {backbone.kind}, which has not the image tower of a CLIP; give a CLIP there"
        )
    if wrong := [block for block in experiment.shifts if block > backbone.depth]:
        raise ConfigError(f"shifts: block {wrong[0]} does not exist; this CLIP has 1 to {backbone.depth}")
    return backbone


def _scan_on(source: Path, clip: Backbone) -> None:
    _, method = load_model(source)
    if not isinstance(method, ScanSegmenter):
        raise CheckpointError(f"{source} holds a {type(method).__name__}; only SCAN has a second stage.")
    own, other = method.backbone.network_state(), clip.network_state()
    if own.keys() != other.keys() or any(not torch.equal(own[key], other[key]) for key in own):
        raise CheckpointError(
            f"{source} was built on another CLIP than `clip` of the config. Give the CLIP it was built on."
        )
