"""Images of a file of labels: which are found, which cost themselves, and what is said about it."""

import logging
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ahs_seg.data.annotations.base import (
    AnnotatedDataset,
    AnnotatedImage,
    AnnotationError,
    LabelSource,
    Shape,
    labels_of,
)
from ahs_seg.data.annotations.polygon import filled, polygon_points
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.class_choice import ClassChoice
from tests.support.annotations import save_image


def whole(label: int) -> Shape:
    return Shape(label, lambda size: np.ones(size, np.bool_))


def opened(folder: Path, *images: AnnotatedImage, choice: ClassChoice | None = None) -> AnnotatedDataset:
    choice = choice or ClassChoice()
    return AnnotatedDataset(LabelSource(("cat", "dog"), images), folder, title="labels.x", classes=choice)


def image(name: str, **more: object) -> AnnotatedImage:
    return AnnotatedImage(name, labels_of([whole(1)]), **more)  # type: ignore[arg-type]  # given by the test


def test_images_are_found_below_the_folder_with_or_without_their_first_folders(tmp_path: Path) -> None:
    for name in ("a.png", "deep/b.png"):
        save_image(tmp_path / name, np.zeros((2, 3, 3), np.uint8))
    dataset = opened(tmp_path, image("train/a.png"), image("deep/b.png"))
    assert isinstance(dataset, SegmentationDataset)
    assert [dataset[index].name for index in range(2)] == ["deep/b.png", "train/a.png"]
    assert (dataset[0].labels == 1).all()
    assert dataset.name == "labels.x"


def test_what_cannot_be_used_costs_its_image_and_is_told(tmp_path: Path, caplog) -> None:
    save_image(tmp_path / "a.png", np.zeros((2, 3, 3), np.uint8))
    save_image(tmp_path / "twice.png", np.zeros((2, 3, 3), np.uint8))
    bad = [image("../a.png"), image("/etc/a.png"), image(""), image("twice.png"), image("twice.png"), image("no.png")]
    with caplog.at_level(logging.WARNING):
        dataset = opened(tmp_path, image("a.png"), *bad, AnnotatedImage("bare.png", fault="is odd"))
    assert len(dataset) == 1
    assert "labels.x: 1 of 8 images can be used." in caplog.text
    assert "... and 2 more" in caplog.text
    with pytest.raises(AnnotationError) as caught:
        dataset.check()
    text = "\n".join(caught.value.faults)
    assert text.count("is no relative path in the folder of the images") == 3
    assert text.count("twice.png: 2 entries have this name; keep one.") == 2
    assert f"no.png: no such image below {tmp_path}. Give the folder of the images, data.images=FOLDER" in text
    assert "bare.png: is odd." in text


def test_two_entries_never_share_a_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_image(tmp_path / name, np.zeros((2, 3, 3), np.uint8))
    dataset = opened(tmp_path, image("train/a.png"), image("val/a.png"), image("b.png"))
    assert len(dataset) == 1
    with pytest.raises(AnnotationError, match=r"val/a\.png: 2 entries lead to .*a\.png; give the folder above it"):
        dataset.check()


def test_worker_processes_get_a_copy(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", np.zeros((2, 3, 3), np.uint8))
    shape = Shape(0, partial(filled, polygon_points([0, 0, 2, 0, 2, 2, 0, 2])))
    dataset = opened(tmp_path, AnnotatedImage("a.png", labels_of([shape])))
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy[0].labels.tolist() == [[0, 0, -1]] * 2


def test_a_damaged_image_costs_itself(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("junk")
    save_image(tmp_path / "b.png", np.zeros((2, 3, 3), np.uint8))
    dataset = opened(tmp_path, image("a.png"), image("b.png"))
    seen: list[tuple[int, int]] = []
    with pytest.raises(AnnotationError, match=r"labels\.x: 1 fault in 2 images:\n.*a\.png"):
        dataset.check(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2, 2)
    assert dataset[1].name == "b.png"


def test_nothing_to_use_is_an_error(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(AnnotationError, match=r"none of its 1 images .*\n  1 without a label; data\.unlabelled"):
        opened(tmp_path, AnnotatedImage("a.png"))
    dataset = opened(tmp_path, AnnotatedImage("a.png"), choice=ClassChoice(unlabelled="rest"))
    assert (dataset[0].labels == 2).all()
