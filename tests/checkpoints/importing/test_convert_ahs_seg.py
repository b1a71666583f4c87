"""Checkpoints of AHS-Seg: H-CLIP's names, and those of the two parts that its code would save."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ahs_seg.checkpoints import CheckpointError, load_model
from ahs_seg.checkpoints.importing.convert_ahs_seg import convert_ahs_seg
from ahs_seg.checkpoints.importing.run import import_checkpoint, recognise
from ahs_seg.methods import AhsSegConfig, CostSegmenter
from ahs_seg.methods.cost.parts.projection import DynamicProjection
from ahs_seg.tuners import Orthogonal
from tests.parity.modules import manifest
from tests.support.official import DIM, VISION, byte_tokenizer_file, save_original, tiny_state

OFFICIAL = {"mhfpn": "ms_fpn", "dchsp": "class_projection"}
OLD_SIZES = {512: DIM, 768: VISION, 256: 256, 128: 128}


def parts_state() -> dict[str, Tensor]:
    """The official names of both parts, for a joint space of 64 and a tower 256 wide."""
    generator = torch.Generator().manual_seed(1)
    state = {}
    for group, prefix in OFFICIAL.items():
        for entry in manifest()["state_dict"][group]:
            size = [OLD_SIZES.get(side, side) for side in entry["shape"]]
            state[entry["name"].replace(group, prefix, 1)] = torch.randn(size, generator=generator) * 0.1
    return state | {f"boundary_loss.boundary_loss.sobel_{axis}": torch.zeros(1, 1, 3, 3) for axis in "xy"}


def imported(state: dict[str, Tensor], tmp_path: Path) -> tuple[AhsSegConfig, CostSegmenter, dict[str, str]]:
    path = save_original(state, tmp_path / "model.pth")
    report = import_checkpoint(path, "ahs_seg", tmp_path / "model", tokenizer=byte_tokenizer_file(tmp_path))
    description, method = load_model(tmp_path / "model")
    assert isinstance(description.method, AhsSegConfig)
    assert isinstance(method, CostSegmenter)
    return description.method, method, report.ignored


def test_a_shipped_checkpoint_has_no_parts(tmp_path: Path) -> None:
    config, method, _ = imported(tiny_state("hclip_vitb"), tmp_path)
    assert (config.cost.fusion, config.cost.projection) == (None, None)
    assert isinstance(config.tuner, Orthogonal)
    assert config.tuner.modulation is None
    assert method.parts.fusion is None


@torch.no_grad()
def test_a_checkpoint_with_the_parts_brings_them_along(tmp_path: Path) -> None:
    state = tiny_state("hclip_vitb") | parts_state()
    assert recognise(state) == "ahs_seg"
    config, method, ignored = imported(state, tmp_path)
    assert config.cost.projection is not None
    assert config.cost.projection.rank == 64
    fusion, projection = method.parts.fusion, method.parts.projection
    assert fusion is not None
    assert isinstance(projection, DynamicProjection)
    assert fusion.levels == (0, 1, 2)
    assert torch.equal(fusion.weights, state["ms_fpn.fusion_weights"])
    assert torch.equal(
        fusion.get_parameter("processors.2.radius"), state["ms_fpn.level_processors.2.hs_align.radius"][0]
    )
    assert torch.equal(fusion.get_parameter("output.3.weight"), state["ms_fpn.output_proj.3.weight"])
    assert torch.equal(projection.up.weight, state["class_projection.text_proj.delta_B.weight"])
    assert torch.equal(
        projection.get_parameter("image_base.weight"), state["class_projection.image_proj.base_proj.weight"]
    )
    reasons = {key.split(".")[1]: reason for key, reason in ignored.items() if key.startswith("class_projection")}
    assert set(reasons) == {"complexity_estimator", "image_proj", "radius"}
    assert "has no effect" in reasons["image_proj"]
    images, text = torch.rand(1, 3, 50, 60), torch.nn.functional.normalize(torch.randn(2, 1, DIM), dim=-1)
    assert method(images, text).logits.isfinite().all()


def test_every_key_is_mapped_or_ignored_with_a_reason() -> None:
    state = tiny_state("hclip_vitb") | parts_state()
    conversion = convert_ahs_seg(state)
    assert set(conversion.origins.values()) | set(conversion.ignored) == set(state)
    assert all(conversion.ignored.values())


def test_an_unknown_key_of_a_part_is_refused(tmp_path: Path) -> None:
    state = tiny_state("hclip_vitb") | parts_state() | {"ms_fpn.lateral.0.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"1 unknown keys: ms_fpn\.lateral"):
        imported(state, tmp_path)
    assert not (tmp_path / "model").exists()
