from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.folder import FolderDataset, FolderError
from ahs_seg.errors import SampleError
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary


def make(root: Path, names: list[str], *, labels: np.ndarray | None = None, classes: str = "sky\nroad, street\ncar\n"):
    values = np.array([[0, 1, 2], [2, 1, 255]], np.uint8) if labels is None else labels
    (root / "classes.txt").parent.mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text(classes)
    for name in names:
        for folder, image in {"images": Image.new("RGB", (3, 2)), "annotations": Image.fromarray(values)}.items():
            path = root / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    return root


def names_of(dataset: SegmentationDataset) -> list[str]:
    return [dataset[index].name for index in range(len(dataset))]


def test_samples_in_order_of_their_names(tmp_path):
    make(tmp_path, ["b", "a", "deep/c"])
    (tmp_path / "images" / "a folder.png").mkdir()
    dataset = FolderDataset(tmp_path)
    assert isinstance(dataset, SegmentationDataset)
    assert names_of(dataset) == ["a", "b", "deep/c"]
    assert dataset[0].labels.tolist() == [[0, 1, 2], [2, 1, IGNORE]]
    assert dataset[0].labels.dtype == np.int32
    assert dataset.vocabulary.labels == ["sky", "road", "car"]
    assert dataset.vocabulary.entries[1].synonyms == (("road", "street"),)
    dataset.check()


def test_splits(tmp_path):
    make(tmp_path, ["train/a", "train/b", "val/c"])
    assert names_of(FolderDataset(tmp_path, split="train")) == ["a", "b"]
    assert names_of(FolderDataset(tmp_path, split="val")) == ["c"]
    assert names_of(FolderDataset(tmp_path)) == ["train/a", "train/b", "val/c"]


def test_ignore_value_follows_the_depth_of_the_file(tmp_path):
    classes = "\n".join(f"class {k}" for k in range(300))
    values = np.array([[0, 255, 299], [1, 2, 65535]], np.uint16)
    dataset = FolderDataset(make(tmp_path, ["a"], labels=values, classes=classes))
    assert dataset[0].labels.tolist() == [[0, 255, 299], [1, 2, IGNORE]]


def test_255_is_a_class_in_files_of_8_bits_if_a_name_has_this_value(tmp_path):
    classes = "\n".join(f"class {k}" for k in range(256))
    make(tmp_path, ["a"], labels=np.array([[0, 254, 255]] * 2, np.uint8), classes=classes)
    dataset = FolderDataset(tmp_path)
    dataset.check()
    assert dataset[0].labels[0].tolist() == [0, 254, 255]
    assert FolderDataset(tmp_path, offset=1)[0].labels[0].tolist() == [IGNORE, 253, 254]
    assert FolderDataset(tmp_path, ignore=255)[0].labels[0].tolist() == [0, 254, IGNORE]
    (tmp_path / "classes.txt").write_text(classes.rpartition("\n")[0])
    assert FolderDataset(tmp_path)[0].labels[0].tolist() == [0, 254, IGNORE]


def test_a_given_ignore_value_is_the_only_one(tmp_path):
    make(tmp_path, ["a"], labels=np.array([[0, 1, 255]] * 2, np.uint16))
    assert FolderDataset(tmp_path, ignore=255)[0].labels[0].tolist() == [0, 1, IGNORE]
    with pytest.raises(SampleError, match=r"label value 255; .* 0\.\.2 and 65535 \(ignored\)\. Give ignore=255"):
        FolderDataset(tmp_path)[0]


def test_values_below_the_offset_mean_no_class(tmp_path):
    make(tmp_path, ["a"], labels=np.array([[0, 1, 2], [3, 255, 1]], np.uint8))
    dataset = FolderDataset(tmp_path, offset=1)
    assert dataset[0].labels.tolist() == [[IGNORE, 0, 1], [2, IGNORE, 0]]
    dataset.check()
    make(tmp_path, ["a"], labels=np.array([[5, 2, 3], [1, 0, 4]], np.uint8))
    with pytest.raises(SampleError, match=r"label value 5; the class list allows 0\.\.1 \(none\), 2\.\.4 and 3 \("):
        FolderDataset(tmp_path, offset=2, ignore=3)[0]


def test_other_names_and_a_vocabulary_of_ones_own(tmp_path):
    make(tmp_path, ["a"])
    (tmp_path / "images").rename(tmp_path / "photos")
    (tmp_path / "annotations").rename(tmp_path / "masks")
    vocabulary = Vocabulary.parse("x, y, z")
    dataset = FolderDataset(tmp_path, images="photos", annotations="masks", classes=vocabulary)
    assert dataset.vocabulary is vocabulary
    assert len(dataset) == 1


