"""A dataset as a folder comes back as it was."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.folder import FolderDataset
from ahs_seg.data.world.export import export_folder
from ahs_seg.io.overwrite import OverwriteError
from ahs_seg.types import IGNORE
from tests.support.datasets import Pictures


class WithHoles(Pictures):
    """Images whose first pixel has no label."""

    def __getitem__(self, index: int):
        sample = super().__getitem__(index)
        sample.labels[0, 0] = IGNORE
        return sample


def test_a_folder_holds_images_labels_and_names(tmp_path: Path) -> None:
    dataset = WithHoles(3)
    assert export_folder(dataset, tmp_path, split="train") == tmp_path
    again = FolderDataset(tmp_path, split="train")
    assert again.vocabulary.labels == dataset.vocabulary.labels
    assert len(again) == 3
    for index in range(3):
        assert np.array_equal(again[index].image, dataset[index].image)
        assert np.array_equal(again[index].labels, dataset[index].labels)
    with Image.open(tmp_path / "annotations/train/0.png") as labels:
        assert np.asarray(labels)[0, 0] == 65535


def test_splits_lie_side_by_side(tmp_path: Path) -> None:
    for split, count in (("train", 2), ("test", 1)):
        export_folder(Pictures(count), tmp_path, split=split)
    assert [len(FolderDataset(tmp_path, split=split)) for split in ("train", "test")] == [2, 1]


def test_the_classes_of_another_dataset_are_kept(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("my own\nclasses\n")
    with pytest.raises(OverwriteError, match="holds a dataset with other classes"):
        export_folder(WithHoles(1), tmp_path, split="train")
    assert [path.name for path in tmp_path.iterdir()] == ["classes.txt"]
