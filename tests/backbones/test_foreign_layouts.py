"""A model that is no CLIP is called what it is."""

import pytest

from ahs_seg.backbones.foreign_layouts import CLIP_MARKS, named_by_keys, named_by_type


@pytest.mark.parametrize(
    ("kind", "name"),
    [("siglip2", "SigLIP 2"), ("altclip", "AltCLIP"), ("clip_vision_model", "image tower"), ("bert", "'bert'")],
)
def test_a_model_type_has_a_name_and_a_remedy(kind: str, name: str) -> None:
    assert name in named_by_type(kind)
    assert "openai/clip-vit-base-patch16" in named_by_type(kind)


def test_a_whole_clip_needs_no_name() -> None:
    assert named_by_keys(CLIP_MARKS) == ""


def test_one_tower_alone() -> None:
    assert "image tower of a CLIP alone" in named_by_keys(CLIP_MARKS[:1])
    assert "text tower of a CLIP alone" in named_by_keys(CLIP_MARKS[1:])
