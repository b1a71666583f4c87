"""Kinds of checkpoints: recognised by the names of their weights, each with a converter and a description."""

import pytest
import torch

from ahs_seg.checkpoints.importing.sources import CONVERTERS, FITTED, published, recognise
from ahs_seg.config import config_name
from ahs_seg.methods import METHODS

MARKS = {
    "h_clip": "sem_seg_head.predictor.clip_model.visual.transformer.resblocks.0.attn_q_proj_oft_layer_R",
    "cat_seg": "sem_seg_head.predictor.transformer.conv1.weight",
    "ebseg": "clip_rec_head.proj",
    "scan": "clip_adapter.non_object_embedding",
    "clip": "visual.conv1.weight",
    "ahs_seg": "ms_fpn.fusion_weights",
    "hps_seg": "afr.mix_weight",
    "ahs_seg_lite": "geodesic_head.curvature",
}


@pytest.mark.parametrize("kind", MARKS)
def test_one_name_tells_the_kind(kind: str) -> None:
    assert recognise({MARKS[kind]: torch.zeros(1), "something.else": torch.zeros(1)}) == kind
    assert recognise({"something.else": torch.zeros(1)}) is None


@pytest.mark.parametrize("kind", ["ahs_seg", "hps_seg", "ahs_seg_lite"])
def test_parts_tell_more_than_the_h_clip_that_they_stand_on(kind: str) -> None:
    names = [MARKS["cat_seg"], MARKS["h_clip"], MARKS[kind]]
    for order in (names, names[::-1]):
        assert recognise(dict.fromkeys(order, torch.zeros(1))) == kind


def test_every_kind_can_be_converted_and_every_method_says_how_it_was_published() -> None:
    kinds = set(CONVERTERS)
    assert kinds == {config_name(method) for method in METHODS} | {"clip"}
    assert set(FITTED) < kinds
    for kind in kinds - {"clip"}:  # a bare CLIP is no method
        assert published(kind).method.name == kind
