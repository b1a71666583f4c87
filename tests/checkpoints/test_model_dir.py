"""Model directories come back whole, or say what is wrong with them."""

import json
from pathlib import Path

import pytest
import torch

from ahs_seg.checkpoints import CheckpointError, ModelDescription, load_model, save_model
from ahs_seg.methods import CostSegmenter
from tests.support.builders import random_backbone
from tests.support.small_methods import CAT_SEG, H_CLIP


@pytest.fixture(params=[CAT_SEG, H_CLIP], ids=["cat_seg", "h_clip"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, CostSegmenter]:
    method = request.param.compose(random_backbone()).eval()
    description = ModelDescription(method=request.param, trained_on=("cat", "dog"))
    return save_model(method, description, tmp_path / "model"), method


@torch.no_grad()
def test_a_saved_model_computes_the_same(saved: tuple[Path, CostSegmenter]) -> None:
    directory, method = saved
    description, loaded = load_model(directory)
    assert description.trained_on == ("cat", "dog")
    images = torch.rand(1, 3, 64, 64)
    tokens = method.backbone.tokenizer(["cat", "bird"])
    text = [model.backbone.encode_text(model.backbone.tokenizer(["cat", "bird"])) for model in (method, loaded)]
    torch.testing.assert_close(text[0], text[1], rtol=0, atol=0)
    assert loaded.backbone.tokenizer(["cat", "bird"]).ids.tolist() == tokens.ids.tolist()
    outputs = [model(images, words[:, None]).logits for model, words in zip((method, loaded), text, strict=True)]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=0)


def test_what_trains_is_restored_too(saved: tuple[Path, CostSegmenter]) -> None:
    directory, method = saved
    _, loaded = load_model(directory)
    trained = [{name for name, p in model.named_parameters() if p.requires_grad} for model in (method, loaded)]
    assert trained[0] == trained[1]


def test_saving_again_replaces_and_leaves_nothing_behind(saved: tuple[Path, CostSegmenter]) -> None:
    directory, method = saved
    save_model(method, ModelDescription(method=CAT_SEG), directory)
    assert [path.name for path in directory.parent.iterdir()] == ["model"]


def test_a_failure_while_saving_keeps_the_old_model(
    saved: tuple[Path, CostSegmenter], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, method = saved
    before = (directory / "model.safetensors").read_bytes()
    monkeypatch.setattr(method.backbone, "tokenizer", None)
    with pytest.raises(AttributeError):
        save_model(method, ModelDescription(), directory)
    assert (directory / "model.safetensors").read_bytes() == before
    assert [path.name for path in directory.parent.iterdir()] == ["model"]


def test_damage_is_named(saved: tuple[Path, CostSegmenter]) -> None:
    directory, _ = saved
    weights = directory / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        load_model(directory)
    weights.write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(directory)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        load_model(directory)


def test_weights_of_another_method_are_refused_by_name(tmp_path: Path) -> None:
    one = save_model(H_CLIP.compose(random_backbone()), ModelDescription(method=H_CLIP), tmp_path / "h_clip")
    other = save_model(CAT_SEG.compose(random_backbone()), ModelDescription(method=CAT_SEG), tmp_path / "cat_seg")
    (one / "model.safetensors").replace(other / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"does not belong to the cat_seg.*3 unexpected.*adapter\.bank"):
        load_model(other)


def test_what_is_not_a_model_directory(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"not a model directory: it has no config\.json"):
        load_model(tmp_path / "nothing")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not readable as JSON"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"method": {"name": "cat_seg", "colour": 3}}))
    with pytest.raises(CheckpointError, match=r"method\.cat_seg\.colour: unknown key"):
        load_model(tmp_path)
