"""The building blocks of AHS-Seg beside the recorded ones; where they differ on purpose, the old and the new value."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.checkpoints.importing.convert_ahs_seg import fusion_rules, projection_rules
from ahs_seg.checkpoints.importing.key_rules import convert
from ahs_seg.methods.cost.parts.fusion import FusionConfig, HypersphericalFusion, boundary_loss
from ahs_seg.methods.cost.parts.projection import DynamicProjection, ProjectionConfig, contrastive_loss, hierarchy_loss
from ahs_seg.tuners.orthogonal import Modulation, TowerModulation, cayley, energy_loss
from tests.parity.modules import blocks, close, drawn, figure, weights


@pytest.fixture
def modulation() -> TowerModulation:
    tower = TowerModulation(12, beta=0.7)
    tower.load_state_dict(weights("hahem.text"))
    return tower


@pytest.fixture(scope="module")
def fusion() -> HypersphericalFusion:
    built = FusionConfig(levels=(3, 7, 11)).build(512, 768, 12)
    built.load_state_dict(convert(weights("mhfpn"), fusion_rules("", "")).state)
    return built


@pytest.fixture(scope="module")
def projection() -> DynamicProjection:
    built = ProjectionConfig().build(512)
    built.load_state_dict(convert(weights("dchsp"), projection_rules("", "")).state)
    return built.eval()


@torch.no_grad()
def test_modulated_rotations(modulation: TowerModulation) -> None:
    recorded = torch.tensor(figure("hahem.modulation"))
    torch.testing.assert_close(modulation.strength, recorded, rtol=1e-5, atol=0)
    rotations = cayley(drawn("skew", 4, 128, 128, scale=0.02))
    modulated = modulation(rotations.expand(12, 4, 4, 128, 128))
    close("hahem.R_adapt_layer3", modulated[3, 0], 1, 16, 16, tolerance=2e-6)  # the original inverts with 1e-6 added


@torch.no_grad()
def test_energy_is_a_mean_where_the_original_sums(modulation: TowerModulation) -> None:
    """Recorded: one projection of four blocks in twelve layers. Only the first part of the loss is over blocks."""
    rotations = cayley(drawn("skew", 4, 128, 128, scale=0.02)).expand(12, 4, 4, 128, 128)
    loss = energy_loss(modulation(rotations), modulation.alpha).item()
    alpha = modulation.alpha
    rest = (-0.1 * alpha.var() + 0.05 * alpha.diff().square().mean()).item()
    assert figure("hahem.energy_loss") == pytest.approx(1.7911636)
    assert (loss - rest) * 4 + rest == pytest.approx(1.7911636, rel=1e-4)
    assert loss == pytest.approx(0.4471928, rel=1e-4)


def test_beta_of_the_vision_tower_starts_where_it_has_a_gradient() -> None:
    assert figure("hahem.vision.official_init")["beta_logit"] == pytest.approx(18.42, abs=0.01)
    towers = Modulation().build({"vision": 12, "text": 12})
    assert towers.vision.beta_logit.item() == pytest.approx(4.595, abs=0.001)
    official = figure("hahem.text.official_init")
    assert towers.text.beta_logit.item() == pytest.approx(official["beta_logit"])
    assert towers.text.alpha_logits.tolist() == pytest.approx([official["alpha_logit"]] * 12)


@torch.no_grad()
def test_fusion(fusion: HypersphericalFusion) -> None:
    assert sum(p.numel() for p in fusion.parameters()) == figure("mhfpn.params")
    tokens = [drawn(f"level{index}", 1, 576, 768) for index in range(3)]
    levels = [level.transpose(1, 2).unflatten(2, (24, 24)) for level in tokens]
    first = fusion.processors[0]
    close("mhfpn.level0_aligned", first.on_sphere(levels[0])[0].flatten(1).T, 24, 16)
    close("mhfpn.level0", first(levels[0])[0], 32, 4, 4)
    close("mhfpn.out", fusion(levels)[0], 16, 4, 4)


@torch.no_grad()
def test_projection(projection: DynamicProjection) -> None:
    """The recorded text is not normalised, as `text` would; the original's radius stands before everything."""
    text, radius = drawn("text", 20, 512), weights("dchsp")["radius"]
    close("dchsp.complexity", projection.estimator(text), 1)
    close("dchsp.text", radius * projection.project(text), 1, 8)
    close("dchsp.image", radius * projection.image(drawn("feat", 2, 512, 24, 24)), 1, 32, 4, 4)


