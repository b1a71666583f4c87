"""Auto classes of transformers give the labels of the segmenter."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoProcessor

from ahs_seg.checkpoints.model_dir import ModelDescription, save_model
from ahs_seg.inference.top_k import OutputOptionsError
from ahs_seg.pipelines import AhsSegModel, AhsSegProcessor
from ahs_seg.pipelines.auto_classes import SegmentationOutput
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import VocabularyError
from tests.support.drawn_images import drawn
from tests.support.small_methods import SHORT, h_clip

WORDS = ["cat", "sofa", "lamp"]
IMAGES = [drawn(24, 30), drawn(30, 20)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, method = h_clip()
    described = ModelDescription(method=config, prompts=SHORT)
    return save_model(method, described, tmp_path_factory.mktemp("auto") / "model")


def test_labels_are_those_of_the_segmenter(directory: Path) -> None:
    model, processor = AutoModel.from_pretrained(directory), AutoProcessor.from_pretrained(directory)
    assert isinstance(model, AhsSegModel)
    assert isinstance(processor, AhsSegProcessor)
    assert AutoConfig.from_pretrained(directory).model_type == "ahs_seg"
    outputs = model(**processor(images=IMAGES, text=WORDS))
    expected = [Segmenter.from_pretrained(directory, device="cpu")(image, WORDS).labels for image in IMAGES]
    maps = processor.post_process_semantic_segmentation(outputs)
    for found, labels in zip(maps, expected, strict=True):
        assert (found.numpy() == labels).mean() > 0.999
    larger = processor.post_process_semantic_segmentation(outputs, target_sizes=[(48, 60), (15, 10)])
    assert [tuple(one.shape) for one in larger] == [(48, 60), (15, 10)]
    assert torch.equal(larger[0][::2, ::2], maps[0])
    with pytest.raises(OutputOptionsError, match="1 target_sizes for 2 images"):
        processor.post_process_semantic_segmentation(outputs, target_sizes=[(1, 1)])


def test_one_image_and_no_words() -> None:
    processor = AhsSegProcessor.from_pretrained("anywhere")
    found = processor(IMAGES[0], WORDS)
    assert [image.shape for image in found["images"]] == [(24, 30, 3)]
    assert found["classes"].labels == WORDS
    assert len(processor(np.stack([IMAGES[0]] * 2), WORDS)["images"]) == 2
    with pytest.raises(VocabularyError, match="no classes were given; name them with text"):
        processor(IMAGES[0])
    assert processor.post_process_semantic_segmentation(SegmentationOutput(segmentations=[])) == []


def test_type_and_device_are_those_of_the_segmenter(directory: Path) -> None:
    model = AutoModel.from_pretrained(directory, dtype=torch.bfloat16)
    assert (model.dtype, model.device) == (torch.bfloat16, torch.device("cpu"))
    assert model.to("cpu").to(dtype="fp32") is model
    assert model.dtype == model.segmenter.dtype == torch.float32
    assert next(model.parameters()).dtype == torch.float32
    assert not model.training
    assert not model.can_generate()


def test_a_model_is_saved_as_by_the_segmenter(directory: Path, tmp_path: Path) -> None:
    model = AutoModel.from_pretrained(directory)
    model.save_pretrained(tmp_path / "copy", safe_serialization=True)
    copied = Segmenter.from_pretrained(tmp_path / "copy", device="cpu")
    assert np.array_equal(copied(IMAGES[0], WORDS).labels, model.segmenter(IMAGES[0], WORDS).labels)
