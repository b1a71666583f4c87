"""OpenAI's CLIP becomes a backbone."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.checkpoints import CheckpointError, load_model
from ahs_seg.checkpoints.importing.run import import_checkpoint
from tests.support.official import (
    CLIP,
    archive,
    plain_clip,
)


@torch.no_grad()
def test_openais_archive_becomes_a_backbone_and_a_baseline(
    tmp_path: Path, words: Path, state: dict[str, Tensor]
) -> None:
    path = archive(plain_clip(state), tmp_path / "ViT.pt")
    report = import_checkpoint(path, "clip", tmp_path / "clip", tokenizer=words)
    assert report.ignored == dict.fromkeys(["input_resolution", "context_length"], "a size, inferred from the shapes")
    backbone = ClipConfig(source=str(tmp_path / "clip")).build()
    assert backbone.resolution == 32
    key = CLIP + "visual.transformer.resblocks.2.attn.v_proj_weight"
    value = backbone.model.vision_model.encoder.layers[2].self_attn.v_proj.weight
    assert torch.equal(value, state[key].half().float())
    import_checkpoint(path, "zero_shot", tmp_path / "baseline", tokenizer=words)
    _, method = load_model(tmp_path / "baseline")
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(method.backbone.encode_image(image).dense, backbone.encode_image(image).dense)
    with pytest.raises(CheckpointError, match="Its keys are those of clip"):
        import_checkpoint(path, "cat_seg", tmp_path / "model", tokenizer=words)