def test_parameters_that_nothing_used_are_left_out(projection: DynamicProjection) -> None:
    assert figure("dchsp.params") == 1_050_759
    assert figure("dchsp.params_excluding_unused_multi_scale") == 820_484
    # Without the image's dynamic part, which never acts, its scale, and the radius: 2 * 64 * 512 + 1 + 1 fewer.
    assert sum(p.numel() for p in projection.parameters()) == 820_484 - 65_538 == 754_946


@torch.no_grad()
def test_contrastive_loss(projection: DynamicProjection) -> None:
    features, words = projection.image(drawn("feat", 2, 512, 24, 24)), projection.project(drawn("text", 20, 512))
    labels = blocks("labels20", 2, 24, 24, ignore=19)
    recorded = figure("dchsp.contrastive_reference(no ignored pixels)")
    assert contrastive_loss(features, labels, words).item() == pytest.approx(recorded, rel=1e-6)


@torch.no_grad()
def test_contrastive_loss_leaves_out_what_the_original_takes_for_class_0(projection: DynamicProjection) -> None:
    features, words = projection.image(drawn("feat", 2, 512, 24, 24)), projection.project(drawn("text", 20, 512))
    labels = blocks("labels", 2, 24, 24)
    assert (labels < 0).any()
    old = contrastive_loss(features, labels.clamp(min=0), words).item()
    new = contrastive_loss(features, labels, words).item()
    assert (old, new) == pytest.approx((3.0398140, 3.0003331), rel=1e-5)


@torch.no_grad()
def test_hierarchy_loss(projection: DynamicProjection) -> None:
    margins = torch.zeros(20, 20)
    for name, margin in (("parent_child", 0.3), ("siblings", 0.5)):
        for one, other in figure("dchsp.hierarchy_relations")[name]:
            margins[one, other] = margins[other, one] = margin
    words = projection.project(drawn("text", 20, 512))
    assert hierarchy_loss(words, margins).item() == pytest.approx(figure("dchsp.hierarchy"), rel=1e-6)


def official_boundary(logits: Tensor, labels: Tensor) -> Tensor:
    """The original's loss: edges of class numbers, 255 among them, against the maps of all classes."""

    def strength(maps: Tensor) -> Tensor:
        kernel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
        gradient = F.conv2d(maps[:, None], torch.stack([kernel, kernel.T])[:, None], padding=1)
        edges = (gradient.square().sum(1) + 1e-8).sqrt()
        return edges / (edges.max() + 1e-8)

    def scale(logits: Tensor, labels: Tensor) -> Tensor:
        edges = strength(logits.sigmoid().flatten(0, 1)).view_as(logits)
        return F.binary_cross_entropy(edges, strength(labels)[:, None].expand_as(edges))

    small = F.interpolate(logits, scale_factor=0.5, mode="bilinear", align_corners=False)
    return (scale(logits, labels) + 0.5 * scale(small, labels[:, ::2, ::2])) / 1.5


def test_boundary_loss_is_of_masks_not_of_class_numbers() -> None:
    logits = drawn("logits", 1, 20, 96, 96)
    old = official_boundary(logits, blocks("btarget", 1, 96, 96, size=12, ignore=255).float()).item()
    assert old == pytest.approx(figure("boundary.reference_value"), rel=1e-5)
    assert old == pytest.approx(0.3180741, rel=1e-5)
    labels = blocks("btarget", 1, 96, 96, size=12)
    assert boundary_loss(logits, labels).item() == pytest.approx(0.2838503, rel=1e-5)
    # The original's value follows the numbers of the classes; ours does not.
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    renamed = torch.where(labels < 0, labels, order[labels])
    moved = logits[:, order.argsort()]
    torch.testing.assert_close(boundary_loss(moved, renamed), boundary_loss(logits, labels))
    other = official_boundary(moved, torch.where(labels < 0, 255, renamed).float()).item()
    assert abs(other - old) > 1e-3
