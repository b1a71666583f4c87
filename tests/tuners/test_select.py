"""Tuners that choose among the backbone's own weights: exactly those that they say train."""

import pytest

from ahs_seg.backbones.base import Backbone
from ahs_seg.config import ConfigError
from ahs_seg.methods import CatSegConfig
from ahs_seg.tuners import Attention, Frozen, Full
from tests.support.builders import random_backbone


def trained(backbone: Backbone) -> set[str]:
    return {name.removeprefix("model.") for name, p in backbone.named_parameters() if p.requires_grad}


def blocks(tower: str, depth: int, *parts: str) -> set[str]:
    return {f"{tower}_model.encoder.layers.{block}.{part}" for block in range(depth) for part in parts}


def test_nothing_trains_that_is_frozen_also_after_it_did() -> None:
    backbone = Full(stem=True).apply(random_backbone())
    assert trained(backbone)
    assert trained(Frozen().apply(backbone)) == set()


def test_attention_is_queries_and_values_but_the_query_that_dense_features_do_not_read() -> None:
    parts = ("self_attn.q_proj.weight", "self_attn.v_proj.weight")
    expected = blocks("vision", 3, *parts) | blocks("text", 2, *parts)
    unread = "vision_model.encoder.layers.2.self_attn.q_proj.weight"
    assert trained(Attention().apply(random_backbone())) == expected - {unread}


def test_full_is_all_of_the_blocks_but_what_dense_features_do_not_read() -> None:
    backbone = Full().apply(random_backbone())
    names = {name.removeprefix("model.") for name, _ in backbone.named_parameters()}
    last = "vision_model.encoder.layers.2.self_attn"
    unread = {f"{last}.{part}_proj.{kind}" for part in "qk" for kind in ("weight", "bias")}
    assert trained(backbone) == {name for name in names if ".encoder.layers." in name} - unread


def test_the_stem_adds_the_patch_embedding_alone() -> None:
    added = trained(Full(stem=True).apply(random_backbone())) - trained(Full().apply(random_backbone()))
    assert added
    assert all("patch_embedding" in name for name in added)


@pytest.mark.parametrize("tuner", ["{name: lora}", "{name: attention, stem: true}", "{name: full, stem: maybe}"])
def test_unknown_tuners_and_keys_are_named(tuner: str) -> None:
    with pytest.raises(ConfigError, match="tuner"):
        CatSegConfig.parse({}, [f"tuner={tuner}"])
