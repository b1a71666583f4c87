"""Single keys of the original configs: renamed, computed, of one value only, or without meaning here."""

from __future__ import annotations

import pytest

from ahs_seg.checkpoints.importing.detectron2_keys import DEFAULTS, UnsupportedError, translated
from ahs_seg.checkpoints.importing.detectron2_yaml import Tagged, Value

HEAD = "MODEL.SEM_SEG_HEAD."


@pytest.mark.parametrize(
    ("key", "value", "ours"),
    [
        (HEAD + "HIDDEN_DIMS", 128, {"method.cost.dim": 128}),
        ("SOLVER.MAX_ITER", 80_000, {"training.steps": 80_000}),
        (HEAD + "POOLING_SIZES", [2, 2], {"method.cost.class_pooling": 2}),
        (HEAD + "CLIP_FINETUNE", "full", {"method.name": "cat_seg", "method.tuner.name": "full"}),
        (HEAD + "CLIP_FINETUNE", "oft_both", {"method.name": "h_clip", "method.tuner.name": "orthogonal"}),
        ("MODEL.PROMPT_ENSEMBLE_TYPE", "single", {"training.prompts.templates": "cat_seg"}),
        ("SOLVER.AMP.ENABLED", True, {"training.precision": "fp16"}),
        ("SOLVER.AMP.ENABLED", False, {"training.precision": "fp32"}),
        ("INPUT.MIN_SIZE_TRAIN", 384, {"augmentation.resize.sizes": [384]}),
        ("INPUT.CROP.SIZE", [384, 512], {"augmentation.crop.height": 384, "augmentation.crop.width": 512}),
        ("INPUT.CROP.ENABLED", False, {"augmentation.crop": None}),
        ("SEED", 3, {"training.seed": 3}),
        ("SEED", 0, {"training.seed": 0}),
    ],
)
def test_a_key_has_its_value_here(key: str, value: Value, ours: dict[str, Value]) -> None:
    assert translated(key, {key: value}) == (ours, "")


def test_the_resolution_is_the_grid_times_the_patch_of_the_clip() -> None:
    clip, grid = HEAD + "CLIP_PRETRAINED", HEAD + "FEATURE_RESOLUTION"
    for name, source, side in (
        ("ViT-B/16", "openai/clip-vit-base-patch16", 24 * 16),
        ("ViT-L/14@336px", "openai/clip-vit-large-patch14-336", 24 * 14),
    ):
        found = {"method.backbone.source": source, "method.backbone.resolution": side}
        assert translated(clip, {clip: name}) == (found, ""), "24 x 24 where the config is silent"
    original = {clip: "ViT-L/14", grid: [16, 16]}
    assert translated(grid, original) == ({"method.backbone.resolution": 224}, "")


def test_gradients_are_clipped_only_where_that_is_enabled() -> None:
    enabled, limit = "SOLVER.CLIP_GRADIENTS.ENABLED", "SOLVER.CLIP_GRADIENTS.CLIP_VALUE"
    assert translated(enabled, {enabled: True, limit: 0.01})[0] == {"training.optimizer.clip_norm": 0.01}
    assert translated(enabled, {enabled: True})[0] == {"training.optimizer.clip_norm": 1.0}
    assert translated(enabled, {enabled: False, limit: 0.01})[0] == {"training.optimizer.clip_norm": None}


