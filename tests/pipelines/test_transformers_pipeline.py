import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ahs_seg.integrations.transformers_pipeline import TASK, register_pipeline
from PIL import Image
from transformers import pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from ahs_seg.checkpoints.model_dir import ModelDescription, save_model
from ahs_seg.output.calibration import IDENTITY_CALIBRATION
from ahs_seg.segmenter import Segmenter
from tests.support.small_methods import SHORT, h_clip

WORDS = ["cat", "sofa", "lamp"]
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 49, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, method = h_clip()
    described = ModelDescription(method=config, prompts=SHORT, calibration=IDENTITY_CALIBRATION)
    return save_model(method, described, tmp_path_factory.mktemp("hub") / "model")


@pytest.fixture
def segment(model: Path):
    register_pipeline()
    register_pipeline()
    return pipeline(TASK, model=str(model), device="cpu")


def test_the_answer_is_that_of_the_segmenter(segment, model, tmp_path: Path):
    expected = Segmenter.from_pretrained(model)(IMAGE, WORDS)
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    for source in (Image.fromarray(IMAGE), str(tmp_path / "a.png")):
        found = segment(source, candidate_labels=WORDS)
        assert [one["label"] for one in found] == list(expected.masks())
        for one in found:
            mask = expected.masks()[one["label"]]
            assert one["mask"].mode == "L"
            assert np.array_equal(np.asarray(one["mask"]), mask * np.uint8(255))
            assert one["score"] == pytest.approx(float(expected.scores[mask].mean()))


def test_lists_and_generators_of_images(segment):
    images = [Image.fromarray(IMAGE), Image.fromarray(IMAGE[::-1])]
    together = segment(images, candidate_labels="cat, sofa")
    lazy = segment((image for image in images), candidate_labels="cat, sofa")
    alone = [segment(image, candidate_labels="cat, sofa") for image in images]
    for found in (together, list(lazy)):
        assert [[one["label"] for one in each] for each in found] == [[one["label"] for one in each] for each in alone]
        for each, other in zip(found, alone, strict=True):
            assert all(one["mask"].tobytes() == two["mask"].tobytes() for one, two in zip(each, other, strict=True))


def test_words_may_be_given_once_and_options_are_those_of_the_segmenter(model):
    register_pipeline()
    segment = pipeline(TASK, model=str(model), candidate_labels=WORDS, background=["wall"], device="cpu")
    assert {one["label"] for one in segment(Image.fromarray(IMAGE))} <= {*WORDS, "background"}
    assert segment(Image.fromarray(IMAGE), unknown_below=1.0) == []


def test_without_words_it_says_so(segment):
    with pytest.raises(ValueError, match="candidate_labels"):
        segment(Image.fromarray(IMAGE))


def test_nothing_is_registered_on_import():
    code = (
        "import ahs_seg.integrations.transformers_pipeline\nfrom transformers.pipelines import PIPELINE_REGISTRY\n"
        "assert ahs_seg.integrations.transformers_pipeline.TASK not in PIPELINE_REGISTRY.get_supported_tasks()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    register_pipeline()
    assert TASK in PIPELINE_REGISTRY.get_supported_tasks()
