"""From the names of AHS-Seg's official checkpoints to ours."""

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
    """Weights under our names.

    The shipped checkpoints are H-CLIP's in every name: the fusion and the projection were off when they were trained,
    and the modulation of the rotations never acted. The names of the two parts are those that the code would save.

    Raises:
        ConversionError: naming any key that is not known, and copies that differ.
    """
    extra = [
        *fusion_rules(r"ms_fpn\.", FUSION),
        *projection_rules(r"class_projection\.", PROJECTION),
        Rule(r"boundary_loss\..*sobel_[xy]", ignored="a constant of a loss"),
    ]
    return convert_hclip(state, extra=extra)


def ahs_seg_config(config: AhsSegConfig, state: Mapping[str, Tensor]) -> AhsSegConfig:
    """`config` with those parts on that a converted state dict has, and the modulation off."""
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
    """Rules for the multi-scale fusion whose names begin with (regex) `origin`, to under `target`."""
    level, processor = origin + r"level_processors\.(\d+)\.", target + r"processors.\1."
    return [
        Rule(origin + r"fusion_weights", target + "weights"),
        Rule(level + r"hs_align\.radius", processor + "radius", change=_scalar),
        Rule(level + r"hs_align\.proj\.([01])" + _WB, processor + r"align.\2.\3"),
        Rule(level + r"enhance\.([012])" + _WB, processor + r"enhance.\2.\3"),
        Rule(origin + r"output_proj\.([013])" + _WB, target + r"output.\1.\2"),
    ]


def projection_rules(origin: str, target: str) -> list[Rule]:
    """Rules for the dynamic projection whose names begin with (regex) `origin`, to under `target`."""
    estimator = origin + r"complexity_estimator\."
    return [
        Rule(estimator + r"complexity_net\.([01457])" + _WB, target + r"estimator.network.\1.\2"),
        Rule(estimator + r"multi_scale\..*", ignored="a head of the complexity estimator that nothing reads"),
        Rule(origin + r"image_proj\.base_proj\.weight", target + "image_base.weight"),
        Rule(
            origin + r"image_proj\.(?:delta_[AB]\.weight|complexity_scale)",
            ignored="the dynamic part of the image's projection, which is given no complexity and does not act",
        ),
        Rule(origin + r"text_proj\.base_proj\.weight", target + "text_base.weight"),
        Rule(origin + r"text_proj\.delta_A\.weight", target + "down.weight"),
        Rule(origin + r"text_proj\.delta_B\.weight", target + "up.weight"),
        Rule(origin + r"text_proj\.complexity_scale", target + "scale", change=_scalar),
        Rule(origin + r"radius", ignored="a radius that normalisation takes away again"),
    ]


def _scalar(tensor: Tensor) -> dict[str, Tensor]:
    return {"": tensor.reshape(())}
