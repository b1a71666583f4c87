"""SCAN's checkpoint, and the two files it is made of, become the same model directory."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ahs_seg.checkpoints import CheckpointError, ModelDescription, load_model
from ahs_seg.checkpoints.importing.convert_scan import scan_config
from ahs_seg.checkpoints.importing.run import ClipSettings, import_checkpoint, published, recognise
from ahs_seg.methods import ScanConfig, ScanSegmenter
from tests.parity.mask_recording import mask_recording
from tests.parity.scan_case import TINY
from tests.support.official import full_tokenizer, save_original

CLIP, ORIGINAL = "clip_adapter.clip_model.", "clip_adapter.original_clip."


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return mask_recording("scan_tiny").state(constants=True)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full_tokenizer(tmp_path_factory.mktemp("tokenizer"))


DESCRIPTION = published("scan").replace(method=TINY)
TINY_CLIP = ClipSettings(heads=4, text_heads=4)


def imported(state: dict[str, Tensor], words: Path, directory: Path, shifted: dict | None = None) -> ScanSegmenter:
    path, second = save_original(state, directory / "SCAN.pth"), None
    if shifted is not None:
        second = directory / "CS_CLIP.pt"
        torch.save({"epoch": 10, "name": "run", "state_dict": shifted, "optimizer": {"state": {}}}, second)
    import_checkpoint(
        path, None, directory / "model", description=DESCRIPTION, tokenizer=words, shifted=second, clip=TINY_CLIP
    )
    description, method = load_model(directory / "model")
    assert isinstance(description, ModelDescription)
    assert isinstance(method, ScanSegmenter)
    return method


def test_every_key_is_mapped_or_left_out_with_a_reason(state: dict[str, Tensor], words: Path, tmp_path: Path) -> None:
    assert recognise(state) == "scan"
    path = save_original(state, tmp_path / "SCAN.pth")
    report = import_checkpoint(
        path, "scan", tmp_path / "model", description=DESCRIPTION, tokenizer=words, clip=TINY_CLIP
    )
    assert set(report.mapped) | set(report.ignored) == set(state) | {"optimizer", "scheduler", "iteration"}
    assert all(report.ignored.values())
    description, method = load_model(tmp_path / "model")
    assert description.prompts.templates == "vild"
    assert description.inference.shortest_edge == 640
    assert isinstance(description.method, ScanConfig)
    assert description.method.backbone.resolution == 224
    assert method.backbone.model.config.vision_config.hidden_act == "gelu"
    assert torch.equal(
        method.backbone.model.vision_model.embeddings.class_embedding, state[f"{ORIGINAL}class_embedding"]
    )
    assert torch.equal(
        method.shifted.get_parameter("vision_model.embeddings.class_embedding"), state[f"{CLIP}visual.class_embedding"]
    )
    assert report.numbers == sum(parameter.numel() for parameter in method.parameters())


def test_the_large_one_has_more_shifts_unless_its_description_has_its_own() -> None:
    towers = {
        blocks: {f"shifted.vision_model.encoder.layers.{index}.mlp.fc1.bias": torch.zeros(1) for index in range(blocks)}
        for blocks in (12, 24)
    }
    assert scan_config(ScanConfig(), towers[12]) == ScanConfig()
    assert scan_config(ScanConfig(), towers[24]) == ScanConfig(shifts=(1, 3, 5, 7, 9))
    own = ScanConfig(shifts=(2, 4))
    assert scan_config(own, towers[12]) == scan_config(own, towers[24]) == own


@pytest.mark.slow
def test_the_two_files_give_what_the_fused_one_gives(state: dict[str, Tensor], words: Path, tmp_path: Path) -> None:
    first = {
        key: state[key.replace(f"{CLIP}visual.", ORIGINAL)] if key.startswith(f"{CLIP}visual.") else value
        for key, value in state.items()
    }
    second = {f"module.clip_model.{key.removeprefix(CLIP)}": state[key] for key in state if key.startswith(CLIP)}
    second["module.other"] = torch.zeros(1)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    fused, joined = imported(state, words, tmp_path / "one"), imported(first, words, tmp_path / "two", second)
    expected, found = fused.state_dict(), joined.state_dict()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    for name, wrapper in (("bare", ""), ("compiled", "_orig_mod.module.")):  # as saved without and with more wrappers
        (tmp_path / name).mkdir()
        third = {wrapper + key.removeprefix("module."): value for key, value in second.items()}
        found = imported(first, words, tmp_path / name, third).state_dict()
        assert all(torch.equal(found[key], value) for key, value in expected.items())
    del second["module.clip_model.visual.class_embedding"]
    with pytest.raises(CheckpointError, match=r"1 weights of the fine-tuned CLIP are missing.*class_embedding"):
        imported(first, words, tmp_path / "two", second)
