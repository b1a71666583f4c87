"""Folders with coloured label maps, in the layouts of CVAT, Pascal VOC and CamVid."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.coloured import ColouredData
from ahs_seg.data.config import parse_data
from ahs_seg.data.folder import FolderError
from ahs_seg.errors import SampleError
from ahs_seg.types import IGNORE
from tests.support.annotations import save_image
from tests.support.datasets import notices

TABLE = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:192,96,96::\nlake & sea:5,6,7::\n"
COLOURS = np.array([[0, 0, 0], [192, 96, 96], [5, 6, 7]], np.uint8)
VALUES = np.array([[0, 1, 2], [2, 1, 0]])


def cvat(folder: Path) -> Path:
    """What CVAT exports as "Segmentation mask 1.1", with an image that nobody has labelled."""
    for name in ("a", "b", "bare"):
        save_image(folder / f"JPEGImages/{name}.png", np.zeros((2, 3, 3), np.uint8))
    for name in ("a", "b"):
        save_image(folder / f"SegmentationClass/{name}.png", COLOURS[VALUES])
    (folder / "labelmap.txt").write_text(TABLE)
    (folder / "ImageSets/Segmentation").mkdir(parents=True)
    (folder / "ImageSets/Segmentation/default.txt").write_text("a\n")
    return folder


def test_segmentation_masks_of_cvat(tmp_path: Path) -> None:
    data = parse_data(str(cvat(tmp_path)))
    assert data == ColouredData(root=tmp_path)
    dataset = data.open()
    assert isinstance(dataset, SegmentationDataset)
    assert dataset.vocabulary.labels == ["car", "lake & sea"]
    assert [dataset[index].name for index in range(len(dataset))] == ["a", "b"]
    assert dataset[0].labels.tolist() == [[IGNORE, 0, 1], [1, 0, IGNORE]]
    listed = ColouredData(root=tmp_path, listed="ImageSets/Segmentation/default.txt").open()
    assert [listed[index].name for index in range(len(listed))] == ["a"]


def test_what_is_not_labelled_can_be_a_class(tmp_path: Path) -> None:
    dataset = ColouredData(root=cvat(tmp_path), unlabelled="background", classes=("lake & sea", "car")).open()
    assert dataset.vocabulary.labels == ["lake & sea", "car", "background"]
    assert dataset[0].labels.tolist() == [[2, 1, 0], [0, 1, 2]]


def test_palettes_of_pascal_voc(tmp_path: Path) -> None:
    save_image(tmp_path / "JPEGImages/a.jpg", np.zeros((2, 3, 3), np.uint8))
    label_map = Image.fromarray(np.array([[0, 15, 255], [15, 1, 0]], np.uint8))
    palette = np.zeros((256, 3), np.uint8)
    palette[[1, 15, 255]] = [(128, 0, 0), (192, 128, 128), (224, 224, 192)]
    label_map.putpalette(palette.ravel().tolist())
    (tmp_path / "SegmentationClass").mkdir()
    label_map.save(tmp_path / "SegmentationClass/a.png")
    dataset = ColouredData(root=tmp_path, colours="voc").open()
    assert len(dataset.vocabulary) == 20
    person = dataset.vocabulary.labels.index("person")
    assert dataset[0].labels.tolist() == [[IGNORE, person, IGNORE], [person, 0, IGNORE]]


def test_folders_of_camvid(tmp_path: Path) -> None:
    save_image(tmp_path / "train/a.png", np.zeros((1, 2, 3), np.uint8))
    save_image(tmp_path / "trainannot/a.png", np.array([[[64, 128, 64], [0, 0, 0]]], np.uint8))
    (tmp_path / "label_colors.txt").write_text("64 128 64\tAnimal\n0 0 0\tVoid\n")
    data = ColouredData(root=tmp_path, colours="label_colors.txt", images="train", annotations="trainannot")
    assert data.open()[0].labels.tolist() == [[0, IGNORE]]


def test_what_is_wrong_is_listed_together(tmp_path: Path) -> None:
    cvat(tmp_path)
    save_image(tmp_path / "SegmentationClass/a.png", COLOURS[VALUES] + 1)
    save_image(tmp_path / "SegmentationClass/b.png", COLOURS[VALUES[:1]])
    with pytest.raises(FolderError) as caught:
        ColouredData(root=tmp_path).open().check()
    text = "\n".join(caught.value.faults)
    assert "a.png: 6 pixels have 3 colours that are not in" in text
    assert "b.png: label map is 3x1, its image 3x2; sizes must agree." in text


def test_opening_lists_the_files_and_reading_finds_a_damaged_one(tmp_path: Path) -> None:
    (cvat(tmp_path) / "JPEGImages/a.png").write_bytes(b"junk")
    dataset = ColouredData(root=tmp_path).open()
    assert dataset[1].name == "b"
    with pytest.raises(SampleError, match=r"a\.png"):
        dataset[0]


@pytest.mark.parametrize("lossy", [["b"], ["a", "b"]])
def test_label_maps_in_a_lossy_format_are_a_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lossy: list[str]
) -> None:
    cvat(tmp_path)
    for name in lossy:
        path = tmp_path / f"SegmentationClass/{name}.png"
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    dataset = ColouredData(root=tmp_path).open()
    assert len(dataset) == 2
    told = f"{lossy[0]}.jpg: one of {len(lossy)} label maps in a lossy format"
    assert told in caplog.text
    with pytest.raises(FolderError, match=told):
        dataset.check()


def test_images_that_are_left_out_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cvat(tmp_path)
    ColouredData(root=tmp_path).open()
    message = f"{tmp_path}: 2 of 3 images can be used; the others have no label map in SegmentationClass."
    assert caplog.messages == [message]
    caplog.clear()
    (tmp_path / "listed.txt").write_text("a\n")
    ColouredData(root=tmp_path, listed="listed.txt").open()
    assert not caplog.messages
    (tmp_path / "listed.txt").write_text("a\nbare\nzebra\n")
    ColouredData(root=tmp_path, listed="listed.txt").open()
    assert caplog.messages == [f"{message[:-1]}, or no image in JPEGImages.".replace("2 of 3", "1 of 3")]


def test_nothing_labelled_and_lists_that_are_not_there(tmp_path: Path) -> None:
    cvat(tmp_path)
    with pytest.raises(FolderError, match=r"none\.txt: no list of image names"):
        ColouredData(root=tmp_path, listed="none.txt").open()
    (tmp_path / "other.txt").write_text("zebra\n")
    with pytest.raises(FolderError, match="no image in JPEGImages has a label map of its name"):
        ColouredData(root=tmp_path, listed="other.txt").open()


def test_files_that_change_are_noticed(tmp_path: Path) -> None:
    cvat(tmp_path)
    for name in ("JPEGImages/a.png", "SegmentationClass/a.png", "labelmap.txt"):
        assert notices(ColouredData(root=tmp_path), tmp_path / name)
    assert not notices(ColouredData(root=tmp_path), tmp_path / "SegmentationClass/b.png")
