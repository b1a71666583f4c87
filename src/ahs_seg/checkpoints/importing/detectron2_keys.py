"""Translation of each config key of CAT-Seg and H-CLIP: a new key, a single allowed value, a function, or dropped."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from ahs_seg.checkpoints.importing.detectron2_yaml import Tagged, Value
from ahs_seg.errors import AhsSegError

Ours = dict[str, Value]
"""Dotted config keys of this package and their values."""

_HEAD: Final = "MODEL.SEM_SEG_HEAD."
_PADDING: Final = "MODEL.MASK_FORMER.SIZE_DIVISIBILITY"
_CLIPS: Final = {
    "ViT-B/16": ("openai/clip-vit-base-patch16", 16),
    "ViT-L/14@336px": ("openai/clip-vit-large-patch14-336", 14),
    "ViT-L/14": ("openai/clip-vit-large-patch14", 14),
}
_TUNERS: Final = {
    "attention": ("cat_seg", "attention"),
    "full": ("cat_seg", "full"),
    "oft_both": ("h_clip", "orthogonal"),
}
_RENAMED: Final = {
    _HEAD + "TEXT_GUIDANCE_PROJ_DIM": "method.cost.text_guidance_dim",
    _HEAD + "APPEARANCE_GUIDANCE_PROJ_DIM": "method.cost.appearance_dim",
    _HEAD + "DECODER_DIMS": "method.cost.decoder_dims",
    _HEAD + "DECODER_GUIDANCE_DIMS": "method.cost.upsampled_dims",
    _HEAD + "DECODER_GUIDANCE_PROJ_DIMS": "method.cost.decoder_guidance_dims",
    _HEAD + "NUM_LAYERS": "method.cost.layers",
    _HEAD + "NUM_HEADS": "method.cost.heads",
    _HEAD + "HIDDEN_DIMS": "method.cost.dim",
    _HEAD + "WINDOW_SIZES": "method.cost.window",
    _HEAD + "ATTENTION_TYPE": "method.cost.attention",
    "SOLVER.IMS_PER_BATCH": "training.batch_size",
    "SOLVER.MAX_ITER": "training.steps",
    "SOLVER.CHECKPOINT_PERIOD": "training.checkpoint_every",
    "SOLVER.BASE_LR": "training.optimizer.lr",
    "SOLVER.CLIP_MULTIPLIER": "training.optimizer.clip_multiplier",
    "SOLVER.WEIGHT_DECAY": "training.optimizer.weight_decay",
    "SOLVER.WEIGHT_DECAY_NORM": "training.optimizer.norm_weight_decay",
    "SOLVER.WARMUP_ITERS": "training.optimizer.warmup_steps",
    "SOLVER.WARMUP_FACTOR": "training.optimizer.warmup_factor",
    "TEST.EVAL_PERIOD": "training.evaluate_every",
    "DATALOADER.NUM_WORKERS": "training.workers",
    "INPUT.MAX_SIZE_TRAIN": "augmentation.resize.longest",
    "INPUT.MIN_SIZE_TEST": "inference.shortest_edge",
    "INPUT.MAX_SIZE_TEST": "inference.longest_edge",
    "INPUT.CROP.SINGLE_CATEGORY_MAX_AREA": "augmentation.crop.largest_share",
}

DEFAULTS: Final[Ours] = {
    _HEAD + "CLIP_PRETRAINED": "ViT-B/16",
    _HEAD + "CLIP_FINETUNE": "attention",
    _HEAD + "NUM_LAYERS": 4,
    _HEAD + "POOLING_SIZES": [6, 6],
    "SOLVER.IMS_PER_BATCH": 16,
    "SOLVER.MAX_ITER": 40_000,
    "SOLVER.BASE_LR": 0.001,
    "SOLVER.WARMUP_ITERS": 1000,
    "SOLVER.WARMUP_FACTOR": 0.001,
    "SOLVER.CLIP_GRADIENTS.ENABLED": False,
    "INPUT.MIN_SIZE_TRAIN": [800],
    "INPUT.MIN_SIZE_TEST": 800,
    "INPUT.MAX_SIZE_TEST": 1333,
    "INPUT.CROP.ENABLED": False,
    "INPUT.COLOR_AUG_SSD": False,
    "TEST.EVAL_PERIOD": 0,
    "TEST.SLIDING_WINDOW": False,
}
"""Defaults of the original code and of detectron2 that differ from ours; used for keys that a config does not set."""

UNSUPPORTED_DEFAULTS: Final[Ours] = {
    "SOLVER.LR_SCHEDULER_NAME": "WarmupMultiStepLR",
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": "value",
    "INPUT.FORMAT": "BGR",
    "INPUT.CROP.TYPE": "relative_range",
}
"""Defaults of detectron2 that are not supported here: a config that does not set these keys is refused, as with them.

