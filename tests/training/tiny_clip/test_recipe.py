from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.data.world.mosaics import Mix
from ahs_seg.training import checkpoint
from ahs_seg.training.tiny_clip import recipe
from ahs_seg.training.tiny_clip.model import TinyClipConfig
from ahs_seg.training.tiny_clip.recipe import PretrainConfig, Stage, pretrain

MICRO = PretrainConfig(
    model=TinyClipConfig(stem=(8, 8, 8, 8), width=32, depth=2, text_depth=1, heads=2, dim=16, resolution=32),
    stages=(
        Stage(until=0.34, stem_alone=True, mixes=(Mix(size=32, count=4, whole=1, radius=(8, 12)),)),
        Stage(until=1, mixes=(Mix(size=32, count=4, whole=1), Mix(size=64, count=2, scenes=0.5))),
    ),
    steps=6,
    save_every=2,
    warmup_steps=1,
    captions=100,
    workers=0,
    photos=4,
    scenes=2,
)


def test_a_run_cut_off_anywhere_ends_with_the_same_weights(tmp_path):
    pretrain(tmp_path / "whole", MICRO)
    for steps in (2, 4):
        cut = tmp_path / f"cut-{steps}"
        _interrupted(cut, steps)
        pretrain(cut, MICRO)
        for name, value in load_file(tmp_path / "whole" / "model.safetensors").items():
            assert torch.equal(load_file(cut / "model.safetensors")[name], value), name
        assert (cut / "test.json").read_text() == (tmp_path / "whole" / "test.json").read_text()


def test_the_result_is_a_clip_like_any_other(tmp_path):
    figures = pretrain(tmp_path, MICRO)
    backbone = ClipConfig(source=str(tmp_path)).build()
    assert (backbone.resolution, backbone.dim, backbone.depth, backbone.patch_size) == (32, 16, 2, 8)
    features = backbone.encode_image(torch.rand(1, 3, 32, 48), pooled=True)
    assert features.dense.shape == (1, 16, 4, 6)
    assert backbone.encode_text(backbone.tokenizer(["a red star", "grass"])).shape == (2, 16)
    assert figures.faults()[0].startswith("zero-shot top-1 is")
    assert not any("norm" in name or "running" in name for name in _stem(backbone))


def test_another_recipe_does_not_continue_a_run(tmp_path):
    pretrain(tmp_path, MICRO)
    with pytest.raises(ValueError, match="another recipe"):
        pretrain(tmp_path, MICRO.replace(learning_rate=1e-4))


def test_the_rate_warms_up_twice_and_ends_near_zero():
    config = PretrainConfig(steps=1000, warmup_steps=10)
    joins = next(step for step in range(1000) if not config.stage(step).stem_alone)
    assert joins == 200
    assert config.rate(0) == pytest.approx(2e-4)
    assert config.rate(joins) < config.rate(joins - 1) / 8
    assert config.rate(joins + 9) == pytest.approx(config.rate(joins - 1), rel=0.05)
    assert config.rate(999) < 1e-7


def _interrupted(directory, steps):
    """What a run leaves behind that was killed after `steps` steps: checkpoints of the whole recipe, no result."""

    class CutError(Exception):
        pass

    write = checkpoint.write

    def write_then_cut(root: Path, state: checkpoint.Checkpoint) -> Path:
        path = write(root, state)
        if state.step == steps:
            raise CutError
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "write", write_then_cut)
        with pytest.raises(CutError):
            pretrain(directory, MICRO)


def _stem(backbone):
    return dict(backbone.model.vision_model.embeddings.patch_embedding.named_parameters())
