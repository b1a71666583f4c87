"""EBSeg's checkpoint becomes a model directory that knows which classes its training has seen."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ahs_seg.checkpoints import load_model
from ahs_seg.checkpoints.importing.convert_ebseg import convert_ebseg, ebseg_config
from ahs_seg.checkpoints.importing.run import import_checkpoint, published, recognise
from ahs_seg.checkpoints.zoo import KNOWN_CHECKPOINTS
from ahs_seg.methods import EBSegConfig, EBSegSegmenter
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.parity.ebseg_case import TINY
from tests.parity.mask_recording import mask_recording
from tests.support.official import full_tokenizer, save_original

BIAS = "sem_seg_head.predictor.attn_proj.layers.2."


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """The recorded names; the import reads heads of 64, so that a CLIP 96 wide has one and needs one bias."""
    found = mask_recording("ebseg_tiny").state(constants=True)
    return {key: value[:64].clone() if key.startswith(BIAS) else value for key, value in found.items()}


@pytest.fixture(scope="module")
def model(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ebseg")
    path, words = save_original(state, folder / "EBSeg.pth"), full_tokenizer(folder)
    description = published("ebseg").replace(method=TINY)
    report = import_checkpoint(path, None, folder / "model", description=description, tokenizer=words)
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


def test_the_large_one_is_told_by_its_blocks(state: dict[str, Tensor]) -> None:
    conversion = convert_ebseg(state).state
    assert ebseg_config(EBSegConfig(), conversion) == EBSegConfig()
    name = "backbone.model.vision_model.encoder.layers.{}.mlp.fc1.bias"
    large = ebseg_config(EBSegConfig(), conversion | {name.format(12 + index): torch.zeros(4) for index in range(12)})
    assert (large.clip_scale, large.recognition_blocks) == (0.7, 6)
    assert (large.alpha, large.beta, large.gamma) == (0.12, 0.4, 0.6)
    assert large.backbone.resolution == 448


def test_both_are_known_by_name() -> None:
    for name in ("ebseg-vitb", "ebseg-vitl"):
        description = KNOWN_CHECKPOINTS[name].description()
        assert len(description.trained_on) == 171
        assert description.overlap.maps
