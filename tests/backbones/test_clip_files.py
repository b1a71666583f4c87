"""Every weight, word and number of a CLIP comes from its files, or the message names what does not."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.clip_files import ClipFiles
from tests.support.builders import random_backbone
from tests.support.clip_directories import Change, change_json, change_weights, clip_directory
from tests.support.memory import cost_of

KEYS = sorted(random_backbone(depth=1, text_depth=1).network_state())
MATRIX = "text_projection.weight"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return clip_directory(tmp_path / "clip")


def build(directory: Path) -> dict[str, Tensor]:
    return ClipConfig(source=str(directory), resolution=64).build().network_state()


def refused(directory: Path, pattern: str) -> None:
    with pytest.raises(BackboneError, match=pattern):
        build(directory)


def test_a_clip_comes_back_as_it_was_saved(directory: Path) -> None:
    stored = load_file(directory / "model.safetensors")
    built = build(directory)
    assert built.keys() == stored.keys()
    assert all(torch.equal(built[key], stored[key]) for key in stored)


def test_a_weight_that_is_missing_is_named_whichever_it_is(directory: Path) -> None:
    whole = {name: value.clone() for name, value in load_file(directory / "model.safetensors").items()}  # not a file's
    files = ClipFiles.open(str(directory))
    for key in KEYS:
        save_file({name: whole[name] for name in whole if name != key}, directory / "model.safetensors")
        with pytest.raises(BackboneError, match=rf"{key}|tower of a CLIP alone"):
            files.build(64)


def renamed(old: str, new: str) -> Change:
    return lambda state: {key.replace(old, new): value for key, value in state.items()}


def without(part: str) -> Change:
    return lambda state: {key: value for key, value in state.items() if part not in key}


def matrix(change: Callable[[Tensor], Tensor]) -> Change:
    return lambda state: {**state, MATRIX: change(state[MATRIX])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {**state, "stray": torch.ones(2)}, "1 unexpected: stray"),
        (renamed("layer_norm1", "ln_1"), "missing.*layer_norm1"),
        (renamed(MATRIX, f"a.{MATRIX}"), "1 missing: text_projection"),
        (matrix(lambda value: value.T), r"text_projection.weight is \(16, 24\), should be \(24, 16\)"),
        (matrix(lambda value: value.to(torch.int8)), r"another type.*text_projection.weight \(int8\)"),
        (matrix(lambda value: value * torch.nan), "1 weights hold NaN or infinity: text_projection"),
        (lambda state: {**state, "logit_scale": torch.tensor(torch.inf)}, "NaN or infinity: logit_scale"),
        (without("text"), "image tower of a CLIP alone"),
        (without("vis"), "text tower of a CLIP alone"),
        (lambda _: {}, "missing|claims 1 layers"),
        (lambda _: {"visual.conv1.weight": torch.ones(1)}, "open_clip. Convert it with `ahs-seg import"),
        (lambda state: {**state, "logit_bias": torch.ones(1)}, "is a SigLIP, its config.json says 'clip'"),
        (lambda _: {"text_model.encoder.layer.0.attention.self.query.weight": torch.ones(1)}, "is a Chinese-CLIP"),
        (lambda _: {"text_model.roberta.embeddings.word_embeddings.weight": torch.ones(1)}, "is an AltCLIP"),
    ],
)
def test_weights_that_are_not_those_of_the_model(directory: Path, change: Change, message: str) -> None:
    refused(change_weights(directory, change), message)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_other_widths_are_converted(directory: Path, dtype: torch.dtype) -> None:
    change_weights(directory, lambda state: {key: value.to(dtype) for key, value in state.items()})
    assert {value.dtype for value in build(directory).values()} == {torch.float32}


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "ema.", "module._orig_mod.model."])
def test_the_prefixes_of_wrappers_are_removed_and_said(
    directory: Path, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = build(directory)
    change_weights(directory, lambda state: {prefix + key: value for key, value in state.items()})
    with caplog.at_level(logging.WARNING):
        after = build(directory)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert f"keys begin with {prefix.partition('.')[0] + '.'!r}" in caplog.text


def test_position_numbers_and_poolers_of_older_files_are_no_weights(directory: Path) -> None:
    positions = {f"{tower}.embeddings.position_ids": torch.arange(3) for tower in ("vision_model", "text_model")}
    positions["text_model.pooler.dense.weight"] = torch.ones(2, 2)
    build(change_weights(directory, lambda state: state | positions))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "siglip"}, "has no </s>; it is not SigLIP's"),
        ({"model_type": "metaclip_2"}, "has no </s>; it is not MetaCLIP 2's"),
        ({"model_type": "clipseg"}, "is a CLIPSeg, .*; a backbone has one of the model types clip, siglip, siglip2"),
        ({"model_type": ["clip"]}, r"is of the model type \['clip'\]"),
        ({"model_type": None}, "is of the model type None"),
        ({"vision_config__num_hidden_layers": 10**6}, "num_hidden_layers.*less than or equal to 1000"),
        (
            {"vision_config__num_hidden_layers": 999},
            r"config\.json claims 999 layers in vision_model, the weights have 1",
        ),
        ({"vision_config__hidden_size": 10**9}, "hidden_size"),
        ({"vision_config__hidden_size": 65_536}, "with a different shape"),
        ({"vision_config__intermediate_size": 10**9}, "intermediate_size"),
        ({"vision_config__image_size": 0}, "image_size"),
        ({"vision_config__patch_size": 0}, "patch_size"),
        ({"vision_config__num_attention_heads": 0}, "heads"),
        ({"vision_config__num_attention_heads": 5}, "heads"),
        ({"text_config__vocab_size": 10**30}, "vocab_size"),
        ({"text_config__layer_norm_eps": float("nan")}, "layer_norm_eps"),
        ({"text_config__layer_norm_eps": -1.0}, "layer_norm_eps"),
        ({"text_config__hidden_act": "nothing"}, "no CLIP can have"),
        ({"projection_dim": "x"}, "projection_dim"),
        ({"projection_dim": -1}, "no CLIP can have"),
        ({"vision_config": 3}, "vision_config"),
    ],
)
def test_sizes_that_cannot_work_are_refused_by_key(directory: Path, values: dict[str, object], message: str) -> None:
    change_json(directory / "config.json", **values)
    refused(directory, message)


@pytest.mark.parametrize("claim", [{"num_hidden_layers": 1_000}, {"hidden_size": 65_536, "num_attention_heads": 16}])
def test_what_a_config_claims_takes_no_memory(directory: Path, claim: dict[str, int]) -> None:
    change_json(directory / "config.json", **{f"vision_config__{key}": value for key, value in claim.items()})
    cost = cost_of(lambda: build(directory))
    assert "BackboneError" in cost.error
    assert cost.mib < 100


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image_std": [0, 0.5, 0.5]}, r"image_std.0: .*greater than 0"),
        ({"image_std": [-1, 1, 1]}, "image_std"),
        ({"image_mean": [float("nan"), 0, 0]}, "image_mean.0"),
        ({"image_mean": 0.5}, "image_mean"),
        ({"image_mean": [0.5]}, "image_mean"),
        ({"image_mean": [True, False, True]}, "image_mean"),
        ({"rescale_factor": 1.0}, "rescale_factor must bring pixels to 0 to 1"),
        ({"do_rescale": False}, "do_rescale"),
    ],
)
def test_statistics_that_cannot_work_are_refused_by_key(
    directory: Path, values: dict[str, object], message: str
) -> None:
    change_json(directory / "preprocessor_config.json", **values)
    refused(directory, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "has no image_mean and no image_std"),
        ("[]", "holds a list"),
        ("{", "not readable as JSON"),
        ("[" * 100_000, "nested more than"),
    ],
)
def test_statistics_that_are_none(directory: Path, text: str, message: str) -> None:
    (directory / "preprocessor_config.json").write_text(text)
    refused(directory, message)


def test_the_statistics_of_a_processor_are_found(directory: Path) -> None:
    (directory / "preprocessor_config.json").unlink()
    statistics = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5]}
    (directory / "processor_config.json").write_text(json.dumps({"image_processor": statistics}))
    assert ClipFiles.open(str(directory)).mean == (0.1, 0.2, 0.3)


def test_a_directory_without_tokenizer_is_refused(directory: Path) -> None:
    (directory / "tokenizer.json").unlink()
    refused(directory, r"has no tokenizer\.json, and no vocab\.json with merges\.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is not a tokenizer of the tokenizers library"), ("{}", "is not a tokenizer"), ("\xff", "UTF-8")],
)
def test_a_tokenizer_that_is_damaged(directory: Path, text: str, message: str) -> None:
    (directory / "tokenizer.json").write_bytes(text.encode("latin-1"))
    refused(directory, message)


def test_a_tokenizer_that_ends_texts_otherwise_is_refused(directory: Path) -> None:
    change_json(directory / "config.json", text_config__eos_token_id=257)
    refused(directory, "ends texts with token 258, the text tower with token 257")
