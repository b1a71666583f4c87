"""Every kind of backbone: read from its files, encoded, tuned, merged, trained one step, saved and loaded."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from ahs_seg.backbones.base import Backbone, BackboneError
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.checkpoints import ModelDescription, load_model, save_model
from ahs_seg.config import ConfigError
from ahs_seg.inference.text_cache import TextCache, fingerprint
from ahs_seg.methods import CatSegConfig, Method, ScanConfig, ZeroShotConfig
from ahs_seg.methods.base import BaseMethodConfig
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.segmenter import Segmenter
from ahs_seg.training.forward import TrainingStep
from ahs_seg.tuners import Full, Orthogonal, Tuner
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.backbone_kinds import STATISTICS, TINY_KINDS, kind_directory, tiny_backbone
from tests.support.builders import clip_of_transformers
from tests.support.hyperspherical import FULL, lite
from tests.support.small_methods import EBSEG_SMALL, SCAN_SMALL, SMALL

NAMES = Vocabulary.parse(["cat", "dog", "sky"])
PROMPTS = PromptConfig(templates=("a {}",))
CLASSES = TrainingClasses(tuple(NAMES.labels), (None,) * 3, lambda: F.normalize(torch.randn(3, 24), dim=-1))
SIGLIPS = {"siglip", "siglip2", "siglip2_naflex"}
DISTINCT = [name for name in TINY_KINDS if name not in ("clip", "siglip")]
"""Without CLIP, which all other tests are on, and SigLIP, which differs from SigLIP 2 in the tokenizer alone."""
TUNERS: list[Tuner] = [Full(stem=True), Orthogonal(block=8)]


@pytest.fixture(params=TINY_KINDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def source(name: str, tmp_path: Path) -> ClipConfig:
    return ClipConfig(source=str(kind_directory(name, tmp_path / "source")), resolution=64)


def images(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(3))


def outputs(backbone: Backbone) -> list[torch.Tensor]:
    found = backbone.encode_image(images(), levels=(0,), pooled=True)
    assert found.pooled is not None
    text = backbone.encode_text(backbone.tokenizer(["a cat", "a long dog"]))
    return [found.dense, found.levels[0], found.pooled, text]


@torch.no_grad()
def test_a_directory_is_read_by_its_model_type(name: str, source: ClipConfig) -> None:
    original, read = tiny_backbone(name), source.build()
    assert (read.kind, type(read)) == (TINY_KINDS[name].model_type, type(original))
    assert read.mean == tuple(STATISTICS["image_mean"])
    assert all(torch.equal(one, other) for one, other in zip(outputs(read), outputs(original), strict=True))
    assert fingerprint(read) == fingerprint(original)
    native = ClipConfig(source=source.source).build_empty()
    assert (native.resolution, native.grid) == (32, 4)
    assert read.image_parameters().keys() <= dict(read.model.named_parameters()).keys()


@torch.no_grad()
def test_embeddings_are_those_of_transformers(name: str) -> None:
    backbone = tiny_backbone(name, resolution=32)
    pixels = images()[..., :32, :32]
    tokens = backbone.tokenizer(["a cat", "a long dog"])
    mask = torch.arange(tokens.ids.shape[1]) <= tokens.ends[:, None]
    masked = {} if name in SIGLIPS else {"attention_mask": mask.long()}
    shown = backbone.normalise(pixels)
    if name == "siglip2_naflex":
        flat = shown.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)
        given = {"pixel_values": flat, "spatial_shapes": torch.tensor([[4, 4]] * 2)}
        given["pixel_attention_mask"] = torch.ones(2, 16, dtype=torch.long)
    else:
        given = {"pixel_values": shown}
    theirs = clip_of_transformers(backbone) if name == "clip" else backbone.model
    expected = theirs(input_ids=tokens.ids, **masked, **given)
    found = backbone.encode_image(pixels, pooled=True).pooled
    assert found is not None
    torch.testing.assert_close(F.normalize(found, dim=-1), expected.image_embeds, rtol=1e-4, atol=1e-5)
    text = F.normalize(backbone.encode_text(tokens), dim=-1)
    torch.testing.assert_close(text, expected.text_embeds, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_texts_do_not_see_each_other(name: str) -> None:
    backbone = tiny_backbone(name)
    together = backbone.encode_text(backbone.tokenizer(["a cat", "a dog of the sky", "road"]))
    alone = torch.cat([backbone.encode_text(backbone.tokenizer([text])) for text in ("a cat", "a dog of the sky")])
    torch.testing.assert_close(together[:2], alone, rtol=1e-4, atol=1e-5)


def test_the_cache_key_tells_kinds_tokenizers_and_weights_apart() -> None:
    keys = [fingerprint(tiny_backbone(name)) for name in TINY_KINDS]
    assert len(set(keys)) == len(keys)
    changed = tiny_backbone("siglip", seed=1)
    assert fingerprint(changed) not in keys


@pytest.mark.parametrize("name", ["siglip2_naflex", "chinese_clip", "altclip"])
def test_every_key_of_the_file_is_needed_and_no_other(name: str, source: ClipConfig) -> None:
    path = Path(source.source) / "model.safetensors"
    whole = {key: value.clone() for key, value in load_file(path).items()}
    for key in sorted(whole)[:: len(whole) // 3]:
        save_file({other: whole[other] for other in whole if other != key}, path)
        with pytest.raises(BackboneError, match=f"{key}|claims|alone"):
            source.build()
    save_file({**whole, "stray": torch.ones(1)}, path)
    with pytest.raises(BackboneError, match="1 unexpected: stray"):
        source.build()


def test_a_missing_tokenizer_is_an_error(source: ClipConfig) -> None:
    (Path(source.source) / "tokenizer.json").unlink()
    with pytest.raises(BackboneError, match=r"has no tokenizer\.json"):
        source.build()


@pytest.mark.parametrize("tuner", TUNERS, ids=lambda tuner: tuner.name)
def test_tuning_starts_as_the_identity_trains_and_merges(name: str, tuner: Tuner) -> None:
    torch.manual_seed(0)
    backbone = tiny_backbone(name)
    keys = set(backbone.state_dict())
    with torch.no_grad():
        before = outputs(backbone)
        tuner.apply(backbone)
        for one, other in zip(outputs(backbone), before, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    trained = [value for value in backbone.parameters() if value.requires_grad]
    dense, level, _, text = outputs(backbone)
    (dense.square().sum() + level.square().sum() + text.square().sum()).backward()
    assert trained
    assert all(value.grad is not None for value in trained)
    with torch.no_grad():
        for value in trained:
            value.add_(torch.randn_like(value) * 0.05)
        tuned = outputs(backbone)
        merged = tuner.merge(backbone)
        for one, other in zip(outputs(merged), tuned, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert set(merged.state_dict()) == keys


def step(config: BaseMethodConfig) -> tuple[TrainingStep, dict[str, torch.Tensor]]:
    """One forward of training, with its losses."""
    method = config.build()
    table = PROMPTS.table(NAMES)
    objective = config.objective(method, CLASSES)
    training = TrainingStep(method.train(), objective)
    tokens = method.backbone.tokenizer(table.texts)
    labels = torch.randint(0, 3, (2, 64, 64), generator=torch.Generator().manual_seed(1))
    pixels = (images() * 255).to(torch.uint8)
    losses = training(
        pixels, labels, lambda encode: table.assemble(encode(tokens)), table.row_class, torch.arange(3), 0.5
    )
    return training, losses


@pytest.mark.parametrize("name", DISTINCT)
def test_one_step_of_training_moves_both_towers(source: ClipConfig, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = CatSegConfig(backbone=source, cost=SMALL)
    training, losses = step(config)
    backbone = training.backbone
    trained = {key: value for key, value in backbone.named_parameters() if value.requires_grad}
    before = {key: value.clone() for key, value in trained.items()}
    optimizer = torch.optim.AdamW([value for value in training.parameters() if value.requires_grad], lr=1e-2)
    torch.stack(list(losses.values())).sum().backward()
    assert all(value.grad is not None for value in trained.values())
    optimizer.step()
    assert all(not torch.equal(before[key], value) for key, value in trained.items())
    method = training.method.eval()
    assert isinstance(method, Method)
    saved = save_model(method, ModelDescription(method=config), tmp_path / "model")
    description, loaded = load_model(saved)
    text = torch.randn(3, 1, backbone.dim, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(loaded(images(), text).logits, method(images(), text).logits)
    assert description.method.name == "cat_seg"
    assert loaded.backbone.kind == backbone.kind


@pytest.mark.parametrize("name", DISTINCT)
def test_without_training_words_become_labels(source: ClipConfig, tmp_path: Path) -> None:
    config = ZeroShotConfig(backbone=source)
    directory = save_model(config.build(), ModelDescription(method=config, prompts=PROMPTS), tmp_path / "model")
    pixels = (images(1)[0].movedim(0, -1) * 255).to(torch.uint8).numpy()
    one = Segmenter.from_pretrained(directory)(pixels, NAMES)
    other = Segmenter(config.build(), prompts=PROMPTS)(pixels, NAMES)
    assert (one.labels == other.labels).all()
    assert set(one.labels.ravel().tolist()) <= {0, 1, 2}


def test_dense_forms_are_those_of_a_class_token(name: str) -> None:
    config = ZeroShotConfig(backbone=ClipConfig(source="nowhere", dense="sclip"))
    if name in (*SIGLIPS, "tipsv2"):
        with pytest.raises(ConfigError, match=r"dense is sclip, but a backbone of the kind .* has one dense form"):
            config.compose(tiny_backbone(name))
    else:
        assert config.compose(tiny_backbone(name)).backbone.dense_form == "sclip"
    ZeroShotConfig(backbone=ClipConfig(source="nowhere")).compose(tiny_backbone(name))


@torch.no_grad()
def test_the_cache_gives_what_the_tower_gives(name: str, tmp_path: Path) -> None:
    backbone, table = tiny_backbone(name), PROMPTS.table(NAMES)
    expected = F.normalize(backbone.encode_text(backbone.tokenizer(table.texts)), dim=-1)[:, None]
    for _ in range(2):  # computed, then read from the disk
        torch.testing.assert_close(TextCache(tmp_path).encode(backbone, table), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["siglip2", "altclip"])
def test_a_method_with_a_teacher_trains_on_it(source: ClipConfig) -> None:
    torch.manual_seed(0)
    config = FULL["lite"]
    training, losses = step(config.replace(backbone=source, cost=config.cost.replace(prototypes=None)))
    assert "distillation" in losses
    torch.stack(list(losses.values())).sum().backward()
    assert training.backbone.kind in ("siglip", "altclip")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("part", ["prototypes", "distillation", "rectification"])
@pytest.mark.parametrize("name", ["siglip2"])
def test_parts_learn_from_features_of_a_short_type(source: ClipConfig, part: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    config = lite(part).replace(backbone=source)
    if part == "prototypes":
        config = config.replace(cost=config.cost.replace(prototypes=Prototypes(count=3, start="nothing")))
    with torch.autocast("cpu", dtype):
        training, losses = step(config)
    total = torch.stack(list(losses.values())).sum()
    assert total.dtype == torch.float32
    assert total.isfinite()
    total.backward()
    assert training.backbone.kind == "siglip"


def test_the_mask_family_needs_a_class_token(name: str) -> None:
    config: ScanConfig = SCAN_SMALL
    backbone = tiny_backbone(name)
    if name in (*SIGLIPS, "tipsv2"):
        with pytest.raises(ConfigError, match=f"of the kind {backbone.kind}; scan runs the image tower of a CLIP"):
            config.clip(backbone)
    else:
        assert config.clip(backbone) is backbone


@torch.no_grad()
@pytest.mark.parametrize("config", [SCAN_SMALL, EBSEG_SMALL], ids=["scan", "ebseg"])
def test_the_mask_family_runs_on_towers_with_other_texts(config: BaseMethodConfig) -> None:
    torch.manual_seed(0)
    method = config.compose(tiny_backbone("chinese_clip")).eval()
    backbone = method.backbone
    text = F.normalize(backbone.encode_text(backbone.tokenizer(["猫", "天空", "道路"])), dim=-1)[:, None]
    logits = method(images(), text).logits
    assert logits.shape[:2] == (2, 3)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", ["siglip2"])
def test_a_grid_that_windows_do_not_fit_is_refused_at_build(source: ClipConfig) -> None:
    config = CatSegConfig(backbone=source.replace(resolution=80), cost=SMALL)
    with pytest.raises(ConfigError, match=r"resolution 80 is a grid of 10 patches.*window=4.* 64 or 96"):
        config.build()