def test_check_reports_every_kind_of_fault_together(tmp_path):
    make(tmp_path, ["fine", "nolabel", "size", "outside", "broken", "turned", "twice", "lossy", "both"])
    annotations, images = tmp_path / "annotations", tmp_path / "images"
    for name in ("nolabel", "broken"):
        (annotations / f"{name}.png").unlink()
    Image.new("L", (6, 4)).save(annotations / "size.png")
    Image.new("L", (2, 3)).save(annotations / "turned.png")
    Image.new("L", (3, 2), 77).save(annotations / "outside.png")
    Image.new("RGB", (3, 2)).save(annotations / "lossy.png")
    (images / "broken.png").write_bytes((images / "broken.png").read_bytes()[:45])
    Image.new("L", (3, 2)).save(annotations / "orphan.png")
    Image.new("RGB", (3, 2)).save(images / "twice.bmp")
    Image.new("L", (3, 2)).save(annotations / "both.tif")
    seen: list[tuple[int, int]] = []
    with pytest.raises(FolderError) as caught:
        FolderDataset(tmp_path).check(progress=lambda done, total: seen.append((done, total)))
    faults = "\n".join(caught.value.faults)
    for expected in [
        f"broken.png: no label map; expected {annotations / 'broken.png'}.",
        f"nolabel.png: no label map; expected {annotations / 'nolabel.png'}.",
        "size.png: label map is 6x4, its image 3x2; sizes must agree.",
        "turned.png: label map is 2x3, its image 3x2; sizes must agree. One is rotated",
        "outside.png: label value 77; the class list allows 0..2 and 255 (ignored).",
        "lossy.png: mode RGB; a label map has one number per pixel",
        "broken.png: damaged or incomplete image",
        "orphan.png: label map without an image of that name.",
        "twice.bmp: 2 images are called twice",
        "both.png: 2 label maps of that name, keep one.",
    ]:
        assert expected in faults
    assert "fine" not in faults
    assert len(caught.value.faults) == 11
    assert str(caught.value).startswith(f"{tmp_path}: 11 faults in 10 images:\n  ")
    assert seen[-1] == (10, 10)


def test_a_long_list_of_faults_is_cut_with_the_count_of_the_rest(tmp_path):
    make(tmp_path, [f"p{k:02}" for k in range(60)])
    for path in (tmp_path / "annotations").iterdir():
        path.unlink()
    with pytest.raises(FolderError, match="60 faults") as caught:
        FolderDataset(tmp_path).check()
    assert len(str(caught.value).splitlines()) == 52
    assert str(caught.value).endswith("... and 10 more")
    assert len(caught.value.faults) == 60


def test_one_bad_image_costs_that_image_alone(tmp_path):
    make(tmp_path, ["a", "b"])
    (tmp_path / "images" / "a.png").write_text("junk")
    dataset = FolderDataset(tmp_path)
    with pytest.raises(SampleError, match=r"a\.png"):
        dataset[0]
    assert dataset[1].name == "b"


def test_missing_folders_name_what_is_there(tmp_path):
    make(tmp_path, ["train/a", "val/c"])
    with pytest.raises(FolderError, match=r"images/test: no such folder; .* Folders beside it: train, val\."):
        FolderDataset(tmp_path, split="test")
    with pytest.raises(FolderError, match=r"masks: no such folder; .* Folders beside it: annotations, images\."):
        FolderDataset(tmp_path, annotations="masks")
    (tmp_path / "bare").mkdir()
    with pytest.raises(FolderError, match=r"bare: no images; allowed endings are \.apng, \.avif"):
        FolderDataset(tmp_path, images="bare")


def test_hidden_and_other_files_are_left_out(tmp_path):
    make(tmp_path, ["a"])
    (tmp_path / "images" / "._a.png").write_text("resource fork")
    (tmp_path / "images" / "readme.txt").write_text("hello")
    dataset = FolderDataset(tmp_path)
    dataset.check()
    assert len(dataset) == 1


def test_a_check_finds_every_kind_of_damage(tmp_path, monkeypatch):
    make(tmp_path, ["a", "b"])
    (tmp_path / "images" / "c.HEIC").write_bytes(b"?")
    dataset = FolderDataset(tmp_path)

    def odd(path):
        raise RuntimeError("the decoder gave up")

    monkeypatch.setattr("ahs_seg.data.folder.read_image", odd)
    with pytest.raises(FolderError) as error:
        dataset.check()
    assert len(error.value.faults) == 3
    assert "c.HEIC: .HEIC is not read; convert to JPEG" in error.value.faults[0]
    assert error.value.faults[1].endswith("RuntimeError: the decoder gave up")


def test_label_maps_in_a_lossy_format_are_named_with_what_to_do(tmp_path):
    make(tmp_path, ["a", "b"])
    for name in ("a", "b"):
        Image.open(tmp_path / f"annotations/{name}.png").convert("L").save(tmp_path / f"annotations/{name}.jpg")
    FolderDataset(tmp_path).check()  # a preview beside the label map does no harm
    for name in ("a", "b"):
        (tmp_path / f"annotations/{name}.png").unlink()
    with pytest.raises(
        FolderError, match=r"a\.jpg: one of 2 label maps in a lossy format, .* Export them again as PNG"
    ):
        FolderDataset(tmp_path).check()


def test_faults_of_all_files_are_explained_together(tmp_path):
    make(tmp_path, ["a", "b"], labels=np.array([[1, 2, 3], [2, 1, 255]], np.uint8))
    with pytest.raises(FolderError) as caught:
        FolderDataset(tmp_path).check()
    first, *rest = caught.value.faults
    assert "labels start at 1 and end at 3 (2 label maps read), with 3 classes" in first
    assert ["label value 3" in fault for fault in rest] == [True, True]
