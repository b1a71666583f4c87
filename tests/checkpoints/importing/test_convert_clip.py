"""OpenAI's CLIP becomes a backbone."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.checkpoints import CheckpointError, load_model
from ahs_seg.checkpoints.importing.clip_origins import NOT_GIVEN, OPENAI
from ahs_seg.checkpoints.importing.convert_clip import clip_config, clip_rules
from ahs_seg.checkpoints.importing.key_rules import ConversionError, convert
from ahs_seg.checkpoints.importing.run import ClipSettings, import_checkpoint
from ahs_seg.config import MAX_LAYERS
from ahs_seg.inference.predict import training_free_protocol
from tests.support.official import CLIP, archive, open_clip, plain_clip


@torch.no_grad()
def test_openais_archive_becomes_a_backbone_and_a_baseline(
    tmp_path: Path, words: Path, state: dict[str, Tensor]
) -> None:
    path = archive(plain_clip(state), tmp_path / "ViT.pt")
    report = import_checkpoint(path, "clip", tmp_path / "clip", tokenizer=words)
    assert report.ignored == dict.fromkeys(
        ["input_resolution", "context_length", "vocab_size"], "a size, inferred from the shapes"
    )
    backbone = ClipConfig(source=str(tmp_path / "clip")).build()
    assert backbone.resolution == 32
    key = CLIP + "visual.transformer.resblocks.2.attn.v_proj_weight"
    value = backbone.model.vision_model.encoder.layers[2].self_attn.v_proj.weight
    assert torch.equal(value, state[key].half().float())
    import_checkpoint(path, "zero_shot", tmp_path / "baseline", tokenizer=words)
    description, method = load_model(tmp_path / "baseline")
    assert description.inference == training_free_protocol(32)
    image = torch.rand(1, 3, 32, 32)
    ClipConfig(dense="naclip").in_form(backbone)
    assert torch.equal(method.backbone.encode_image(image).dense, backbone.encode_image(image).dense)
    with pytest.raises(CheckpointError, match="Its keys are those of clip"):
        import_checkpoint(path, "cat_seg", tmp_path / "model", tokenizer=words)


def test_a_file_of_open_clip_needs_its_activation_and_other_sizes_their_heads(
    tmp_path: Path, words: Path, state: dict[str, Tensor]
) -> None:
    torch.save({"state_dict": open_clip(state)}, tmp_path / "a.pth")
    for path in (tmp_path / "a.pth", archive(open_clip(state), tmp_path / "scripted.pt")):
        with pytest.raises(CheckpointError, match=r"`--heads N`, `--text-heads N`, `--activation gelu` or `--act"):
            import_checkpoint(path, "clip", tmp_path / "clip", tokenizer=words)
    given = ClipSettings(heads=8, text_heads=4, activation="gelu")
    report = import_checkpoint(path, None, tmp_path / "clip", tokenizer=words, clip=given)
    assert "8 heads in the image tower, 4 in the text tower, activation gelu" in str(report)
    config = ClipConfig(source=str(tmp_path / "clip")).build().model.config
    assert (config.vision_config.num_attention_heads, config.text_config.num_attention_heads) == (8, 4)
    assert config.vision_config.hidden_act == config.text_config.hidden_act == "gelu"
    with pytest.raises(CheckpointError, match="`--heads 7` does not divide the 256 channels"):
        import_checkpoint(path, "clip", tmp_path / "other", tokenizer=words, clip=ClipSettings(7, 4, "gelu"))


def test_a_clip_of_unknown_origin_is_not_named_as_one_of_the_hub(
    tmp_path: Path, words: Path, state: dict[str, Tensor]
) -> None:
    torch.save(open_clip(state), tmp_path / "a.pth")
    given = ClipSettings(heads=4, text_heads=2, activation="quick_gelu")
    import_checkpoint(tmp_path / "a.pth", "zero_shot", tmp_path / "model", tokenizer=words, clip=given)
    description, _ = load_model(tmp_path / "model")
    assert description.method.backbone.source == "imported"


def _converted(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(convert(plain_clip(state), clip_rules("", "")).state)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("vision_model.embeddings.patch_embedding.weight", (256,), r"no CLIP has such sizes: .*patch.* is \(256,\)"),
        ("vision_model.embeddings.position_embedding.weight", (0, 256), r"no CLIP has such sizes"),
        ("text_model.encoder.layers.0.mlp.fc1.bias", (), r"no CLIP has such sizes"),
        ("text_model.embeddings.position_embedding.weight", (2**17, 128), "max_position_embeddings.*65536"),
        ("vision_model.embeddings.patch_embedding.weight", (256, 3, 8, 2**14), "patch_size.*8192"),
    ],
)
def test_sizes_that_no_clip_has(state: dict[str, Tensor], key: str, shape: tuple[int, ...], message: str) -> None:
    changed = _converted(state) | {key: torch.zeros(1).expand(shape) if shape else torch.tensor(1.0)}
    with pytest.raises(ConversionError, match=message):
        clip_config(changed, OPENAI, NOT_GIVEN)


def test_layers_are_bounded(state: dict[str, Tensor]) -> None:
    name = "text_model.encoder.layers.{}.mlp.fc1.bias"
    many = {name.format(index): torch.zeros(512) for index in range(MAX_LAYERS + 1)}
    with pytest.raises(ConversionError, match=r"num_hidden_layers: .*1000 \(given: 1001\)"):
        clip_config(_converted(state) | many, OPENAI, NOT_GIVEN)
