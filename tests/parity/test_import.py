"""The recorded networks pass through the import of an original checkpoint, and give the recorded numbers."""

from pathlib import Path

import pytest
import torch

from ahs_seg.checkpoints import load_model
from ahs_seg.checkpoints.importing.run import CheckpointKind, import_checkpoint
from ahs_seg.methods import CostSegmenter
from tests.parity.case import Case
from tests.parity.recording import recording
from tests.support.official import full_tokenizer, save_original

KINDS: dict[str, CheckpointKind] = {"catseg_vitb": "cat_seg", "catseg_vitl": "cat_seg", "hclip_vitb": "h_clip"}


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@torch.no_grad()
def test_a_checkpoint_in_the_original_layout_gives_the_recorded_logits(name: str, tmp_path: Path) -> None:
    source = recording(name)
    state = source.state()
    constants = [entry for entry in source.manifest["state_dict"] if entry.get("std") == "computed"]
    state |= {entry["name"]: torch.zeros(entry["shape"]) for entry in constants}
    path = save_original(state, tmp_path / "model.pth")
    report = import_checkpoint(path, KINDS[name], tmp_path / "model", tokenizer=full_tokenizer(tmp_path))
    del state
    path.unlink()
    assert report.clip == ("ViT-L/14@336px" if name.endswith("vitl") else "ViT-B/16")
    assert report.numbers == source.manifest["n_parameters"]
    assert len(report.mapped) + len(report.ignored) == len(source.manifest["state_dict"]) + 3
    description, method = load_model(tmp_path / "model")
    assert description.method.backbone.resolution == (336 if name.endswith("vitl") else 384)
    assert isinstance(method, CostSegmenter)
    case = Case(source, method, report.ignored)
    logits = case.logits(case.text("tokens_20"), 1).logits
    case.close("logits_pool1", logits[0], 1, 6, 6)
