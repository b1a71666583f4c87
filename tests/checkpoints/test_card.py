"""Cards say what was measured, how, and with what; segmenters save and publish themselves."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard

from ahs_seg.checkpoints import CheckpointError, ModelDescription, load_model, save_model
from ahs_seg.checkpoints.card import model_card, write_card
from ahs_seg.evaluation import EvaluationReport
from ahs_seg.inference.predict import CAT_SEG_PROTOCOL, InferenceConfig
from ahs_seg.io.provenance import provenance
from ahs_seg.methods import CatSegConfig, HClipConfig
from ahs_seg.output.familiarity import TrainingImages
from ahs_seg.segmenter import Segmenter
from ahs_seg.tuners import Frozen
from tests.support.builders import random_backbone
from tests.support.hub_server import Hub
from tests.support.small_methods import CAT_SEG, H_CLIP

DESCRIPTION = ModelDescription(method=CatSegConfig(), trained_on=("cat", "dog"))


def report(protocol: str = "whole image", seen: tuple[str, ...] | None = ("cat", "dog")) -> EvaluationReport:
    """IoU of cat 1/2 and of sofa 3/4."""
    return EvaluationReport(
        method="cat_seg",
        dataset="ADE20K-150 (validation)",
        protocol=protocol,
        labels=("cat", "sofa"),
        seen=seen,
        images=7,
        counts={"labelled": [3, 7], "predicted": [3, 7], "hits": [2, 6]},
        seconds=1.0,
        provenance=provenance(),
    )


def test_the_table_names_the_protocol_of_every_score() -> None:
    card = model_card(DESCRIPTION, [report(), report("windows", seen=None)], title="me/cats")
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    assert rows[0] == (
        "| data | protocol | images | mIoU | mIoU, predicted too | fwIoU | mACC | pACC | seen | unseen | harmonic |"
    )
    assert rows[1] == (
        "| ADE20K-150 (validation) | whole image | 7 | 62.50 | 62.50 | 67.50 | 76.19 | 80.00 | 50.00 | 75.00 | 60.00 |"
    )
    assert rows[2] == "| ADE20K-150 (validation) | windows | 7 | 62.50 | 62.50 | 67.50 | 76.19 | 80.00 |  |  |  |"
    assert "Trained with 2 class names\n\ncat, dog" in card
    assert f"torch {version('torch')}" in card


def test_the_hub_can_read_the_header(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(model_card(DESCRIPTION, [report()], title="me/cats", licence="apache-2.0"))
    data = ModelCard.load(path).data
    assert data.library_name == "ahs-seg"
    assert data.license == "apache-2.0"
    assert data.base_model == "openai/clip-vit-base-patch16"
    assert data.model_name == "cats"
    (result,) = data.eval_results
    assert (result.dataset_name, result.metric_name) == ("ADE20K-150 (validation)", "mIoU (whole image)")
    assert result.metric_value == 0.625


def test_without_reports_there_are_no_scores_and_no_licence(tmp_path: Path) -> None:
    directory = save_model(CAT_SEG.compose(random_backbone()), ModelDescription(method=CAT_SEG), tmp_path / "cats")
    text = write_card(directory).read_text()
    assert "## Scores" not in text
    assert "license" not in text
    assert 'Segmenter.from_pretrained("cats")' in text
    assert "a CLIP of its own" in text


def test_a_report_from_a_file_gives_the_same_card(tmp_path: Path) -> None:
    before = report()
    before.save(tmp_path / "report.json")
    after = EvaluationReport.load(tmp_path / "report.json")
    assert model_card(DESCRIPTION, [after], title="x") == model_card(DESCRIPTION, [before], title="x")


def segment(segmenter: Segmenter) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    return segmenter(image, "cat, dog, bird").scores


@pytest.mark.parametrize("config", [CAT_SEG, H_CLIP], ids=["cat_seg", "h_clip"])
def test_a_segmenter_saves_what_it_computes(tmp_path: Path, config: CatSegConfig) -> None:
    save_model(config.compose(random_backbone()), ModelDescription(method=config, trained_on=("cat",)), tmp_path / "a")
    segmenter = Segmenter.from_pretrained(tmp_path / "a", inference=InferenceConfig(options={"class_pooling": 1}))
    segmenter.save_pretrained(tmp_path / "b", reports=[report()])
    again = Segmenter.from_pretrained(tmp_path / "b")
    np.testing.assert_array_equal(segment(again), segment(segmenter))
    description, _ = load_model(tmp_path / "b")
    assert isinstance(description.method, CatSegConfig | HClipConfig)
    assert description.method.tuner == Frozen()
    assert description.inference == InferenceConfig(options={"class_pooling": 1})
    assert description.trained_on == ("cat",)
    assert "62.50" in (tmp_path / "b" / "README.md").read_text()


def test_a_segmenter_of_a_method_alone_says_how_to_save(tmp_path: Path) -> None:
    segmenter = Segmenter(CAT_SEG.compose(random_backbone()))
    with pytest.raises(CheckpointError, match="save_model"):
        segmenter.save_pretrained(tmp_path / "a")


def test_a_segmenter_goes_to_the_hub_and_comes_back(hub: Hub, tmp_path: Path) -> None:
    description = ModelDescription(method=CAT_SEG, inference=CAT_SEG_PROTOCOL)
    save_model(CAT_SEG.compose(random_backbone()), description, tmp_path / "a")
    segmenter = Segmenter.from_pretrained(tmp_path / "a", inference=InferenceConfig())
    segmenter.push_to_hub("me/cats", reports=[report()], licence="mit")
    card = hub.repositories["me/cats"]["README.md"].decode()
    assert "# cats" in card
    assert 'from_pretrained("me/cats")' in card
    assert "62.50" in card
    np.testing.assert_array_equal(segment(Segmenter.from_pretrained("me/cats")), segment(segmenter))


def test_the_card_says_what_the_model_was_trained_on() -> None:
    told = DESCRIPTION.replace(training=TrainingImages(kind="photographs", data="COCO-Stuff 171"))
    assert "Trained on: photographs, COCO-Stuff 171." in model_card(told, title="me/cats")
    assert "is not recorded" in model_card(DESCRIPTION, title="me/cats")
