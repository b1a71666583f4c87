"""Supported original checkpoints: detection by their keys, converters, and descriptions of the published models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

from torch import Tensor

from ahs_seg.checkpoints.importing.convert_ahs_seg import ahs_seg_config, convert_ahs_seg
from ahs_seg.checkpoints.importing.convert_catseg import convert_catseg
from ahs_seg.checkpoints.importing.convert_clip import clip_rules
from ahs_seg.checkpoints.importing.convert_ebseg import convert_ebseg, ebseg_config
from ahs_seg.checkpoints.importing.convert_hclip import convert_hclip
from ahs_seg.checkpoints.importing.convert_hps_seg import (
    ahs_seg_lite_config,
    convert_ahs_seg_lite,
    convert_hps_seg,
    hps_seg_config,
)
from ahs_seg.checkpoints.importing.convert_scan import convert_scan, scan_config
from ahs_seg.checkpoints.importing.key_rules import Conversion, convert
from ahs_seg.checkpoints.model_dir import ModelDescription
from ahs_seg.inference.predict import CAT_SEG_PROTOCOL, InferenceConfig, training_free_protocol
from ahs_seg.methods import (
    AhsSegConfig,
    AhsSegLiteConfig,
    CatSegConfig,
    EBSegConfig,
    HClipConfig,
    HpsSegConfig,
    ScanConfig,
    ZeroShotConfig,
)
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.seen_classes import published_overlap

CheckpointKind: TypeAlias = str
"""A key of `CONVERTERS`: the name of a method, or "clip"."""

BACKBONE: Final = "backbone.model."
"""Prefix of the CLIP weights in the state dict of a method."""


def _convert_clip(state: Mapping[str, Tensor]) -> Conversion:
    return convert(state, clip_rules("", BACKBONE))


CONVERTERS: Final[dict[CheckpointKind, Callable[[Mapping[str, Tensor]], Conversion]]] = {
    "cat_seg": convert_catseg,
    "h_clip": convert_hclip,
    "ahs_seg": convert_ahs_seg,
    "ahs_seg_lite": convert_ahs_seg_lite,
    "hps_seg": convert_hps_seg,
    "scan": convert_scan,
    "ebseg": convert_ebseg,
    "zero_shot": _convert_clip,
    "clip": _convert_clip,
}
_DESCRIPTIONS: Final[dict[CheckpointKind, ModelDescription]] = {
    "cat_seg": ModelDescription(method=CatSegConfig(), inference=CAT_SEG_PROTOCOL),
    "h_clip": ModelDescription(method=HClipConfig(), inference=CAT_SEG_PROTOCOL),
    "ahs_seg": ModelDescription(method=AhsSegConfig(), inference=CAT_SEG_PROTOCOL),
    "ahs_seg_lite": ModelDescription(method=AhsSegLiteConfig(), inference=CAT_SEG_PROTOCOL),
    "hps_seg": ModelDescription(method=HpsSegConfig(), inference=CAT_SEG_PROTOCOL),
    "scan": ModelDescription(
        method=ScanConfig(),
        prompts=PromptConfig(templates="vild", synonyms="joined"),
        inference=InferenceConfig(shortest_edge=640),
    ),
    "ebseg": ModelDescription(
        method=EBSegConfig(),
        prompts=PromptConfig(templates="vild", synonyms="joined"),
        inference=InferenceConfig(shortest_edge=640),
        overlap=published_overlap(),
    ),
    "zero_shot": ModelDescription(
        method=ZeroShotConfig(),
        prompts=PromptConfig(templates="imagenet", synonyms="max"),
        inference=training_free_protocol(),
    ),
}
FITTED: Final[dict[CheckpointKind, Callable[[Any, Mapping[str, Tensor]], Any]]] = {
    "ahs_seg": ahs_seg_config,
    "ahs_seg_lite": ahs_seg_lite_config,
    "hps_seg": hps_seg_config,
    "scan": scan_config,
    "ebseg": ebseg_config,
}
"""Functions that adapt a method's config to the converted weights, for checkpoints that differ in their modules."""


def published(kind: CheckpointKind) -> ModelDescription:
    """The description of a published method: its config, and the inference protocol of its published scores."""
    return _DESCRIPTIONS[kind]


def recognise(keys: Collection[str]) -> CheckpointKind | None:
    """The kind of an original checkpoint, detected by its keys; None: unknown."""
    if any(key.startswith(("ms_fpn.", "class_projection.")) for key in keys):
        return "ahs_seg"
    if any(key.startswith(("hpa.", "afr.")) for key in keys):
        return "hps_seg"
    if any(key.startswith(("hyperspherical_loss.", "geodesic_head.")) for key in keys):
        return "ahs_seg_lite"
    marks: dict[CheckpointKind, str] = {
        "h_clip": "sem_seg_head.predictor.clip_model.visual.transformer.resblocks.0.attn_q_proj_oft_layer_R",
        "cat_seg": "sem_seg_head.predictor.transformer.conv1.weight",
        "ebseg": "clip_rec_head.proj",
        "scan": "clip_adapter.non_object_embedding",
        "clip": "visual.conv1.weight",
    }
    return next((kind for kind, mark in marks.items() if mark in keys), None)
