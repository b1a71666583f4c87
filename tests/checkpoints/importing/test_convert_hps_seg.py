"""Checkpoints of HPS-Seg and of AHS-Seg's simple design: H-CLIP's names and those of their modules."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ahs_seg.checkpoints import ModelDescription, load_model
from ahs_seg.checkpoints.importing.convert_hps_seg import convert_ahs_seg_lite, convert_hps_seg
from ahs_seg.checkpoints.importing.run import import_checkpoint, recognise
from ahs_seg.methods import AhsSegLiteConfig, CostSegmenter, HpsSegConfig
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from tests.support.official import DIM, byte_tokenizer_file, save_original, tiny_state

CLASSES = 6


def shapes(names: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=generator) * 0.1 for name, shape in names.items()}


def layers(name: str, *sizes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Official names of layers that stand at every second place of a sequence."""
    found: dict[str, tuple[int, ...]] = {}
    start, *rest = sizes
    for place, size in enumerate(rest):
        found[f"{name}.{start[0] + 2 * place}.weight"] = size
        found[f"{name}.{start[0] + 2 * place}.bias"] = size[:1]
    return found


HIDDEN = DIM // 16
HPS = shapes(
    {
        "hpa.log_temperatures": (CLASSES,),
        "hpa.prototypes": (CLASSES, DIM),
        **layers("hpa.alignment_proj", (0,), (DIM // 4, DIM), (DIM, DIM // 4)),
        "afr.mix_weight": (1,),
        **layers("afr.channel_gate", (2,), (HIDDEN, DIM), (DIM, HIDDEN)),
        **layers("afr.spatial_gate", (0,), (HIDDEN, DIM, 1, 1), (1, HIDDEN, 1, 1)),
        **layers("afr.uncertainty_estimator", (2,), (HIDDEN, DIM), (1, HIDDEN)),
    }
) | {"hpa.prototype_initialized": torch.arange(CLASSES) % 2 == 0}
BANK, RECTIFIER = "hyperspherical_loss.prototype_bank.", "hyperspherical_loss.rectifier."
LITE = shapes(
    {
        BANK + "prototypes": (CLASSES, DIM),
        BANK + "feature_queue": (8, DIM),
        RECTIFIER + "residual_scale": (1,),
        **layers(RECTIFIER + "channel_gate", (2,), (HIDDEN, DIM), (DIM, HIDDEN)),
        **layers(RECTIFIER + "spatial_gate", (0,), (1, DIM, 1, 1)),
        **layers(RECTIFIER + "uncertainty_head", (0,), (DIM // 4, DIM, 1, 1), (1, DIM // 4, 1, 1)),
        "geodesic_head.curvature": (1,),
    }
) | {
    BANK + "class_counts": torch.tensor([0.0, 5.0, 0.0, 7.0, 1.0, 0.0]),
    BANK + "class_temperature": torch.tensor([0.07, 0.14, 0.001, 0.5, 2.0, 0.035]),
    BANK + "label_queue": torch.zeros(8, dtype=torch.int64),
    BANK + "queue_ptr": torch.zeros(1, dtype=torch.int64),
    "hyperspherical_loss.distillation.current_iter": torch.tensor([400]),
}


def imported(
    state: dict[str, Tensor], kind: str | None, folder: Path, given: ModelDescription | None = None
) -> tuple[object, CostSegmenter, dict[str, str]]:
    path = save_original(state, folder / "model.pth")
    report = import_checkpoint(path, kind, folder / "model", description=given, tokenizer=byte_tokenizer_file(folder))
    description, method = load_model(folder / "model")
    assert isinstance(method, CostSegmenter)
    return description.method, method, report.ignored


@torch.no_grad()
def test_hps_seg_with_both_modules(tmp_path: Path) -> None:
    state = tiny_state("hclip_vitb") | HPS
    assert recognise(state) == "hps_seg"
    config, method, _ = imported(state, None, tmp_path)
    assert isinstance(config, HpsSegConfig)
    assert config.cost.prototypes is not None
    assert config.cost.prototypes.count == CLASSES
    parts = method.parts
    assert torch.equal(parts.aligner.mlp[2].weight[..., 0, 0], HPS["hpa.alignment_proj.2.weight"])  # type: ignore[index]
    assert torch.equal(parts.rectifier.spatial[0].weight, HPS["afr.spatial_gate.0.weight"])  # type: ignore[index]
    assert torch.equal(parts.get_parameter("rectifier.mix_logit"), HPS["afr.mix_weight"][0])
    assert torch.equal(parts.prototypes.prototypes, HPS["hpa.prototypes"])
    assert torch.equal(parts.prototypes.seen, HPS["hpa.prototype_initialized"])
    # The original's temperatures never acted; ours are all the one it was configured with.
    torch.testing.assert_close(parts.prototypes.temperatures, torch.full((CLASSES,), 0.07))
    text = torch.nn.functional.normalize(torch.randn(2, 1, DIM), dim=-1)
    assert method(torch.rand(1, 3, 50, 60), text).logits.isfinite().all()


@pytest.mark.parametrize("module", ["hpa", "afr"])
def test_hps_seg_with_one_module(module: str, tmp_path: Path) -> None:
    chosen = {key: value for key, value in HPS.items() if key.startswith(module)}
    config, method, _ = imported(tiny_state("hclip_vitb") | chosen, "hps_seg", tmp_path)
    assert isinstance(config, HpsSegConfig)
    assert (config.cost.rectification is None) == (method.parts.rectifier is None) == (module == "hpa")
    assert (config.cost.alignment is None) == (config.cost.prototypes is None) == (module == "afr")


@torch.no_grad()
def test_the_simple_design(tmp_path: Path) -> None:
    state = tiny_state("hclip_vitb") | LITE
    assert recognise(state) == "ahs_seg_lite"
    config, method, ignored = imported(state, None, tmp_path)
    assert isinstance(config, AhsSegLiteConfig)
    bank = method.parts.prototypes
    assert bank.seen.tolist() == [False, True, False, True, True, False]
    assert not bank.prototypes[~bank.seen].any()  # random ones of unseen classes
    assert torch.equal(bank.prototypes[bank.seen], LITE[BANK + "prototypes"][bank.seen])
    bounded = LITE[BANK + "class_temperature"].clamp(0.01, 1)
    torch.testing.assert_close(bank.temperatures, bounded)
    expected = {BANK + "feature_queue", BANK + "label_queue", BANK + "queue_ptr", "geodesic_head.curvature"}
    assert expected | {"hyperspherical_loss.distillation.current_iter"} <= set(ignored)


@torch.no_grad()
def test_temperatures_are_those_of_the_checkpoint_whatever_they_began_with(tmp_path: Path) -> None:
    cost = AhsSegLiteConfig().cost.replace(prototypes=Prototypes(temperature=0.1, momentum=0.9))
    given = ModelDescription(method=AhsSegLiteConfig(cost=cost))
    config, method, _ = imported(tiny_state("hclip_vitb") | LITE, None, tmp_path, given)
    assert isinstance(config, AhsSegLiteConfig)
    assert config.cost.prototypes is not None
    assert config.cost.prototypes.momentum == 0.9
    bounded = LITE[BANK + "class_temperature"].clamp(0.01, 1)
    torch.testing.assert_close(method.parts.prototypes.temperatures, bounded)


def test_the_checkpoints_that_its_code_can_write_are_h_clip(tmp_path: Path) -> None:
    """Only self-distillation runs in the published code, and it leaves a step counter behind."""
    name = "hyperspherical_loss.distillation.current_iter"
    config, method, _ = imported(tiny_state("hclip_vitb") | {name: LITE[name]}, None, tmp_path)
    assert isinstance(config, AhsSegLiteConfig)
    assert (config.cost.prototypes, config.cost.rectification) == (None, None)
    assert config.cost.distillation is not None
    assert not list(method.parts.state_dict())


@pytest.mark.parametrize(("converter", "own"), [(convert_hps_seg, HPS), (convert_ahs_seg_lite, LITE)])
def test_every_key_is_mapped_or_ignored_with_a_reason(converter, own: dict[str, Tensor]) -> None:
    state = tiny_state("hclip_vitb") | own
    conversion = converter(state)
    assert set(conversion.origins.values()) | set(conversion.ignored) == set(state)
    assert all(conversion.ignored.values())
    with pytest.raises(ValueError, match=r"1 unknown keys: afr\.extra"):
        converter(state | {"afr.extra": torch.zeros(1)})
