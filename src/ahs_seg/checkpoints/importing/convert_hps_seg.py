"""Conversion of the keys of checkpoints of HPS-Seg and of AHS-Seg's simple design to those of this package."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, TypeVar

import torch
from torch import Tensor

from ahs_seg.checkpoints.importing.convert_hclip import convert_hclip
from ahs_seg.checkpoints.importing.key_rules import Conversion, Rule
from ahs_seg.methods import AhsSegLiteConfig, HpsSegConfig
from ahs_seg.methods.cost.parts.alignment import Alignment
from ahs_seg.methods.cost.parts.prototypes import GREATEST_TEMPERATURE, LEAST_TEMPERATURE, Prototypes
from ahs_seg.methods.cost.parts.rectification import CertaintyRectification, MixingRectification
from ahs_seg.methods.cost.variants import HpsPrototypes

RECTIFIER, ALIGNER, PROTOTYPES = "parts.rectifier.", "parts.aligner.", "parts.prototypes."
TEMPERATURE: Final = Prototypes().temperature
_WB = r"\.(weight|bias)"
_LITE = r"hyperspherical_loss\."
_Rectification = TypeVar("_Rectification", MixingRectification, CertaintyRectification)


def convert_hps_seg(state: Mapping[str, Tensor]) -> Conversion:
    """The state dict of HPS-Seg with the keys of this package; its two modules may be absent.

    The temperatures had no effect in the original code; here they are initialised anew. The weights are the same, but
    the predictions differ: here rectified and aligned features are compared with the text embeddings, in the published
    code the rectified features entered only the guidance.

    Raises:
        ConversionError: a key is unknown, or copies of the shared rotations differ; the message names them.
    """
    hpa = [
        Rule(r"hpa\.prototypes", PROTOTYPES + "prototypes"),
        Rule(r"hpa\.prototype_initialized", PROTOTYPES + "seen", change=_flags),
        Rule(r"hpa\.log_temperatures", PROTOTYPES + "theta", change=_zeros),
        Rule(r"hpa\.alignment_proj\.([02])\.weight", ALIGNER + r"mlp.\1.weight", change=_pointwise),
        Rule(r"hpa\.alignment_proj\.([02])\.bias", ALIGNER + r"mlp.\1.bias"),
    ]
    return convert_hclip(state, extra=[*hpa, *mixing_rules(r"afr\.", RECTIFIER)])


def convert_ahs_seg_lite(state: Mapping[str, Tensor]) -> Conversion:
    """The state dict of AHS-Seg's simple design with the keys of this package; its modules may be absent.

    Prototypes of classes that did not occur in training are random in the original checkpoints; here they are zero.

    Raises:
        ConversionError: a key is unknown, or copies of the shared rotations differ; the message names them.
    """
    bank = _LITE + r"prototype_bank\."
    extra = [
        Rule(bank + "prototypes", PROTOTYPES + "prototypes"),
        Rule(bank + "class_counts", PROTOTYPES + "seen", change=_flags),
        Rule(bank + "class_temperature", PROTOTYPES + "theta", change=_theta),
        Rule(bank + r"(?:feature_queue|label_queue|queue_ptr)", ignored="a queue that is never read"),
        Rule(_LITE + r"distillation\.current_iter", ignored="a step counter, which belongs to the training run"),
        Rule(r"geodesic_head\..*", ignored="a head that is never called"),
        *certainty_rules(_LITE + r"rectifier\.", RECTIFIER),
    ]
    result = convert_hclip(state, extra=extra)
    if PROTOTYPES + "seen" in result.state and PROTOTYPES + "prototypes" in result.state:
        seen = result.state[PROTOTYPES + "seen"]
        result.state[PROTOTYPES + "prototypes"] = result.state[PROTOTYPES + "prototypes"] * seen[:, None]
    return result


def hps_seg_config(config: HpsSegConfig, state: Mapping[str, Tensor]) -> HpsSegConfig:
    """`config` with the modules that occur in the converted state dict, in their sizes."""
    cost, alignment, prototypes = config.cost, None, None
    if (down := state.get(ALIGNER + "mlp.0.weight")) is not None:
        alignment = (cost.alignment or Alignment()).replace(reduction=down.shape[1] // down.shape[0])
    if (memory := state.get(PROTOTYPES + "prototypes")) is not None:
        prototypes = (cost.prototypes or HpsPrototypes()).replace(count=len(memory))
    rectification = _rectification(MixingRectification(), cost.rectification, state)
    parts = {"alignment": alignment, "prototypes": prototypes, "rectification": rectification}
    return config.replace(cost=cost.replace(**parts))


def ahs_seg_lite_config(config: AhsSegLiteConfig, state: Mapping[str, Tensor]) -> AhsSegLiteConfig:
    """`config` with the modules that occur in the converted state dict, in their sizes; distillation has no weights.

    The temperature of the prototypes is the one to which the converted temperatures are relative, so that they are
    those of the checkpoint, whatever its training began with.
    """
    cost, prototypes = config.cost, None
    if (memory := state.get(PROTOTYPES + "prototypes")) is not None:
        prototypes = (cost.prototypes or Prototypes()).replace(count=len(memory), temperature=TEMPERATURE)
    rectification = _rectification(CertaintyRectification(), cost.rectification, state)
    parts = {"prototypes": prototypes, "rectification": rectification, "geodesic": None}
    return config.replace(cost=cost.replace(**parts))


def mixing_rules(origin: str, target: str) -> list[Rule]:
    """Rules that map the keys of HPS-Seg's rectification from prefix `origin` (regex) to prefix `target`."""
    return [
        Rule(origin + "mix_weight", target + "mix_logit", change=_scalar),
        *_gate_rules(origin + "channel_gate", target + "channel", 2),
        *_gate_rules(origin + "spatial_gate", target + "spatial", 0),
        *_gate_rules(origin + "uncertainty_estimator", target + "uncertainty", 2),
    ]


