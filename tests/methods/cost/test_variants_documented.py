"""The documented settings of the modules: what their publications say, number by number."""

from typing import Any

import pytest

from ahs_seg.config import Config
from ahs_seg.methods.cost.parts.alignment import Alignment
from ahs_seg.methods.cost.parts.distillation import Distillation
from ahs_seg.methods.cost.parts.fusion import FusionConfig
from ahs_seg.methods.cost.parts.geodesic_similarity import Geodesic
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from ahs_seg.methods.cost.parts.rectification import CertaintyRectification, MixingRectification
from ahs_seg.methods.cost.variants import HpsPrototypes
from ahs_seg.tuners import Orthogonal
from ahs_seg.tuners.orthogonal import Modulation

HPA: dict[str, Any] = {
    "count": None,
    "momentum": 0.99,
    "adaptive": False,
    "temperature": 0.07,
    "distance_weight": 1.0,
    "contrast_weight": 1.0,
}
DOCUMENTED: list[tuple[type[Config], dict[str, Any]]] = [
    (Modulation, {"alpha": 0.3, "vision": 1.0, "text": 0.7, "beta": "learned", "energy_weight": 0.01}),
    (FusionConfig, {"levels": None, "boundary_weight": 0.1, "combination": "mean"}),
    (
        ProjectionConfig,
        {
            "rank": 64,
            "scale": 0.1,
            "hidden": (256, 128),
            "dropout": 0.1,
            "contrastive_weight": 0.05,
            "hierarchy_weight": 0.02,
            "guidance": "text",
            "per_class": False,
            "bases": "learned",
        },
    ),
    (Prototypes, HPA | {"start": "text", "guidance": 0.1, "loss": "cosine", "weight": 0.1}),
    (HpsPrototypes, HPA | {"start": "nothing", "guidance": 0.0, "loss": "geodesic", "weight": 0.01}),
    (Alignment, {"reduction": 4, "share": 0.1}),
    (Distillation, {"weight": 0.1, "initial": 0.5, "final": 0.1, "warmup": 0.0}),
    (
        CertaintyRectification,
        {"name": "certainty", "reduction": 16, "weight": 0.05, "strength": 0.1, "second_view": "features"},
    ),
    (
        MixingRectification,
        {
            "name": "mixing",
            "reduction": 16,
            "weight": 0.1,
            "open_weight": 0.1,
            "smooth_weight": 0.01,
            "opening": 2.0,
        },
    ),
    (Geodesic, {"curvature": 2.0}),
    (Orthogonal, {"name": "orthogonal", "block": 128, "vision_constraint": "free", "modulation": None}),
]


@pytest.mark.parametrize(("kind", "values"), DOCUMENTED)
def test_defaults_are_the_documented_values(kind: type[Config], values: dict[str, Any]) -> None:
    assert dict(kind()) == values