The published configs set all of them.
"""

_ONLY: Final[dict[str, tuple[Value, ...]]] = {
    "MODEL.META_ARCHITECTURE": ("CATSeg", "CATSegDemo"),
    "MODEL.PROMPT_ENSEMBLE": (False,),
    _HEAD + "PROMPT_DEPTH": (0,),
    _HEAD + "PROMPT_LENGTH": (0,),
    _HEAD + "IGNORE_VALUE": (255,),
    "SOLVER.OPTIMIZER": ("ADAMW",),
    "SOLVER.LR_SCHEDULER_NAME": ("WarmupCosineLR",),
    "SOLVER.BASE_LR_END": (0,),
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": ("full_model",),
    "SOLVER.CLIP_GRADIENTS.NORM_TYPE": (2,),
    "INPUT.FORMAT": ("RGB",),
    "INPUT.CROP.TYPE": ("absolute",),
    "INPUT.MIN_SIZE_TRAIN_SAMPLING": ("choice",),
}
"""Keys for which only the listed values are supported here."""

_SWITCHES: Final = {
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": "SOLVER.CLIP_GRADIENTS.ENABLED",
    "INPUT.CROP.TYPE": "INPUT.CROP.ENABLED",
}
"""Keys that have an effect only if another key is on."""

_MEANINGLESS: Final = {
    r"MODEL\.SEM_SEG_HEAD\.(NAME|IN_FEATURES|CONVS_DIM|COMMON_STRIDE|NORM|LOSS_WEIGHT)": "names parts of detectron2",
    r"MODEL\.SEM_SEG_HEAD\.(TEXT|APPEARANCE)_GUIDANCE_DIM": "the size is that of the CLIP",
    r"MODEL\.SEM_SEG_HEAD\.(NUM_CLASSES|(TRAIN|TEST)_CLASS_(JSON|INDEXES))": "class names are given by the data",
    r"MODEL\.(CLIP_)?PIXEL_(MEAN|STD)": "mean and standard deviation are those of the CLIP",
    r"MODEL\.(BACKBONE|SWIN|RESNETS|FPN)\..*": "there is no backbone besides the CLIP",
    r"MODEL\.WEIGHTS": "the checkpoint is an argument of `import`",
    r"DATASETS\..*": "datasets are given in `data`",
    r"SOLVER\.(BACKBONE_MULTIPLIER|WEIGHT_DECAY_EMBED)": "there are no such weights",
    r"SOLVER\.(MOMENTUM|GAMMA|STEPS|POLY_LR.*|WARMUP_METHOD|NESTEROV)": "belongs to another optimizer or schedule",
    r"INPUT\.(DATASET_MAPPER_NAME|COLOR_AUG_SSD|SIZE_DIVISIBILITY)": "images are augmented as by CAT-Seg's data loader",
    r"TEST\.(AUG\..*|DETECTIONS_PER_IMAGE)": "belongs to detection",
    r"DATALOADER\..*": "every image is used, in an order that depends only on the seed",
    r"(OUTPUT_DIR|VERSION|CUDNN_BENCHMARK|VIS_PERIOD|SEED)": "belongs to the run, not to the method",
}


class UnsupportedError(AhsSegError, ValueError):
    """A config value is not supported here; the message says what is allowed."""


def translated(key: str, original: Mapping[str, Value]) -> tuple[Ours, str]:
    """The translation of one original key, or no values and the reason why it is dropped."""
    value = original[key]
    if isinstance(value, Tagged):
        return {}, f"its value is a YAML tag that would run code ({value.tag}); it was not run"
    if key in _RENAMED:
        return {_RENAMED[key]: value}, ""
    if key in _SPECIAL and (ours := _SPECIAL[key](value, original)):
        return ours, ""
    if key in _SWITCHES and not original.get(_SWITCHES[key]):
        return {}, f"has no effect without {_SWITCHES[key]}"
    if key in _ONLY:
        if value not in _ONLY[key]:
            raise UnsupportedError(f"must be {' or '.join(map(repr, _ONLY[key]))}")
        return {}, "the only supported value"
    reasons = (reason for pattern, reason in _MEANINGLESS.items() if re.fullmatch(pattern, key))
    fallback = "has no effect with this value" if key in _SPECIAL else "not a key of CAT-Seg or H-CLIP"
    return {}, next(reasons, fallback)


def _clip(value: Value, original: Mapping[str, Value]) -> Ours:
    if str(value) not in _CLIPS:
        raise UnsupportedError(f"must be one of {', '.join(_CLIPS)}")
    grid = original.get(_HEAD + "FEATURE_RESOLUTION", [24, 24])
    return {"method.backbone.source": _CLIPS[str(value)][0], **_resolution(grid, original)}


def _resolution(value: Value, original: Mapping[str, Value]) -> Ours:
    clip = original.get(_HEAD + "CLIP_PRETRAINED")
    return {"method.backbone.resolution": _square(value) * _CLIPS[str(clip)][1]} if str(clip) in _CLIPS else {}


def _square(value: Value) -> int:
    if not isinstance(value, list) or not value or any(type(one) is not int or one != value[0] for one in value):
        raise UnsupportedError("must be two equal sizes")
    return int(value[0])


def _tuner(value: Value, _: Mapping[str, Value]) -> Ours:
    if str(value) not in _TUNERS:
        raise UnsupportedError(f"must be one of {', '.join(_TUNERS)}")
    method, tuner = _TUNERS[str(value)]
    return {"method.name": method, "method.tuner.name": tuner}


def _templates(value: Value, _: Mapping[str, Value]) -> Ours:
    names = {"single": "cat_seg", "imagenet": "imagenet"}
    if str(value) not in names:
        raise UnsupportedError(f"must be one of {', '.join(names)}")
    return {"training.prompts.templates": names[str(value)]}


def _windows(value: Value, original: Mapping[str, Value]) -> Ours:
    if value:
        return {f"inference.windows.{key}": part for key, part in _SLIDING.items()}
    return {"inference.windows.name": "whole", **_padding(original.get(_PADDING, 32), original)}


def _padding(value: Value, original: Mapping[str, Value]) -> Ours:
    return {} if original.get("TEST.SLIDING_WINDOW") else {"inference.windows.pad_multiple": value}


_SLIDING: Final[Ours] = {"name": "sliding", "side": 640, "kernel": 384}  # constants in the original's code


def _clipping(value: Value, original: Mapping[str, Value]) -> Ours:
    limit = original.get("SOLVER.CLIP_GRADIENTS.CLIP_VALUE", 1.0)
    return {"training.optimizer.clip_norm": limit if value else None}


def _crop_size(value: Value, _: Mapping[str, Value]) -> Ours:
    if not isinstance(value, list) or len(value) != 2:
        raise UnsupportedError("must be a height and a width")
    return {"augmentation.crop.height": value[0], "augmentation.crop.width": value[1]}


_SPECIAL: Final[dict[str, Callable[[Value, Mapping[str, Value]], Ours]]] = {
    _HEAD + "CLIP_PRETRAINED": _clip,
    _HEAD + "FEATURE_RESOLUTION": _resolution,
    _HEAD + "CLIP_FINETUNE": _tuner,
    _HEAD + "POOLING_SIZES": lambda value, _: {"method.cost.class_pooling": _square(value)},
    "MODEL.PROMPT_ENSEMBLE_TYPE": _templates,
    _PADDING: _padding,
    "SOLVER.CLIP_GRADIENTS.ENABLED": _clipping,
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": lambda value, _: {"training.optimizer.clip_norm": value},
    "SOLVER.AMP.ENABLED": lambda value, _: {"training.precision": "fp16" if value else "fp32"},
    "SEED": lambda value, _: {"training.seed": value} if isinstance(value, int) and value >= 0 else {},
    "INPUT.MIN_SIZE_TRAIN": lambda value, _: {
        "augmentation.resize.sizes": value if isinstance(value, list) else [value]
    },
    "INPUT.CROP.SIZE": _crop_size,
    "INPUT.CROP.ENABLED": lambda value, _: {} if value else {"augmentation.crop": None},
    "INPUT.COLOR_AUG_SSD": lambda value, _: {} if value else {"augmentation.colour": None},
    "TEST.SLIDING_WINDOW": _windows,
}
