"""H-CLIP's own keys."""

from pathlib import Path

import pytest
import torch

from ahs_seg.checkpoints import CheckpointError, load_model
from ahs_seg.checkpoints.importing.run import import_checkpoint
from ahs_seg.methods import HClipConfig
from ahs_seg.tuners import Orthogonal
from ahs_seg.tuners.orthogonal import Rotations
from tests.support.official import (
    COPY,
    save_original,
    tiny_state,
)


def test_rotations_are_read_from_the_first_block(tmp_path: Path, words: Path) -> None:
    original = tiny_state("hclip_vitb")
    import_checkpoint(save_original(original, tmp_path / "a.pth"), "h_clip", tmp_path / "model", tokenizer=words)
    description, method = load_model(tmp_path / "model")
    assert isinstance(description.method, HClipConfig)
    assert isinstance(description.method.tuner, Orthogonal)
    assert isinstance(method.backbone.adapter, Rotations)
    assert torch.equal(method.backbone.adapter.bank[5, 2], original[COPY][:, :, 5, 2])
    other = COPY.replace("resblocks.0", "resblocks.1")
    original[other] = original[other] + 1
    path = save_original(original, tmp_path / "b.pth")
    with pytest.raises(CheckpointError, match=r"1 copies of the shared rotations differ.*resblocks\.1\.attn_q"):
        import_checkpoint(path, "h_clip", tmp_path / "other", tokenizer=words)
