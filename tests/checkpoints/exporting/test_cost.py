"""The cost family in two graphs."""

import pytest
import torch

from ahs_seg.checkpoints.exporting.families import staged
from ahs_seg.checkpoints.exporting.stages import ExportError
from ahs_seg.methods import AhsSegConfig, CatSegConfig
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.tuners import Orthogonal
from ahs_seg.types import ClassText
from tests.support.builders import random_backbone
from tests.support.exported import difference, small
from tests.support.small_methods import AHS_SEG_SMALL, CAT_SEG, SMALL


@pytest.mark.parametrize("classes", [1, 12, 13], ids=lambda count: f"{count} of 12")
def test_padding_copies_are_those_of_the_plain_head(classes: int) -> None:
    assert difference(small(CatSegConfig), classes) < 1e-5


def test_without_padding_and_without_a_limit_of_classes() -> None:
    config = CAT_SEG.replace(cost=SMALL.replace(pad_length=0, keep=None))
    assert difference(config.compose(random_backbone()).for_inference(), 14) < 1e-5


def test_class_pooling_is_part_of_the_graph() -> None:
    method = small(CatSegConfig, class_pooling=1)
    assert staged(method).fixed == {"class_pooling": 1}
    assert difference(method, 5) < 1e-5


def test_what_cannot_be_exported_says_why() -> None:
    full = CAT_SEG.replace(cost=SMALL.replace(attention="full")).compose(random_backbone())
    with torch.no_grad(), pytest.raises(ExportError, match=r'"full" is not exported: .* cost\.attention="linear"'):
        staged(full).stages()
    own = AHS_SEG_SMALL.replace(fusion=None, projection=ProjectionConfig(rank=4, hidden=(12, 8), per_class=True))
    with pytest.raises(ExportError, match=r"a projection per class is not exported: .* projection\.per_class=false"):
        staged(AhsSegConfig(cost=own, tuner=Orthogonal(block=8)).compose(random_backbone()))
    text = torch.randn(13, 1, 24)
    with pytest.raises(ExportError, match=r"13 text rows cannot be baked in: above 12 .* Bake fewer names"):
        staged(small(CatSegConfig)).texts(ClassText(text, text))
