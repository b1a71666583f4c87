"""Rectifiers, aligner, prototypes and the geodesic similarity, each by itself."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.methods.cost.parts.alignment import Alignment, HypersphericalAligner
from ahs_seg.methods.cost.parts.geodesic_similarity import GeodesicSimilarity
from ahs_seg.methods.cost.parts.prototypes import PrototypeBank
from ahs_seg.methods.cost.parts.rectification import CertaintyRectifier, MixingRectifier
from ahs_seg.types import IGNORE


def dense(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_rectifiers_are_their_formulas() -> None:
    features = dense(2, 8, 3, 4)
    one = CertaintyRectifier(8, reduction=2)
    gates = one.gates(features)
    pooled = features.mean((2, 3))
    torch.testing.assert_close(gates.channel[:, :, 0, 0], one.channel(pooled).sigmoid())
    uncertainty = F.softplus(one.uncertainty(features))
    gate = gates.channel * gates.spatial / (1 + uncertainty)
    torch.testing.assert_close(one(features), features + 0.5 * (gate * features - features))  # a = sigmoid(0)
    other = MixingRectifier(8, reduction=2)
    gates = other.gates(features)
    mix = 0.5 * (1 - other.uncertainty(pooled).sigmoid())[:, :, None, None]
    torch.testing.assert_close(gates.mix, mix)
    expected = (1 - mix) * features + mix * features * gates.channel * gates.spatial
    torch.testing.assert_close(other(features), expected)


@torch.no_grad()
def test_gates_of_hps_seg_start_open_and_the_uncertainty_undecided() -> None:
    torch.manual_seed(0)
    features = 20 * F.normalize(dense(2, 512, 24, 24), dim=1)  # about as long as those of a trained CLIP
    rectifier = MixingRectifier(512)
    gates = rectifier.gates(features)
    # All biases at 2, as in the published code, give a mix of sigmoid(0) (1 - sigmoid(2)) = 0.06.
    assert gates.mix.mean().item() == pytest.approx(0.25, abs=0.01)
    for gate in (gates.channel, gates.spatial):
        assert gate.mean().item() == pytest.approx(1 / (1 + math.exp(-2)), abs=0.02)
        assert gate.std() < 0.1
    torch.nn.init.kaiming_normal_(rectifier.spatial[-1].weight, mode="fan_out")  # the published code: 0 or 1 at random
    gates = rectifier.gates(features)
    assert gates.spatial.std() > 0.3
    assert gates.spatial.min() < 1e-6


@pytest.mark.parametrize(("kind", "count"), [(CertaintyRectifier, 99_619), (MixingRectifier, 66_211)])
def test_parameters_of_the_rectifiers_at_both_sizes(kind: type[torch.nn.Module], count: int) -> None:
    assert sum(value.numel() for value in kind(512).parameters()) == count
    larger = {CertaintyRectifier: 223_155, MixingRectifier: 148_467}[kind]  # type: ignore[index]
    assert sum(value.numel() for value in kind(768).parameters()) == larger


@torch.no_grad()
def test_the_aligner_turns_by_six_degrees_at_most() -> None:
    aligner = HypersphericalAligner(16)
    for parameter in aligner.parameters():
        parameter.normal_(std=3)
    features = dense(2, 16, 3, 3)
    turned = aligner(features)
    torch.testing.assert_close(turned.norm(dim=1), torch.ones(2, 3, 3))
    angle = torch.acos(F.cosine_similarity(turned, features, dim=1)).max()
    assert 0.03 < angle <= math.asin(0.1) + 1e-4
    still = Alignment(share=0.0).build(16)(features)
    torch.testing.assert_close(still, F.normalize(features, dim=1))
    assert sum(value.numel() for value in HypersphericalAligner(512).parameters()) == 131_712


@torch.no_grad()
def test_geodesic_similarity_by_hand_and_in_order() -> None:
    similarity = GeodesicSimilarity(1.0)
    assert similarity.curvature.item() == pytest.approx(1)
    values = similarity(torch.tensor([1.0, 0.5, 0.0, -1.0]))
    torch.testing.assert_close(values, torch.tensor([1, 2 / 3, 1 / 2, 0]), rtol=0, atol=5e-4)
    rising = similarity(torch.linspace(-1, 1, 1001))
    assert (rising.diff() > 0).all()
    centred = GeodesicSimilarity()(torch.tensor([1.0, 0.5, 0.0, -1.0]))
    torch.testing.assert_close(centred, torch.tensor([1, 1 / 3, 0, -1]), rtol=0, atol=1e-3)
    similarity.raw_curvature.fill_(5.0)
    assert (similarity(torch.linspace(-1, 1, 1001)).diff() > 0).all()
    assert sum(value.numel() for value in similarity.parameters()) == 1
    cosine = torch.tensor([0.3, -0.9, 0.999], dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        assert torch.autograd.gradcheck(GeodesicSimilarity().double(), (cosine,))


def bank(**changes: float) -> PrototypeBank:
    return PrototypeBank(2, 3, **changes)  # type: ignore[arg-type]


def test_prototypes_move_by_hand() -> None:
    memory = bank(momentum=0.5)
    features = torch.tensor([[2.0, 0.0], [0.0, 5.0], [7.0, 7.0], [-3.0, 0.0]])
    memory.update(*memory.sums(features, torch.tensor([0, 0, IGNORE, 2])))
    half = math.sqrt(0.5)
    # Lengths do not count: class 0 has the direction of (1, 0) + (0, 1).
    torch.testing.assert_close(memory.prototypes, torch.tensor([[half, half], [0, 0], [-1, 0]]))
    assert memory.seen.tolist() == memory.ready.tolist() == [True, False, True]
    memory.update(*memory.sums(features[:1], torch.tensor([0])))
    # Half of (0.707, 0.707) and half of (1, 0), made a unit vector: 22.5 degrees.
    torch.testing.assert_close(memory.prototypes[0], torch.tensor([math.cos(math.pi / 8), math.sin(math.pi / 8)]))
    assert memory.prototypes[2].tolist() == [-1, 0]


def test_starting_directions_stay_until_a_class_is_seen() -> None:
    memory = bank(momentum=0.99)
    memory.start(torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]]))
    assert memory.ready.all()
    assert not memory.seen.any()
    memory.update(*memory.sums(torch.tensor([[0.0, -1.0]]), torch.tensor([1])))
    # At its first sight a class takes the direction itself, not one percent of it.
    assert memory.prototypes.tolist() == [[1, 0], [0, -1], [1, 0]]
    memory.start(torch.tensor([[0.0, 1.0]] * 3))  # as when a trained model is trained further
    assert memory.prototypes.tolist() == [[0, 1], [0, -1], [0, 1]]
    with pytest.raises(ValueError, match=r"4 vectors of size 2.*3 prototypes of size 2.*prototypes\.count"):
        memory.start(torch.zeros(4, 2))


def test_words_are_drawn_to_the_prototypes_they_are_near_by_hand() -> None:
    memory = bank(guidance=0.1, temperature=0.5)
    text = torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]]])
    torch.testing.assert_close(memory.guide(text), F.normalize(text, dim=-1))  # there is no prototype yet
    memory.start(torch.tensor([[0.0, 1.0], [0.0, 0.0], [-1.0, 0.0]]))
    # The word (1, 0) has cosines 0 and -1: shares 1 / (1 + e^-2) and the rest of the two prototypes that exist.
    share = 1 / (1 + math.exp(-2))
    mixture = F.normalize(torch.tensor([share - 1, share]), dim=0)
    expected = F.normalize(torch.tensor([1.0, 0.0]) + 0.1 * mixture, dim=0)
    torch.testing.assert_close(memory.guide(text)[0, 0], expected)
    assert memory.guide(text[:1].repeat(1, 3, 1)).shape == (1, 3, 2)
    still = bank(guidance=0.0)
    assert still.guide(text) is text


def test_temperatures_start_where_asked_and_stay_in_bounds() -> None:
    memory = bank(temperature=0.07)
    torch.testing.assert_close(memory.temperatures, torch.full((3,), 0.07))
    with torch.no_grad():
        memory.theta.copy_(torch.tensor([-9.0, math.log(2), 9.0]))
    torch.testing.assert_close(memory.temperatures, torch.tensor([0.01, 0.14, 1.0]))
