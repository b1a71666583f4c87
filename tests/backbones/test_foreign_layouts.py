"""A model that is no CLIP is called what it is."""

import pytest

from ahs_seg.backbones.foreign_layouts import named_by_keys, named_by_type
from ahs_seg.backbones.kinds import KINDS
from tests.support.backbone_kinds import TINY_KINDS, tiny_backbone

CLIP_MARKS = KINDS["clip"].marks


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("clipseg", "CLIPSeg"),
        ("siglip_text_model", "text tower of a SigLIP"),
        ("clip_vision_model", "image tower"),
        ("bert", "'bert'"),
    ],
)
def test_a_model_type_has_a_name_and_a_remedy(kind: str, name: str) -> None:
    assert name in named_by_type(kind)
    assert "openai/clip-vit-base-patch16" in named_by_type(kind)


def test_a_whole_clip_needs_no_name() -> None:
    assert named_by_keys(CLIP_MARKS) == ""


@pytest.mark.parametrize("name", TINY_KINDS)
def test_keys_of_another_kind_than_the_config_says(name: str) -> None:
    backbone = tiny_backbone(name)
    keys = backbone.network_state().keys()
    assert named_by_keys(keys, backbone.kind) == ""
    other = "siglip" if backbone.kind == "altclip" else "altclip"
    if backbone.kind in ("clip", "metaclip_2", "tipsv2"):  # no key of theirs tells a kind
        assert named_by_keys(keys, other) == "" or "alone" in named_by_keys(keys, other)
    else:
        assert f"the file is a{'n' * (other == 'siglip')} " in named_by_keys(keys, other)
        assert f"its config.json says {other!r}" in named_by_keys(keys, other)


def test_one_tower_alone() -> None:
    assert "image tower of a CLIP alone" in named_by_keys(CLIP_MARKS[:1])
    assert "text tower of a CLIP alone" in named_by_keys(CLIP_MARKS[1:])
