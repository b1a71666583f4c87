"""HPS-Seg and AHS-Seg's simple design in small, their switches, and a few steps of training."""

from __future__ import annotations

import torch
from torch import Tensor

from ahs_seg.config import Config
from ahs_seg.methods import AhsSegLiteConfig, CostSegmenter, HpsSegConfig
from ahs_seg.methods.cost.config import CostMethodConfig
from ahs_seg.methods.cost.parts.alignment import Alignment
from ahs_seg.methods.cost.parts.distillation import Distillation
from ahs_seg.methods.cost.parts.geodesic_similarity import Geodesic
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from ahs_seg.methods.cost.parts.rectification import CertaintyRectification, MixingRectification
from ahs_seg.methods.cost.variants import AhsSegLiteCost, HpsPrototypes, HpsSegCost
from ahs_seg.methods.objective import SumObjective, TrainingClasses
from ahs_seg.tuners import Orthogonal
from ahs_seg.types import IGNORE, TrainingForward
from tests.support.builders import random_backbone
from tests.support.small_methods import SMALL, inputs

Built = CostMethodConfig
PARTS = {"fusion", "projection", "rectification", "alignment", "prototypes", "geodesic", "distillation"}
ROTATED = Orthogonal(block=8)
NAMES = ("sky", "grass", "road", "cat", "dog")
LABELS = torch.tensor([[[0, 1, 2, 3]] * 4, [[4, 4, IGNORE, 3]] * 4]).repeat_interleave(16, 1).repeat_interleave(16, 2)

LITE_PARTS = {
    "prototypes": Prototypes(count=5),
    "distillation": Distillation(),
    "rectification": CertaintyRectification(reduction=4),
    "geodesic": Geodesic(),
}
HPS_PARTS: dict[str, dict[str, Config]] = {
    "hpa": {"alignment": Alignment(), "prototypes": HpsPrototypes(count=5)},
    "afr": {"rectification": MixingRectification(reduction=4)},
}


def lite(*parts: str, tuner: Orthogonal = ROTATED) -> AhsSegLiteConfig:
    """The simple design with these parts on."""
    chosen = {name: part if name in parts else None for name, part in LITE_PARTS.items()}
    return AhsSegLiteConfig(tuner=tuner, cost=AhsSegLiteCost.model_validate(SMALL.model_dump(exclude=PARTS) | chosen))


def hps(*parts: str) -> HpsSegConfig:
    """HPS-Seg with these of its two modules on."""
    chosen: dict[str, Config | None] = {"rectification": None, "alignment": None, "prototypes": None}
    for name in parts:
        chosen |= HPS_PARTS[name]
    return HpsSegConfig(tuner=ROTATED, cost=HpsSegCost.model_validate(SMALL.model_dump(exclude=PARTS) | chosen))


SWITCHES: dict[str, Built] = {
    **{f"lite {name}": lite(name) for name in LITE_PARTS},
    **{f"hps {name}": hps(name) for name in HPS_PARTS},
}
FULL: dict[str, Built] = {"lite": lite(*LITE_PARTS), "hps": hps(*HPS_PARTS)}


def build(config: Built) -> CostSegmenter:
    torch.manual_seed(0)
    return config.compose(random_backbone())


def objective(config: Built, method: CostSegmenter) -> SumObjective:
    return config.objective(method, TrainingClasses(NAMES, (None,) * 5, lambda: embed(method).detach()))


def embed(method: CostSegmenter) -> Tensor:
    encoded = method.backbone.encode_text(method.backbone.tokenizer(list(NAMES)))
    return torch.nn.functional.normalize(encoded, dim=-1)


def view(method: CostSegmenter, progress: float = 0.0) -> TrainingForward:
    images, _ = inputs(5)
    output = method(images, embed(method).unsqueeze(1))
    return TrainingForward(images, LABELS, torch.arange(5), torch.arange(5), output, progress)


def train(config: Built, steps: int = 3) -> tuple[CostSegmenter, SumObjective, list[dict[str, Tensor]]]:
    """A few steps; the largest gradient of each parameter, step by step."""
    method = build(config).train()
    terms = objective(config, method)
    optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.1)
    gradients = []
    for step in range(steps):
        torch.manual_seed(step)
        optimizer.zero_grad()
        torch.stack(list(terms(method, view(method, step / steps)).values())).sum().backward()
        gradients.append({name: p.grad.abs().max() for name, p in method.named_parameters() if p.grad is not None})
        optimizer.step()
        terms.update(method)
    return method.eval(), terms, gradients


def trained(config: Built) -> tuple[CostSegmenter, list[dict[str, Tensor]]]:
    """What `train` gives after three steps, once for all tests of a process: to be read, not to be changed."""
    key = f"{type(config).__name__} {config.model_dump_json()}"
    if key not in _trained:
        method, _, gradients = train(config)
        _trained[key] = method, gradients
    return _trained[key]


_trained: dict[str, tuple[CostSegmenter, list[dict[str, Tensor]]]] = {}
