"""Open-vocabulary semantic segmentation: name classes in plain words, get a label for every pixel.

Everything a user needs is an attribute of this package. A name is imported when it is first used, so that
`import ahs_seg` itself imports nothing.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ahs_seg.backbones.clip_config import ClipConfig
    from ahs_seg.batch import BatchConfig, BatchSummary, ModelSource, segment_files
    from ahs_seg.checkpoints import ModelDescription, load_model, read_description, save_model
    from ahs_seg.checkpoints.card import write_card
    from ahs_seg.checkpoints.hub import push_to_hub
    from ahs_seg.checkpoints.known import KNOWN_CHECKPOINTS
    from ahs_seg.data.annotations.config import CocoData, CvatData, LabelStudioData
    from ahs_seg.data.augment import Augmentation, Crop, Resize
    from ahs_seg.data.base import Sample, SegmentationDataset
    from ahs_seg.data.check import check_data
    from ahs_seg.data.color_jitter import ColourJitter
    from ahs_seg.data.coloured import ColouredData
    from ahs_seg.data.config import DatasetConfig
    from ahs_seg.data.folder import FolderDataset
    from ahs_seg.data.hub_dataset import HubData
    from ahs_seg.data.world.dataset import WorldDataset
    from ahs_seg.errors import AhsSegError
    from ahs_seg.evaluation import EvaluationReport, evaluate, merge_reports
    from ahs_seg.evaluation.model import EvaluationJob, evaluate_model
    from ahs_seg.evaluation.protocols import find_protocol, own_protocol
    from ahs_seg.experiments.ablation.run import AblationOptions, run_ablation
    from ahs_seg.experiments.experiment import Experiment, run_experiment
    from ahs_seg.experiments.train import ExperimentResult, train
    from ahs_seg.inference.predict import InferenceConfig
    from ahs_seg.inference.text_cache import TextCache
    from ahs_seg.inference.tiling import TileConfig
    from ahs_seg.inference.windows import ImageWindows, SlidingWindows, WholeImage
    from ahs_seg.methods import (
        AhsSegConfig,
        AhsSegLiteConfig,
        BaseMethodConfig,
        CatSegConfig,
        EBSegConfig,
        HClipConfig,
        HpsSegConfig,
        Method,
        ScanConfig,
        ZeroShotConfig,
    )
    from ahs_seg.output.calibration import IDENTITY_CALIBRATION
    from ahs_seg.output.formats import Exporter, ExportItem, open_format
    from ahs_seg.output.segmentation import Segmentation
    from ahs_seg.pipelines import AhsSegModel, AhsSegPipeline, AhsSegProcessor, register_pipeline
    from ahs_seg.segmenter import Segmenter
    from ahs_seg.training.callbacks import TrainingCallback, TrainingProgress
    from ahs_seg.training.recipe import OptimizerConfig, Recipe
    from ahs_seg.tuners import Attention, Frozen, Full, Orthogonal, Tuner, TunerConfig
    from ahs_seg.types import IGNORE, Output
    from ahs_seg.vocabulary.lint import diff_vocabularies, lint_vocabulary
    from ahs_seg.vocabulary.prompts import PromptConfig
    from ahs_seg.vocabulary.vocabulary import Vocabulary, known_vocabularies

    __version__: str

__all__ = [
    "IDENTITY_CALIBRATION",
    "IGNORE",
    "KNOWN_CHECKPOINTS",
    "AblationOptions",
    "AhsSegConfig",
    "AhsSegError",
    "AhsSegLiteConfig",
    "AhsSegModel",
    "AhsSegPipeline",
    "AhsSegProcessor",
    "Attention",
    "Augmentation",
    "BaseMethodConfig",
    "BatchConfig",
    "BatchSummary",
    "CatSegConfig",
    "ClipConfig",
    "CocoData",
    "ColourJitter",
    "ColouredData",
    "Crop",
    "CvatData",
    "DatasetConfig",
    "EBSegConfig",
    "EvaluationJob",
    "EvaluationReport",
    "Experiment",
    "ExperimentResult",
    "ExportItem",
    "Exporter",
    "FolderDataset",
    "Frozen",
    "Full",
    "HClipConfig",
    "HpsSegConfig",
    "HubData",
    "ImageWindows",
    "InferenceConfig",
    "LabelStudioData",
    "Method",
    "ModelDescription",
    "ModelSource",
    "OptimizerConfig",
    "Orthogonal",
    "Output",
    "PromptConfig",
    "Recipe",
    "Resize",
    "Sample",
    "ScanConfig",
    "Segmentation",
    "SegmentationDataset",
    "Segmenter",
    "SlidingWindows",
    "TextCache",
    "TileConfig",
    "TrainingCallback",
    "TrainingProgress",
    "Tuner",
    "TunerConfig",
    "Vocabulary",
    "WholeImage",
    "WorldDataset",
    "ZeroShotConfig",
    "__version__",
    "check_data",
    "diff_vocabularies",
    "evaluate",
    "evaluate_model",
    "find_protocol",
    "known_vocabularies",
    "lint_vocabulary",
    "load_model",
    "merge_reports",
    "open_format",
    "own_protocol",
    "push_to_hub",
    "read_description",
    "register_pipeline",
    "run_ablation",
    "run_experiment",
    "save_model",
    "segment_files",
    "train",
    "write_card",
]

_MODULES: Final = {
    "errors": "AhsSegError",
    "segmenter": "Segmenter",
    "output.segmentation": "Segmentation",
    "vocabulary.vocabulary": "Vocabulary known_vocabularies",
    "vocabulary.prompts": "PromptConfig",
    "vocabulary.lint": "lint_vocabulary diff_vocabularies",
    "inference.predict": "InferenceConfig",
    "inference.windows": "WholeImage SlidingWindows ImageWindows",
    "inference.tiling": "TileConfig",
    "inference.text_cache": "TextCache",
    "batch": "segment_files BatchConfig BatchSummary ModelSource",
    "output.formats": "ExportItem Exporter open_format",
    "output.calibration": "IDENTITY_CALIBRATION",
    "pipelines": "AhsSegModel AhsSegPipeline AhsSegProcessor register_pipeline",
    "experiments.train": "train ExperimentResult",
    "experiments.experiment": "Experiment run_experiment",
    "training.recipe": "Recipe OptimizerConfig",
    "training.callbacks": "TrainingCallback TrainingProgress",
    "data.augment": "Augmentation Resize Crop",
    "data.color_jitter": "ColourJitter",
    "data.check": "check_data",
    "data.base": "Sample SegmentationDataset",
    "data.annotations.config": "CocoData CvatData LabelStudioData",
    "data.coloured": "ColouredData",
    "data.hub_dataset": "HubData",
    "data.config": "DatasetConfig",
    "data.folder": "FolderDataset",
    "data.world.dataset": "WorldDataset",
    "types": "IGNORE Output",
    "evaluation": "evaluate EvaluationReport merge_reports",
    "experiments.ablation.run": "AblationOptions run_ablation",
    "evaluation.model": "EvaluationJob evaluate_model",
    "evaluation.protocols": "find_protocol own_protocol",
    "methods": "CatSegConfig HClipConfig AhsSegConfig AhsSegLiteConfig HpsSegConfig ScanConfig EBSegConfig "
    "ZeroShotConfig Method BaseMethodConfig",
    "backbones.clip_config": "ClipConfig",
    "tuners": "Orthogonal Attention Frozen Full Tuner TunerConfig",
    "checkpoints": "ModelDescription load_model read_description save_model",
    "checkpoints.card": "write_card",
    "checkpoints.hub": "push_to_hub",
    "checkpoints.known": "KNOWN_CHECKPOINTS",
}
"""The public names of each module."""

_HOME: Final = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """The public object of this name, imported now (PEP 562)."""
    if name == "__version__":
        value: object = importlib.import_module("importlib.metadata").version("ahs-seg")
    elif name in _HOME:
        value = getattr(importlib.import_module(f"ahs_seg.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"ahs_seg has no {name!r}; its public names are {', '.join(__all__)}.")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
