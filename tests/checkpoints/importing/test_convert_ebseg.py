"""EBSeg's checkpoint becomes a model directory that knows which classes its training has seen."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ahs_seg.checkpoints import load_model
from ahs_seg.checkpoints.importing.convert_ebseg import convert_ebseg, ebseg_config
from ahs_seg.checkpoints.importing.key_rules import ConversionError
from ahs_seg.checkpoints.importing.run import ClipSettings, import_checkpoint, published, recognise
from ahs_seg.checkpoints.known import KNOWN_CHECKPOINTS
from ahs_seg.config import MAX_LAYERS
from ahs_seg.methods import EBSegConfig, EBSegSegmenter
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.parity.ebseg_case import TINY
from tests.parity.mask_recording import mask_recording
from tests.support.official import full_tokenizer, save_original


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return mask_recording("ebseg_tiny").state(constants=True)


@pytest.fixture(scope="module")
def model(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ebseg")
    path, words = save_original(state, folder / "EBSeg.pth"), full_tokenizer(folder)
    description = published("ebseg").replace(method=TINY)
    clip = ClipSettings(heads=12, text_heads=4)  # they are not 64 wide
    report = import_checkpoint(path, None, folder / "model", description=description, tokenizer=words, clip=clip)
    assert report.kind == "ebseg"
    assert set(report.mapped) | set(report.ignored) == set(state) | {"optimizer", "scheduler", "iteration"}
    assert all(report.ignored.values())
    assert len(report.ignored) == 5 + 3
    return folder / "model"


def test_a_checkpoint_is_recognised_and_brings_all_weights(model: Path, state: dict[str, Tensor]) -> None:
    assert recognise(state) == "ebseg"
    description, method = load_model(model)
    assert isinstance(method, EBSegSegmenter)
    assert description.prompts.templates == "vild"
    assert description.prompts.synonyms == "joined"
    assert description.inference.shortest_edge == 640
    assert torch.equal(method.void, state["ov_classifier.bg_embed"])
    assert torch.equal(method.pixels.get_parameter("encoder.pos_embed"), state["backbone.pos_embed"])


def test_it_knows_what_training_has_seen_for_any_vocabulary(model: Path) -> None:
    segmenter = Segmenter.from_pretrained(model)
    words = segmenter._words(segmenter.prompts.table(Vocabulary.parse("man, unicorn, wall-brick")))
    assert words.seen is not None
    assert words.seen.tolist() == [True, False, True]
    assert segmenter.description is not None
    seen = segmenter.description.seen(Vocabulary.known("ade20k-150"))
    assert seen is not None
    assert sum(seen) == 67


def test_classes_of_another_training_count_in_place_of_the_published_ones(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    """Names and their synonyms decide then, also for the vocabularies of the published maps."""
    path, words = save_original(state, tmp_path / "EBSeg.pth"), full_tokenizer(tmp_path)
    import_checkpoint(
        path,
        None,
        tmp_path / "model",
        trained_on="zebra = plains zebra; moon",
        description=published("ebseg").replace(method=TINY),
        tokenizer=words,
        clip=ClipSettings(heads=12, text_heads=4),
    )
    description, _ = load_model(tmp_path / "model")
    assert description.seen(Vocabulary.parse("plains zebra, sky, moon, car")) == (True, False, True, False)
    seen = description.seen(Vocabulary.known("ade20k-150"))
    assert seen is not None
    assert not any(seen)


def test_the_large_one_is_told_by_its_blocks(state: dict[str, Tensor]) -> None:
    conversion = convert_ebseg(state).state
    assert ebseg_config(EBSegConfig(), conversion) == EBSegConfig()
    name = "backbone.model.vision_model.encoder.layers.{}.mlp.fc1.bias"
    large = ebseg_config(EBSegConfig(), conversion | {name.format(12 + index): torch.zeros(4) for index in range(12)})
    assert (large.clip_scale, large.recognition_blocks) == (0.7, 6)
    assert (large.alpha, large.beta, large.gamma) == (0.12, 0.4, 0.6)
    assert large.backbone.resolution == 448
    dense = EBSegConfig(backbone=EBSegConfig().backbone.replace(dense="naclip"))
    kept = ebseg_config(dense, conversion | {name.format(12 + index): torch.zeros(4) for index in range(12)})
    assert kept.backbone == large.backbone.replace(dense="naclip")


def test_blocks_are_bounded() -> None:
    many = {f"clip_visual_extractor.resblocks.{index}.ln_1.weight": torch.zeros(1) for index in range(MAX_LAYERS + 1)}
    with pytest.raises(ConversionError, match=r"it has 1,001 blocks of CLIP; allowed are 1,000"):
        convert_ebseg(many)


def test_both_are_known_by_name() -> None:
    for name in ("ebseg-vitb", "ebseg-vitl"):
        description = KNOWN_CHECKPOINTS[name].description()
        assert len(description.trained_on) == 171
        assert description.overlap.maps
