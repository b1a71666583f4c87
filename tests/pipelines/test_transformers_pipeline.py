import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import pipeline

from ahs_seg.checkpoints.model_dir import ModelDescription, save_model
from ahs_seg.output.calibration import IDENTITY_CALIBRATION
from ahs_seg.pipelines.transformers_pipeline import TASK, AhsSegPipeline, register_pipeline
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


@pytest.mark.parametrize("size", [2, 8])
def test_batches_give_what_single_images_give(segment, size):
    sizes = []
    encode = segment.model.method.encode

    def counted(images):
        sizes.append(len(images))
        return encode(images)

    segment.model.method.encode = counted
    images = [Image.fromarray(IMAGE), Image.fromarray(IMAGE[::-1].copy()), Image.fromarray(IMAGE[:, ::-1].copy())]
    alone = [segment(image, candidate_labels=WORDS) for image in images]
    sizes.clear()
    together = segment(images, candidate_labels=WORDS, batch_size=size)
    assert sizes == ([2, 1] if size == 2 else [3])
    lazy = segment((image for image in images), candidate_labels=WORDS, batch_size=size)
    for found in (together, list(lazy)):
        for each, other in zip(found, alone, strict=True):
            assert [one["label"] for one in each] == [one["label"] for one in other]
            assert [one["score"] for one in each] == pytest.approx([one["score"] for one in other], abs=1e-3)


def test_a_short_type_is_taken_from_the_pipeline(model):
    register_pipeline()
    segment = pipeline(TASK, model=str(model), device="cpu", dtype="bfloat16")
    assert str(segment.model.dtype) == "torch.bfloat16"
    assert segment(Image.fromarray(IMAGE), candidate_labels=WORDS)


@pytest.mark.slow
def test_a_class_of_the_package_is_enough_to_register_all():
    code = (
        "import ahs_seg\nfrom transformers.pipelines import PIPELINE_REGISTRY\n"
        f"assert {TASK!r} not in PIPELINE_REGISTRY.get_supported_tasks()\n"
        "from ahs_seg import AhsSegModel\n"
        f"assert PIPELINE_REGISTRY.supported_tasks[{TASK!r}]['impl'].__name__ == {AhsSegPipeline.__name__!r}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
