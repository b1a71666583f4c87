"""The tiny CLIP before its training: reproducible, prepared as described, and the same after saving."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.config import ConfigError
from ahs_seg.training.tiny_clip.model import TinyClipConfig, save_clip, train_tokenizer

CONFIG = TinyClipConfig(
    stem=(8, 8, 8, 8), patch=8, width=16, depth=2, text_depth=1, heads=2, dim=12, tokens=300, resolution=32
)
CAPTIONS = ("a red star on grass", "a blue star", "grass and a red circle")


def build(seed: int = 0) -> ClipBackbone:
    return CONFIG.build(CAPTIONS, seed)


def test_weights_depend_on_the_seed_alone() -> None:
    first, again, other = (build(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_positions_are_waves_of_row_and_column() -> None:
    table = build().position_table
    assert not table[0].any(), "the class token has no place"
    frequencies = torch.linspace(math.log(0.15), math.log(2.0), 4).exp()
    row, column = 2, 3
    angles = [place * frequencies for place in (row, column)]
    expected = 0.5 * torch.cat([angles[0].sin(), angles[0].cos(), angles[1].sin(), angles[1].cos()])
    torch.testing.assert_close(table[1 + 4 * row + column].detach(), expected)


def test_attention_prefers_what_is_alike_and_the_last_value_path_is_near_the_identity() -> None:
    blocks = build().model.vision_model.encoder.layers
    for block in blocks:
        query, key = block.self_attn.q_proj.weight, block.self_attn.k_proj.weight
        assert torch.nn.functional.cosine_similarity(query.flatten(), key.flatten(), dim=0) > 0.98
    last = blocks[-1].self_attn
    for weight in (last.v_proj.weight, last.out_proj.weight):
        assert weight.diagonal().mean().item() == pytest.approx(1, abs=0.1)
        assert weight.detach().fill_diagonal_(0).square().mean().sqrt() < 0.3


def test_similarities_are_scaled_by_ten() -> None:
    assert build().logit_scale.item() == pytest.approx(10)


def test_words_that_were_not_met_fall_into_pieces() -> None:
    tokenizer = train_tokenizer(CAPTIONS * 10, 400, 28)
    met, unmet = tokenizer(["red star", "rocket"])[:1], tokenizer(["red star", "rocket"])[1:]
    assert int(met.ends) == 3, "start, red, star, end"
    assert int(unmet.ends) > 3
    assert (int(met.ids[0, 0]), int(met.ids[0, met.ends])) == (0, 1)


@torch.no_grad()
def test_what_is_saved_gives_the_same_features_without_batch_norm(tmp_path: Path) -> None:
    backbone = build().train()
    images = torch.rand(4, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        backbone.encode_image(images)  # statistics of the batch norm move
    backbone.eval()
    (tmp_path / "note.txt").write_text("mine")
    save_clip(backbone, tmp_path)
    loaded = ClipConfig(source=str(tmp_path)).build()
    assert not any("running" in key for key in loaded.state_dict())
    expected, found = (one.encode_image(one.normalise(images), pooled=True) for one in (backbone, loaded))
    torch.testing.assert_close(found.dense, expected.dense, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.pooled, expected.pooled, rtol=1e-4, atol=1e-5)
    tokens = backbone.tokenizer(["a green rocket"])
    assert torch.equal(loaded.tokenizer(["a green rocket"]).ids, tokens.ids)
    torch.testing.assert_close(loaded.encode_text(tokens), backbone.encode_text(tokens))
    assert (tmp_path / "note.txt").read_text() == "mine"


@pytest.mark.parametrize("key", ["patch", "width", "depth", "resolution"])
def test_sizes_are_positive(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key}: .*greater than 0 \(given: 0\)"):
        TinyClipConfig.parse({key: 0})
