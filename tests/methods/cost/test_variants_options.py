"""Options of the parts that are off by default: each acts, and what it gives is the plain formula."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ahs_seg.methods import AhsSegConfig, CostSegmenter
from ahs_seg.methods.cost.correlation import cosine_cost
from ahs_seg.methods.cost.parts.distillation import Distillation, distillation_schedule
from ahs_seg.methods.cost.parts.projection import DynamicProjection, ProjectionConfig
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from ahs_seg.methods.cost.parts.rectification import CertaintyRectification, perturbed_style
from ahs_seg.tuners import Orthogonal
from ahs_seg.tuners.orthogonal import Modulation, Rotations
from tests.support.builders import random_backbone
from tests.support.hyperspherical import build, lite, objective, view
from tests.support.small_methods import AHS_SEG_SMALL, inputs

PROJECTION = ProjectionConfig(rank=4, hidden=(12, 8))


def ahs_seg(**options: Any) -> CostSegmenter:
    """AHS-Seg with its projection alone, with weights that are no identity."""
    torch.manual_seed(0)
    cost = AHS_SEG_SMALL.replace(fusion=None, projection=PROJECTION.replace(**options))
    method = AhsSegConfig(cost=cost, tuner=Orthogonal(block=8)).compose(random_backbone()).eval()
    with torch.no_grad():
        for parameter in method.parts.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return method


def projection(method: CostSegmenter) -> DynamicProjection:
    part = method.parts.projection
    assert isinstance(part, DynamicProjection)
    return part


def read(module: nn.Module) -> list[Tensor]:
    """The inputs that a module is called with from now on."""
    found: list[Tensor] = []
    module.register_forward_pre_hook(lambda _, given: found.append(given[0]))
    return found


@torch.no_grad()
def test_projected_text_guides_the_class_attention() -> None:
    images, text = inputs(5, prompts=1)
    guides, logits = {}, {}
    for kind in ("text", "projected"):
        method = ahs_seg(guidance=kind)
        seen = read(method.head.text_guidance[0])
        logits[kind] = method(images, text).logits
        guides[kind] = seen[0][0]
    torch.testing.assert_close(guides["text"], F.normalize(text, dim=-1)[:, 0])
    torch.testing.assert_close(guides["projected"], projection(method).text(text)[:, 0])
    assert (logits["text"] - logits["projected"]).abs().max() > 1e-4


def costs_of(method: CostSegmenter, images: Tensor, text: Tensor) -> Tensor:
    """The cost volume that the aggregation embeds, with the classes of all chunks: b t h w."""
    seen = read(method.head.embed)
    method(images, text)
    return torch.cat([one.unflatten(0, (len(images), -1))[:, :, 0] for one in seen], 1)


def plain(method: CostSegmenter, images: Tensor, text: Tensor, *, shared: bool = False) -> Tensor:
    """cos((P_img + c_i s B A) f, t'_i) of every class and position, one by one; c_i is 0 for the image if `shared`."""
    part = projection(method)
    dense = F.normalize(method.encode(images).dense, dim=1)
    dynamic = part.scale * part.up.weight @ part.down.weight
    maps = []
    for word in F.normalize(text[:, 0], dim=-1):
        share = part.complexity(word[None])[0]
        own = (part.text_base.weight + share * dynamic) @ word
        matrix = part.image_base.weight + (0 if shared else share) * dynamic
        moved = torch.einsum("ed,bdhw->behw", matrix, dense)
        maps.append(F.cosine_similarity(moved, own[None, :, None, None].expand_as(moved), dim=1))
    return torch.stack(maps, 1)


@torch.no_grad()
@pytest.mark.parametrize("budget", [None, 1], ids=["at once", "class by class"])
def test_the_image_is_projected_for_each_class(budget: int | None) -> None:
    images, text = inputs(5)
    shared, own = ahs_seg(), ahs_seg(per_class=True)
    own.head.budget = budget
    torch.testing.assert_close(costs_of(shared, images, text), plain(shared, images, text, shared=True))
    found = costs_of(own, images, text)
    torch.testing.assert_close(found, plain(own, images, text))
    assert (found - costs_of(shared, images, text)).abs().max() > 0.01
    assert own.state_dict().keys() == shared.state_dict().keys()


@torch.no_grad()
def test_classes_are_kept_by_the_cost_of_their_own_projection() -> None:
    images, text = inputs(9)
    method = ahs_seg(per_class=True)
    method.keep = 4
    output = method(images, text)
    costs = plain(method, images, text)
    expected = costs.amax((2, 3)).topk(4).indices.sort(1).values
    assert output.kept_rows is not None
    assert torch.equal(output.kept_rows, expected)
    rows = expected[:, :, None, None].expand(-1, -1, *costs.shape[2:])
    torch.testing.assert_close(costs_of(method, images, text), costs.gather(1, rows))
    other = method.prepare(text)
    assert other.complexity is not None
    assert not torch.equal(cosine_cost(output.compared, other.embeddings)[:, 0], costs)


def test_a_projection_per_class_starts_as_that_of_all_classes_and_learns() -> None:
    torch.manual_seed(0)
    cost = AHS_SEG_SMALL.replace(fusion=None, projection=PROJECTION.replace(per_class=True))
    method = AhsSegConfig(cost=cost, tuner=Orthogonal(block=8)).compose(random_backbone()).train()
    images, text = inputs(5)
    seen = read(method.head.embed)
    method(images, text).logits.square().sum().backward()
    dense = method.encode(images).dense
    torch.testing.assert_close(seen[0].unflatten(0, (2, 5)).squeeze(2), cosine_cost(dense, text)[:, 0])
    part = projection(method)
    assert all(value.grad is not None for value in part.parameters())
    assert part.up.weight.grad is not None
    assert part.up.weight.grad.abs().max() > 0


@torch.no_grad()
def test_a_constant_beta_is_the_constant_itself() -> None:
    """The published code would store 0.7 and apply a sigmoid: 0.67."""
    learned, constant = Modulation(alpha=0.4), Modulation(alpha=0.4, beta="constant")
    depths = {"vision": 3, "text": 2}
    one, other = (config.build(depths) for config in (learned, constant))  # type: ignore[arg-type]  # a plain dict
    assert {name for name, _ in one.named_parameters()} - {name for name, _ in other.named_parameters()} == {
        "vision.beta_logit",
        "text.beta_logit",
    }
    torch.testing.assert_close(other.vision.strength, torch.full((3,), 0.4))
    torch.testing.assert_close(other.text.strength, torch.full((2,), 0.4 * 0.7))
    torch.testing.assert_close(one.vision.strength, torch.full((3,), 0.4 * 0.99))  # clamped, so that it can learn
    assert other.statistics()["beta/vision"] == 1
    tuner = Orthogonal(block=8, modulation=constant.replace(vision=0.5))
    adapter = tuner.apply(random_backbone()).adapter
    assert isinstance(adapter, Rotations)
    adapter.bank.add_(torch.randn(adapter.bank.shape, generator=torch.Generator().manual_seed(0)) * 0.2)
    free = Orthogonal(block=8).apply(random_backbone()).adapter
    assert isinstance(free, Rotations)
    free.bank.copy_(adapter.bank)
    identity = torch.eye(8)
    expected = identity + 0.4 * 0.5 * (free.matrices("vision", 3) - identity)
    torch.testing.assert_close(adapter.matrices("vision", 3), expected)


def test_the_momentum_of_a_class_grows_with_its_features() -> None:
    """One class with 2, then 100 features, one with none; the momentum is that of the features before the update."""
    torch.manual_seed(0)
    config = Prototypes(count=2, momentum=0.5, adaptive=True)
    bank, plain = config.build(3), config.replace(adaptive=False).build(3)
    assert set(bank.state_dict()) - set(plain.state_dict()) == {"counts"}
    vectors, count = F.normalize(torch.randn(4, 3), dim=-1), 0.0
    expected = vectors[0]
    for vector, number in zip(vectors, (2, 100, 1, 1), strict=True):
        rows = torch.zeros(number, dtype=torch.int64)
        bank.update(*bank.sums(vector.expand(number, 3), rows))
        share = min(0.5 + 0.09 * (1 - 1 / (1 + count / 1000)), 0.999)
        expected = F.normalize(share * expected + (1 - share) * vector, dim=0) if count else vector
        count += number
        torch.testing.assert_close(bank.prototypes[0], expected)
    assert bank.counts is not None
    assert bank.counts.tolist() == [104, 0]
    assert not bank.prototypes[1].any()


def test_the_second_view_is_one_of_the_image() -> None:
    """Both views go through encoder and rectifier; the second has another style."""
    rectification = CertaintyRectification(reduction=4, second_view="image", strength=0.3, weight=0.5)
    config = lite().replace(cost=lite().cost.replace(rectification=rectification))
    method = build(config).train()
    forward = view(method)
    torch.manual_seed(3)
    found = objective(config, method)(method, forward)["consistency"]
    torch.manual_seed(3)
    other = perturbed_style(forward.images, strength=0.3).clamp(0, 1)
    rectifier = method.parts.rectifier
    assert rectifier is not None
    one, two = (rectifier(method.backbone.encode_image(images).dense) for images in (forward.images, other))
    torch.testing.assert_close(found, 0.5 * (1 - F.cosine_similarity(one, two, dim=1).mean()))
    assert found > 1e-4
    found.backward()
    assert method.backbone.adapter is not None
    assert method.backbone.adapter.bank.grad.abs().max() > 0


def test_the_weight_of_the_distillation_rises_first() -> None:
    config = lite("distillation")
    warmed = config.replace(cost=config.cost.replace(distillation=Distillation(warmup=0.5)))
    method = build(config).train()
    assert isinstance(method.backbone.adapter, Rotations)
    method.backbone.adapter.bank.data.add_(0.1)  # away from the start
    losses = [
        [objective(one, method)(method, view(method, progress))["distillation"].item() for progress in (0.25, 0.5)]
        for one in (config, warmed)
    ]
    assert losses[0][1] > 0
    angle = losses[0][1] / (0.1 * distillation_schedule(0.5))
    assert losses[1] == pytest.approx([0.1 * 0.25 * angle, 0.1 * 0.5 * angle], rel=1e-4)
