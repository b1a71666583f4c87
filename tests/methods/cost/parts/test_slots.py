"""Where each part acts; one that is not there leaves everything as it is."""

from operator import attrgetter

import pytest
import torch
from torch import Tensor, nn

from ahs_seg.methods.cost.parts.alignment import Alignment
from ahs_seg.methods.cost.parts.distillation import Distillation
from ahs_seg.methods.cost.parts.fusion import FusionConfig
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from ahs_seg.methods.cost.parts.rectification import CertaintyRectification
from ahs_seg.methods.cost.parts.slots import CostParts, PartsConfig
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.types import ImageFeatures
from tests.support.builders import random_backbone
from tests.support.tensors import dense

FUSION = FusionConfig(levels=(0, 2))
PARTS = {
    "fusion": FUSION,
    "projection": ProjectionConfig(rank=4, hidden=(12, 8)),
    "rectification": CertaintyRectification(reduction=4),
    "alignment": Alignment(),
    "prototypes": Prototypes(count=3),
}
FIELDS = {"rectification": "rectifier", "alignment": "aligner"}
CLASSES = TrainingClasses(("a", "b", "c"), ("x", "x", None), lambda: torch.eye(3, 24))


class Times(nn.Module):
    """A part whose every answer is its input times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, maps: Tensor) -> Tensor:
        return self.factor * maps

    image = text = guide = forward


def test_without_parts_nothing_changes_and_there_is_nothing_to_store() -> None:
    parts, maps, words = CostParts(), dense(1, 6, 2, 2), dense(3, 1, 6)
    assert parts.rectified(ImageFeatures(maps)) is maps
    assert parts.appearance(maps, ()) is maps
    assert parts.aligned(maps) is maps
    assert parts.compared(maps) is maps
    assert parts.guided(words) is words
    assert parts.projected(words) is words
    assert parts.fused_levels == ()
    assert parts.state_dict() == {}


def test_each_part_acts_at_its_place_only() -> None:
    maps, words = torch.ones(1, 6, 2, 2), torch.ones(3, 1, 6)
    parts = CostParts(rectifier=Times(2), prototypes=Times(3), aligner=Times(5), projection=Times(7))
    assert parts.rectified(ImageFeatures(maps)).unique().tolist() == [2]
    assert parts.aligned(maps).unique().tolist() == [5]
    assert parts.compared(maps).unique().tolist() == [7]
    assert parts.guided(words).unique().tolist() == [3]
    assert parts.projected(words).unique().tolist() == [7]


@torch.no_grad()
def test_the_appearance_is_half_the_dense_map_and_half_the_fused_one() -> None:
    fusion = FUSION.build(6, 10, 3)
    parts = CostParts(fusion=fusion)
    assert parts.fused_levels == (0, 2)
    maps, levels = dense(2, 6, 4, 4), (dense(2, 10, 4, 4, seed=1), dense(2, 10, 4, 4, seed=2))
    torch.testing.assert_close(parts.appearance(maps, levels), (maps + fusion(levels)) / 2)


@pytest.mark.parametrize("name", PARTS)
def test_a_config_builds_the_parts_that_it_names(name: str) -> None:
    parts = PartsConfig.model_validate({name: PARTS[name]}).build_parts(random_backbone())
    there = {child for child, _ in parts.named_children()}
    assert there == {FIELDS.get(name, name)}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("fusion", "parts.fusion"),
        ("projection", "parts.projection"),
        ("prototypes", "parts.prototypes"),
        ("rectification", "parts.rectifier"),
    ],
)
def test_terms_are_bound_to_their_parts(name: str, place: str) -> None:
    config = PartsConfig.model_validate({name: PARTS[name]})
    method = nn.Module()
    method.parts = config.build_parts(random_backbone())
    (term,) = config.terms(method, CLASSES)
    assert term.part(method) is attrgetter(place)(method)


def test_distillation_belongs_to_the_backbone_and_alignment_has_no_loss() -> None:
    method = nn.Module()
    method.backbone = random_backbone()
    assert PartsConfig(alignment=Alignment()).terms(method, CLASSES) == []
    (term,) = PartsConfig(distillation=Distillation()).terms(method, CLASSES)
    assert term.part(method) is method.backbone