@pytest.mark.parametrize(
    ("key", "switch", "value"),
    [
        ("INPUT.CROP.TYPE", "INPUT.CROP.ENABLED", "relative"),
        ("SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "SOLVER.CLIP_GRADIENTS.ENABLED", "norm"),
    ],
)
def test_the_type_of_crops_and_of_clipping_counts_only_where_they_are_on(key: str, switch: str, value: Value) -> None:
    for off in ({}, {switch: False}):
        assert translated(key, {key: value, **off}) == ({}, f"has no effect without {switch}")
    with pytest.raises(UnsupportedError, match="must be"):
        translated(key, {key: value, switch: True})


def test_padding_belongs_to_the_whole_image_and_not_to_sliding_windows() -> None:
    sliding, padding = "TEST.SLIDING_WINDOW", "MODEL.MASK_FORMER.SIZE_DIVISIBILITY"
    whole = {"inference.windows.name": "whole", "inference.windows.pad_multiple": 48}
    assert translated(sliding, {sliding: False, padding: 48})[0] == whole
    assert translated(padding, {padding: 48})[0] == {"inference.windows.pad_multiple": 48}
    names = {"inference.windows.name": "sliding", "inference.windows.side": 640, "inference.windows.kernel": 384}
    assert translated(sliding, {sliding: True, padding: 48})[0] == names
    assert translated(padding, {sliding: True, padding: 48}) == ({}, "has no effect with this value")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("SOLVER.OPTIMIZER", "ADAMW", "the only supported value"),
        ("MODEL.SWIN.DEPTHS", [2, 2], "there is no backbone besides the CLIP"),
        ("DATALOADER.SAMPLER_TRAIN", "x", "in an order that depends"),
        ("SEED", -1, "belongs to the run, not to the method"),
        ("MODEL.SEM_SEG_HEAD.NEW", 1, "not a key of CAT-Seg or H-CLIP"),
        ("SOLVER.MAX_ITER", Tagged("!!python/name:os.system"), "its value is a YAML tag that would run code"),
    ],
)
def test_a_key_without_a_value_here_has_a_reason(key: str, value: Value, reason: str) -> None:
    ours, told = translated(key, {key: value})
    assert ours == {}
    assert reason in told


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("SOLVER.OPTIMIZER", "SGD", "must be 'ADAMW'"),
        ("MODEL.META_ARCHITECTURE", "MaskFormer", "must be 'CATSeg' or 'CATSegDemo'"),
        (HEAD + "CLIP_PRETRAINED", "ViT-H", "must be one of ViT-B/16, ViT-L/14@336px, ViT-L/14"),
        (HEAD + "CLIP_FINETUNE", "prompt", "must be one of attention, full, oft_both"),
        (HEAD + "POOLING_SIZES", [1, 2], "must be two equal sizes"),
        (HEAD + "POOLING_SIZES", [[2], [2]], "must be two equal sizes"),
        ("MODEL.PROMPT_ENSEMBLE_TYPE", "many", "must be one of single, imagenet"),
        ("INPUT.CROP.SIZE", 384, "must be a height and a width"),
    ],
)
def test_a_value_that_no_method_here_takes_is_refused(key: str, value: Value, allowed: str) -> None:
    with pytest.raises(UnsupportedError, match=allowed):
        translated(key, {key: value})


def test_every_default_of_the_original_says_something() -> None:
    """A default that gave nothing would be noise in the list; those of switches say that something is off."""
    silent = [key for key in DEFAULTS if not translated(key, DEFAULTS)[0]]
    assert silent == []


def test_sizes_that_a_config_does_not_set_are_those_of_detectron2() -> None:
    sizes = {key: value for key, value in DEFAULTS.items() if "SIZE_T" in key}
    assert sizes == {"INPUT.MIN_SIZE_TRAIN": [800], "INPUT.MIN_SIZE_TEST": 800, "INPUT.MAX_SIZE_TEST": 1333}
    solver = {key.removeprefix("SOLVER."): value for key, value in DEFAULTS.items() if key.startswith("SOLVER.")}
    assert (solver["IMS_PER_BATCH"], solver["MAX_ITER"], solver["BASE_LR"]) == (16, 40_000, 0.001)
    assert (solver["WARMUP_ITERS"], solver["WARMUP_FACTOR"]) == (1000, 0.001)


@pytest.mark.parametrize(
    ("key", "value", "other"),
    [
        ("MODEL.PROMPT_ENSEMBLE", False, True),
        (HEAD + "PROMPT_DEPTH", 0, 1),
        (HEAD + "PROMPT_LENGTH", 0, 1),
        (HEAD + "IGNORE_VALUE", 255, 0),
        ("SOLVER.BASE_LR_END", 0, 1),
        ("SOLVER.CLIP_GRADIENTS.NORM_TYPE", 2, 3),
    ],
)
def test_a_key_with_one_possible_value_says_nothing_with_it(key: str, value: Value, other: Value) -> None:
    assert translated(key, {key: value})[0] == {}
    with pytest.raises(UnsupportedError, match="must be"):
        translated(key, {key: other})
