"""What a segmenter takes as images, how many at a time, and where and how it computes."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ahs_seg.checkpoints.model_dir import ModelDescription, save_model
from ahs_seg.io.devices import DeviceError
from ahs_seg.io.images import ImageSource
from ahs_seg.io.precision import PrecisionError
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter
from tests.support.drawn_images import drawn
from tests.support.small_methods import SHORT, h_clip
from tests.support.tiny_models import ColourMethod

WORDS = "cat, sofa, lamp"
IMAGE = drawn(24, 30)


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(ColourMethod(), prompts=SHORT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(IMAGE).save(tmp_path / name)
    return tmp_path


def test_folders_patterns_and_batches_give_lists(segmenter: Segmenter, folder: Path) -> None:
    expected = segmenter(IMAGE, WORDS)
    batch = np.stack([IMAGE] * 3)
    for source in (folder, str(folder), str(folder / "*.png"), batch, torch.from_numpy(batch).permute(0, 3, 1, 2)):
        found: Any = segmenter(source, WORDS, batch_size=2)
        assert isinstance(found, list)
        assert [np.array_equal(one.labels, expected.labels) for one in found] == [True] * 3
    several: Any = segmenter(folder, WORDS)
    assert [one.source for one in several] == [folder / name for name in ("a.png", "b.png", "c.png")]


def test_a_folder_may_hold_images_that_are_damaged(segmenter: Segmenter, folder: Path) -> None:
    (folder / "b.png").write_bytes(b"broken")
    source: Any = folder
    assert len(segmenter(source, WORDS, on_error="skip", batch_size=3)) == 2


def test_open_files_are_images(segmenter: Segmenter, folder: Path) -> None:
    expected = segmenter(IMAGE, WORDS).labels
    with (folder / "a.png").open("rb") as opened:
        assert np.array_equal(segmenter(opened, WORDS).labels, expected)
    assert np.array_equal(segmenter(io.BytesIO((folder / "a.png").read_bytes()), WORDS).labels, expected)


def test_segment_is_another_name_of_the_call(segmenter: Segmenter) -> None:
    found = segmenter.segment(IMAGE, WORDS, top_k=2)
    assert isinstance(found, Segmentation)
    assert np.array_equal(found.labels, segmenter(IMAGE, WORDS).labels)
    assert found.top_labels is not None


def test_batches_run_through_the_method_together() -> None:
    segmenter = Segmenter(h_clip()[1], prompts=SHORT)
    sizes: list[int] = []
    encode = segmenter.method.encode

    def counted(images: torch.Tensor):
        sizes.append(len(images))
        return encode(images)

    segmenter.method.encode = counted  # type: ignore[method-assign]  # counts images
    images: list[ImageSource] = [IMAGE, IMAGE[::-1].copy(), IMAGE[:, ::-1].copy()]
    together = segmenter(images, WORDS, batch_size=2)
    assert sizes == [2, 1]
    alone = segmenter(images, WORDS)
    assert sizes == [2, 1, 1, 1, 1]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        assert (one.labels == other.labels).mean() > 0.999
    with pytest.raises(ValueError, match="batch_size=0"):
        segmenter(images, WORDS, batch_size=0)


def test_a_model_is_loaded_where_and_as_one_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, method = h_clip()
    directory = save_model(method, ModelDescription(method=config, prompts=SHORT), tmp_path / "model")
    segmenter = Segmenter.from_pretrained(directory)
    assert segmenter.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert segmenter.dtype == torch.float32
    short = Segmenter.from_pretrained(directory, device="cpu", dtype="bf16")
    assert (short.device, short.dtype) == (torch.device("cpu"), torch.bfloat16)
    weights = short.save_pretrained(tmp_path / "again") / "model.safetensors"
    assert weights.read_bytes() == (segmenter.save_pretrained(tmp_path / "exact") / "model.safetensors").read_bytes()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in (0, "cuda:1"):
        with pytest.raises(DeviceError, match="is not in this machine"):
            Segmenter.from_pretrained(directory, device=device)
    with pytest.raises(PrecisionError, match="allowed are fp32, bf16 and fp16"):
        Segmenter.from_pretrained(directory, dtype="int4")
