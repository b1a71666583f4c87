"""Original checkpoints become model directories, key by key, or are refused by name."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.checkpoints import CheckpointError, ModelDescription, load_model
from ahs_seg.checkpoints.importing.run import CheckpointKind, import_checkpoint
from ahs_seg.inference.predict import CAT_SEG_PROTOCOL
from ahs_seg.methods import CatSegConfig, CostConfig
from tests.support.official import (
    CLIP,
    save_original,
    tiny_state,
)

NAMES: dict[CheckpointKind, str] = {"cat_seg": "catseg_vitb", "h_clip": "hclip_vitb"}


@pytest.mark.parametrize("kind", list(NAMES))
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@torch.no_grad()
def test_a_detectron2_checkpoint_becomes_a_model_directory(
    tmp_path: Path, words: Path, kind: CheckpointKind, legacy: bool
) -> None:
    original = tiny_state(NAMES[kind])
    path = save_original(original, tmp_path / "model.pth", legacy=legacy)
    report = import_checkpoint(path, kind, tmp_path / "model", tokenizer=words)
    description, method = load_model(tmp_path / "model")
    assert description.method.name == kind
    assert description.method.backbone.resolution == 24 * 8
    assert description.inference == CAT_SEG_PROTOCOL
    assert set(report.mapped) | set(report.ignored) == set(original) | {"optimizer", "scheduler", "iteration"}
    assert all(report.ignored.values())
    assert report.numbers == sum(parameter.numel() for parameter in method.parameters())
    patch = original[CLIP + "visual.conv1.weight"]
    assert torch.equal(method.backbone.model.vision_model.embeddings.patch_embedding.weight, patch)
    logits = method(torch.rand(1, 3, 50, 60), F.normalize(torch.randn(2, 1, 64), dim=-1)).logits
    assert logits.shape == (1, 2, 96, 96)
    assert logits.std() > 0


def test_bare_safetensors_give_the_same_directory(tmp_path: Path, words: Path, state: dict[str, Tensor]) -> None:
    wrapped = save_original(state, tmp_path / "model.pth")
    bare = tmp_path / "model.safetensors"
    save_file(state, bare)
    for source, target in ((wrapped, "one"), (bare, "two")):
        import_checkpoint(source, "cat_seg", tmp_path / target, tokenizer=words)
    for file in ("model.safetensors", "config.json", "backbone/config.json", "backbone/tokenizer.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def _too_many(state: dict[str, Tensor]) -> None:
    state["sem_seg_head.predictor.extra.weight"] = torch.ones(2)


def _too_few(state: dict[str, Tensor]) -> None:
    del state["sem_seg_head.predictor.transformer.head.bias"]


def _sizeless(state: dict[str, Tensor]) -> None:
    del state[CLIP + "visual.conv1.weight"]


def _misshapen(state: dict[str, Tensor]) -> None:
    state["upsample1.bias"] = torch.ones(255)


def _doubled(state: dict[str, Tensor]) -> None:
    width = state[CLIP + "transformer.resblocks.0.attn.q_proj_weight"].shape[1]
    state[CLIP + "transformer.resblocks.0.attn.in_proj_weight"] = torch.ones(3 * width, width)


def _one_layer_more(state: dict[str, Tensor]) -> None:
    key = "sem_seg_head.predictor.transformer.layers.1.attention.MLP.0.bias"
    state[key.replace("layers.1", "layers.2")] = state[key]


def refused(
    state: dict[str, Tensor], fault: Callable[[dict[str, Tensor]], object], message: str, folder: Path, words: Path
) -> None:
    """Import weights with a fault: the error names it, and nothing is written."""
    changed = dict(state)
    fault(changed)
    path = save_original(changed, folder / "model.pth")
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(path, "cat_seg", folder / "model", tokenizer=words)
    assert [entry.name for entry in folder.iterdir()] == ["model.pth"]


def test_another_kind_of_checkpoint_is_recognised(tmp_path: Path, words: Path) -> None:
    path = save_original(tiny_state("hclip_vitb"), tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="Its keys are those of h_clip: import it `--as h_clip`"):
        import_checkpoint(path, "cat_seg", tmp_path / "model", tokenizer=words)


def test_a_config_and_names_of_its_own(tmp_path: Path, words: Path, state: dict[str, Tensor]) -> None:
    path = save_original(state, tmp_path / "model.pth")
    mine = ModelDescription(method=CatSegConfig(cost=CostConfig(class_pooling=4)))
    import_checkpoint(path, None, tmp_path / "model", description=mine, trained_on=["cat", "dog"], tokenizer=words)
    description, method = load_model(tmp_path / "model")
    assert description.trained_on == ("cat", "dog")
    assert method.head.class_pooling == 4
    with pytest.raises(CheckpointError, match="its description is of the method cat_seg"):
        import_checkpoint(path, "h_clip", tmp_path / "other", description=mine, tokenizer=words)
    wider = ModelDescription(method=CatSegConfig(cost=CostConfig(layers=3)))
    with pytest.raises(CheckpointError, match=r"\d+ missing: head\.layers\.2"):
        import_checkpoint(path, "cat_seg", tmp_path / "other", description=wider, tokenizer=words)


def test_the_clip_of_a_description_keeps_its_dense_form_and_resolution(
    tmp_path: Path, words: Path, state: dict[str, Tensor]
) -> None:
    path = save_original(state, tmp_path / "model.pth")
    standard = CatSegConfig().backbone
    for name, given, resolution in (
        ("both", standard.replace(dense="naclip", resolution=96), 96),
        ("form", standard.replace(dense="naclip"), 24 * 8),  # 384 pixels are the grid of the training on another CLIP
        ("none", ClipConfig(dense="naclip"), 24 * 8),
    ):
        mine = ModelDescription(method=CatSegConfig(backbone=given))
        import_checkpoint(path, None, tmp_path / name, description=mine, tokenizer=words)
        description, method = load_model(tmp_path / name)
        backbone = description.method.backbone
        assert (backbone.source, backbone.dense, backbone.resolution) == ("imported", "naclip", resolution)
        assert (method.backbone.dense_form, method.backbone.resolution) == ("naclip", resolution)
    odd = ModelDescription(method=CatSegConfig(backbone=standard.replace(resolution=100)))
    with pytest.raises(
        CheckpointError, match="resolution 100 of its description is not a multiple of its patch size 8"
    ):
        import_checkpoint(path, None, tmp_path / "odd", description=odd, tokenizer=words)
    assert not (tmp_path / "odd").exists()


def test_a_state_dict_of_no_known_kind(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.ones(2)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"not a known checkpoint \(it has fc\.weight\); known are cat_seg"):
        import_checkpoint(tmp_path / "a.pth", None, tmp_path / "model")


def test_the_report_names_every_key(tmp_path: Path, words: Path, state: dict[str, Tensor]) -> None:
    path = save_original(state, tmp_path / "model.pth")
    report = import_checkpoint(path, "cat_seg", tmp_path / "model", tokenizer=words)
    text = " ".join(str(report).split())
    assert "mapped: " + str(len(state) - 2) + " keys, which give every weight of the model" in text
    assert "ignored: a constant, computed from the grid: sem_seg_head" in text
    assert "optimizer" in text
    lines = report.listing().splitlines()
    assert len(lines) == len(state) + 3
    assert "upsample1.bias -> pyramid.upsample_fine.bias" in lines


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "model.", "ema_model.module."])
def test_wrappers_around_the_keys_are_removed_and_said(
    tmp_path: Path, words: Path, state: dict[str, Tensor], wrapper: str
) -> None:
    wrapped = {wrapper + key: value for key, value in state.items()} | {"n_averaged": torch.tensor(3)}
    for name, content in (("plain", state), ("wrapped", wrapped)):
        path = save_original(content, tmp_path / f"{name}.pth")
        report = import_checkpoint(path, None, tmp_path / name, tokenizer=words)
    assert report.ignored["n_averaged"] == "the number of averaged steps"
    assert f"begin with '{wrapper.partition('.')[0]}.'" in str(report)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("plain", "wrapped")]
    assert files[0] == files[1]


def _not_a_number(state: dict[str, Tensor]) -> None:
    state["upsample1.bias"] = torch.full((256,), torch.nan)


def _too_large_for_float32(state: dict[str, Tensor]) -> None:
    state["upsample1.bias"] = torch.full((256,), 1e300, dtype=torch.float64)


def _quantised(state: dict[str, Tensor]) -> None:
    state["upsample1.bias"] = torch.ones(256, dtype=torch.int8)


def _complex(state: dict[str, Tensor]) -> None:
    state["upsample1.bias"] = torch.ones(256, dtype=torch.complex64)


def _repeated(state: dict[str, Tensor]) -> None:
    state["upsample1.bias"] = torch.ones(1).expand(2**40)


def _shared(state: dict[str, Tensor]) -> None:
    bias = torch.ones(2**23)
    state |= {CLIP + f"visual.transformer.resblocks.{index}.attn.in_proj_bias": bias for index in range(3, 40)}


def _without_axes(state: dict[str, Tensor]) -> None:
    state[CLIP + "visual.transformer.resblocks.0.attn.in_proj_bias"] = torch.tensor(1.0)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (_too_many, r"1 unknown keys: sem_seg_head\.predictor\.extra\.weight"),
        (_too_few, r"1 missing: head\.decoder\.logit\.bias$"),
        (_sizeless, r"1 missing: vision_model\.embeddings\.patch_embedding\.weight; the sizes of CLIP are inferred"),
        (_misshapen, r"fine\.bias \(in the file: upsample1\.bias\) is \(255,\), should be \(256,\)"),
        (_doubled, r"3 duplicate keys: .*in_proj_weight and .*q_proj_weight both give"),
        (_one_layer_more, r"1 unexpected: head\.layers\.2.*\(in the file: .*layers\.2\.attention\.MLP\.0\.bias\)"),
        (_not_a_number, r"1 weights hold NaN or infinity: upsample1\.bias\. The training"),
        (_too_large_for_float32, r"1 weights hold NaN or infinity: upsample1\.bias"),
        (_quantised, r"1 weights are of another type than the network has: upsample1\.bias \(int8\)"),
        (_complex, r"upsample1\.bias \(complex64\)"),
        (_repeated, r"\(the most, 4,398,046,511,104, are those of upsample1\.bias\)"),
        (_shared, r"the weights claim .* bytes .* of which each may be used 2 times"),
        (_without_axes, r"in_proj_bias is \(\), which no such weight can be"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(
    tmp_path: Path, words: Path, state: dict[str, Tensor], fault: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    refused(state, fault, message, tmp_path, words)


def test_infinity_in_a_mask_that_is_not_used_does_not_count(
    tmp_path: Path, words: Path, state: dict[str, Tensor]
) -> None:
    mask = {CLIP + "attn_mask": torch.full((40, 40), -torch.inf).triu(1)}
    path = save_original(state | mask, tmp_path / "model.pth")
    report = import_checkpoint(path, "cat_seg", tmp_path / "model", tokenizer=words)
    assert "causal" in report.ignored[CLIP + "attn_mask"]


def test_tied_weights_are_written_one_by_one(tmp_path: Path, words: Path, state: dict[str, Tensor]) -> None:
    first, second = (CLIP + f"visual.transformer.resblocks.{index}.mlp.c_fc.bias" for index in range(2))
    path = save_original(state | {second: state[first]}, tmp_path / "model.pth")
    import_checkpoint(path, "cat_seg", tmp_path / "model", tokenizer=words)
    layers = load_model(tmp_path / "model")[1].backbone.model.vision_model.encoder.layers
    assert torch.equal(layers[0].mlp.fc1.bias, layers[1].mlp.fc1.bias)
