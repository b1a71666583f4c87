"""Conversion of the keys of AHS-Seg's official checkpoints to those of this package."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ahs_seg.checkpoints.importing.convert_hclip import convert_hclip
from ahs_seg.checkpoints.importing.key_rules import Conversion, Rule
from ahs_seg.methods import AhsSegConfig
from ahs_seg.methods.cost.parts.fusion import FusionConfig
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.tuners import Orthogonal

_WB = r"\.(weight|bias)"
FUSION, PROJECTION = "parts.fusion.", "parts.projection."


def convert_ahs_seg(state: Mapping[str, Tensor]) -> Conversion:
    """The state dict with the keys of this package.

    The published checkpoints have exactly the keys of H-CLIP: they were trained without fusion and projection, and the
    modulation of the rotations had no effect. The keys of these two parts are those that the original code would save.

    Raises:
        ConversionError: a key is unknown, or copies of the shared rotations differ; the message names them.
    """
    extra = [
        *fusion_rules(r"ms_fpn\.", FUSION),
        *projection_rules(r"class_projection\.", PROJECTION),
        Rule(r"boundary_loss\..*sobel_[xy]", ignored="a constant of the loss"),
    ]
    return convert_hclip(state, extra=extra)


def ahs_seg_config(config: AhsSegConfig, state: Mapping[str, Tensor]) -> AhsSegConfig:
    """`config` with the parts that occur in the converted state dict, and without modulation."""
    fusion = projection = None
    if levels := len({key.split(".")[3] for key in state if key.startswith(FUSION + "processors.")}):
        given = config.cost.fusion or FusionConfig()
        fusion = given if given.levels is None or len(given.levels) == levels else FusionConfig()
    if (down := state.get(PROJECTION + "down.weight")) is not None:
        projection = (config.cost.projection or ProjectionConfig()).replace(rank=down.shape[0])
    tuner = config.tuner
    if isinstance(tuner, Orthogonal):
        tuner = tuner.replace(modulation=None)
    cost = config.cost.replace(fusion=fusion, projection=projection)
    return config.replace(cost=cost, tuner=tuner)


def fusion_rules(origin: str, target: str) -> list[Rule]:
    """Rules that map the keys of the multi-scale fusion from prefix `origin` (regex) to prefix `target`."""
    level, processor = origin + r"level_processors\.(\d+)\.", target + r"processors.\1."
    return [
        Rule(origin + r"fusion_weights", target + "weights"),
        Rule(level + r"hs_align\.radius", processor + "radius", change=_scalar),
        Rule(level + r"hs_align\.proj\.([01])" + _WB, processor + r"align.\2.\3"),
        Rule(level + r"enhance\.([012])" + _WB, processor + r"enhance.\2.\3"),
        Rule(origin + r"output_proj\.([013])" + _WB, target + r"output.\1.\2"),
    ]


def projection_rules(origin: str, target: str) -> list[Rule]:
    """Rules that map the keys of the dynamic projection from prefix `origin` (regex) to prefix `target`."""
    estimator = origin + r"complexity_estimator\."
    return [
        Rule(estimator + r"complexity_net\.([01457])" + _WB, target + r"estimator.network.\1.\2"),
        Rule(estimator + r"multi_scale\..*", ignored="a head of the complexity estimator whose output is not used"),
        Rule(origin + r"image_proj\.base_proj\.weight", target + "image_base.weight"),
        Rule(
            origin + r"image_proj\.(?:delta_[AB]\.weight|complexity_scale)",
            ignored="the dynamic part of the image projection, which gets no complexity as input and has no effect",
        ),
        Rule(origin + r"text_proj\.base_proj\.weight", target + "text_base.weight"),
        Rule(origin + r"text_proj\.delta_A\.weight", target + "down.weight"),
        Rule(origin + r"text_proj\.delta_B\.weight", target + "up.weight"),
        Rule(origin + r"text_proj\.complexity_scale", target + "scale", change=_scalar),
        Rule(origin + r"radius", ignored="a radius that the following normalisation cancels"),
    ]


def _scalar(tensor: Tensor) -> dict[str, Tensor]:
    return {"": tensor.reshape(())}
