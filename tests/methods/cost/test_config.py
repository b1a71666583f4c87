"""What configs of the cost family have in common: a tuned backbone, a head, and what training minimises."""

import math
from typing import Any

import pytest
import torch

from ahs_seg.config import ConfigError
from ahs_seg.methods.cost.config import CostMethodConfig
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.tuners import Attention, Frozen, Orthogonal
from ahs_seg.tuners.orthogonal import Modulation
from ahs_seg.types import IGNORE, ClassText, ImageFeatures, Output, TrainingForward
from tests.support.builders import random_backbone
from tests.support.small_methods import SMALL

CLASSES = TrainingClasses(("cat", "dog"), (None, None), lambda: torch.zeros(2, 24))


def config(**changes: Any) -> CostMethodConfig:
    values = {"name": "cost", "tuner": Frozen(), "cost": SMALL, **changes}
    return CostMethodConfig.model_validate(values)


def test_the_backbone_is_the_given_one_and_tuned() -> None:
    backbone = random_backbone()
    method = config(tuner=Attention()).compose(backbone)
    assert method.backbone is backbone
    tuned = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert tuned
    assert all("q_proj" in name or "v_proj" in name for name in tuned)


def test_what_training_minimises_follows_the_tuner() -> None:
    modulated = Orthogonal(block=8, modulation=Modulation())
    counts = {}
    for name, tuner in {"frozen": Frozen(), "rotations": Orthogonal(block=8), "modulated": modulated}.items():
        chosen = config(tuner=tuner)
        counts[name] = len(chosen.objective(chosen.compose(random_backbone()), CLASSES).terms)
    assert counts == {"frozen": 1, "rotations": 1, "modulated": 2}  # the energy of the modulation


def test_only_prototypes_without_a_count_take_that_of_the_data() -> None:
    plain = config()
    assert plain.for_classes(9) is plain
    fixed = config(cost=SMALL.replace(prototypes=Prototypes(count=4)))
    assert fixed.for_classes(9) is fixed
    free = config(cost=SMALL.replace(prototypes=Prototypes()))
    counted = free.for_classes(9)
    assert counted.cost.prototypes is not None
    assert counted.cost.prototypes.count == 9
    assert free.cost.prototypes is not None
    assert free.cost.prototypes.count is None  # the config itself stays as it was


@pytest.mark.parametrize("wrong", ["cost.layers=0", "cost.dim=x", "tuner.name=lora", "backbone.resolutoin=3"])
def test_wrong_values_name_their_key(wrong: str) -> None:
    key = wrong.partition("=")[0].partition(".")[0]
    with pytest.raises(ConfigError, match=key):
        CostMethodConfig.parse({"name": "cost", "tuner": {"name": "frozen"}}, [wrong])


def test_pixels_without_a_label_are_negatives_only_if_asked_for() -> None:
    method = config().compose(random_backbone())
    logits = torch.tensor([[[[3.0, 3.0]], [[-3.0, 5.0]]]])
    labels = torch.tensor([[[0, IGNORE]]])
    places = torch.arange(2)
    words = ClassText(torch.zeros(2, 1, 24), torch.zeros(2, 1, 24))
    features = ImageFeatures(dense=torch.zeros(1, 24, 1, 2))
    view = TrainingForward(
        torch.zeros(1, 3, 1, 2), labels, places, places, Output(logits, features, words, features.dense), 0.0
    )
    losses = [config().objective(method, CLASSES, ignore_as_negative=flag)(method, view) for flag in (True, False)]
    first = 2 * math.log1p(math.exp(-3))  # the labelled pixel: 3 for its class, -3 for the other one
    rest = math.log1p(math.exp(3)) + math.log1p(math.exp(5))
    assert losses[0]["segmentation"].item() == pytest.approx((first + rest) / 4, rel=1e-5)
    assert losses[1]["segmentation"].item() == pytest.approx(first / 2, rel=1e-5)