def certainty_rules(origin: str, target: str) -> list[Rule]:
    """Rules that map the keys of the simple design's rectification from prefix `origin` (regex) to prefix `target`."""
    return [
        Rule(origin + "residual_scale", target + "mix_logit", change=_scalar),
        *_gate_rules(origin + "channel_gate", target + "channel", 2),
        Rule(origin + r"spatial_gate\.0" + _WB, target + r"spatial.\1"),
        *_gate_rules(origin + "uncertainty_head", target + "uncertainty", 0),
    ]


def _gate_rules(origin: str, target: str, first: int) -> list[Rule]:
    """Rules for two layers of a gate, with one layer without weights between them; the first has index `first`."""
    return [Rule(rf"{origin}\.{first + place}{_WB}", rf"{target}.{place}.\1") for place in (0, 2)]


def _rectification(default: _Rectification, given: object, state: Mapping[str, Tensor]) -> _Rectification | None:
    hidden = state.get(RECTIFIER + "channel.0.weight")
    if hidden is None:
        return None
    kept = given if isinstance(given, type(default)) else default
    return kept.replace(reduction=hidden.shape[1] // hidden.shape[0])


def _scalar(tensor: Tensor) -> dict[str, Tensor]:
    return {"": tensor.reshape(())}


def _flags(tensor: Tensor) -> dict[str, Tensor]:
    return {"": tensor > 0}


def _zeros(tensor: Tensor) -> dict[str, Tensor]:
    return {"": torch.zeros_like(tensor)}


def _theta(tensor: Tensor) -> dict[str, Tensor]:
    """A temperature as the logarithm of its ratio to `TEMPERATURE`."""
    return {"": tensor.clamp(LEAST_TEMPERATURE, GREATEST_TEMPERATURE).log() - math.log(TEMPERATURE)}


def _pointwise(tensor: Tensor) -> dict[str, Tensor]:
    """The weight of a linear layer as that of a 1x1 convolution."""
    return {"": tensor[:, :, None, None]}
