from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.coloured import ColouredData
from ahs_seg.data.findings import findings_between, findings_of
from ahs_seg.data.folder import FolderDataset
from ahs_seg.data.label_statistics import count_labels
from tests.support.annotations import save_image
from tests.support.label_folders import discs, label_folder
from tests.support.training import TinyDataset


def found(root, maps, classes, **limits):
    return list(findings_of(count_labels(label_folder(root, maps, classes), "mine", **limits)))


def only(root, maps, classes):
    (finding,) = found(root, maps, classes)
    return finding.level, str(finding)


def map_of(*values: int) -> np.ndarray:
    return np.repeat(np.array(values, np.uint8), 4).reshape(len(values), 4)


def test_nothing_is_said_about_data_as_it_should_be(tmp_path):
    assert found(tmp_path, [discs([0, 1, 2]), discs([0, 2, 255])], "sky, road, car") == []


@pytest.mark.parametrize(
    ("maps", "classes", "level", "message"),
    [
        (
            [map_of(0, 255)],
            "ground, cat",
            "error",
            "mine: label maps hold only 0 and 255 (1 label map read), but there are two classes; 0 is read as "
            "'ground' and 255 as no class, so that 'cat' has no pixel. Save 'cat' as 1 (mask // 255); if 255 does mean "
            "no class, say so with ignore=255. [black-and-white]",
        ),
        ([map_of(0, 255)], "cat", "warning", "0 is read as 'cat' and 255 as no class. If 255 is 'cat', invert them"),
        ([map_of(1, 2, 3)], "sky, road, car", "error", "labels start at 1 and end at 3 (1 label map read), with 3"),
        ([map_of(1, 2)], "sky, road, car", "warning", "the first name, 'sky', is label 0 and has no pixel. If 1 is"),
        ([map_of(0, 1, 7)], "sky, road", "error", "1 labels have no name: 7 (1 label map read); 2 classes are 0..1."),
        (
            [map_of(255), map_of(255)],
            "sky, road, car",
            "error",
            "no pixel has a class (2 label maps read, which hold 255); class k is stored as k, 0..2. Export the labels",
        ),
        ([map_of(0, 2)], "sky, road, car", "warning", "1 of 3 classes has no pixel: road (1 label map read); a class"),
    ],
    ids=["black-and-white", "one-name", "from-1", "first-missing", "no-name", "nothing", "one-missing"],
)
def test_what_cannot_teach_is_one_line(tmp_path, maps, classes, level, message):
    given, text = only(tmp_path, maps, classes)
    assert given == level
    assert message in text
    assert "\n" not in text


def test_a_value_of_no_class_that_was_asked_for_is_believed(tmp_path):
    label_folder(tmp_path, [map_of(0, 255)], "ground, cat")
    findings = findings_of(count_labels(FolderDataset(tmp_path, split="train", ignore=255), "mine"))
    assert [finding.code for finding in findings] == ["class-without-pixel"]


def test_labels_that_start_at_1_are_those_of_an_offset(tmp_path):
    label_folder(tmp_path, [map_of(0, 1, 2)], "ground, cat")
    whole = FolderDataset(tmp_path, split="train")
    text = " ".join(str(finding) for finding in findings_of(count_labels(whole, "mine")))
    assert "set data.offset=1" in text
    assert list(findings_of(count_labels(FolderDataset(tmp_path, split="train", offset=1), "mine"))) == []


def test_a_part_of_the_files_says_nothing_of_classes_without_a_pixel(tmp_path):
    assert found(tmp_path, [map_of(0, 1)] * 5, "a, b, c", limit=3) == []
    assert [finding.code for finding in found(tmp_path, [map_of(0, 1)] * 5, "a, b, c", limit=5)] == [
        "class-without-pixel"
    ]


@pytest.mark.parametrize(("classes", "level"), [(256, "warning"), (161, "error")])
def test_masks_from_a_lossy_file(tmp_path, classes, level):
    def compressed(seed):
        file = io.BytesIO()
        Image.fromarray(discs([0, 80, 160], side=128, seed=seed)).save(file, "JPEG", quality=90)
        return np.asarray(Image.open(file))

    names = ", ".join(f"class {k}" for k in range(classes))
    findings = found(tmp_path, [compressed(seed) for seed in range(3)], names)
    (lossy,) = [finding for finding in findings if finding.code == "lossy"]
    assert re.search(r"\d\d% of the pixels at borders look compressed or blurred \(\d+ different values, 3", str(lossy))
    assert lossy.level == level


def test_faults_are_a_warning_and_an_error_if_nothing_is_left(tmp_path):
    dataset = label_folder(tmp_path, [map_of(0, 1)] * 2, "a, b")
    (tmp_path / "annotations/train/000.png").write_bytes(b"junk")
    (warning,) = findings_of(count_labels(dataset, "mine"))
    assert (warning.level, warning.code) == ("warning", "unusable")
    assert "1 of 2 samples read cannot be used, the first: " in str(warning)
    assert "000.png" in str(warning)
    (tmp_path / "annotations/train/001.png").write_bytes(b"junk")
    (error,) = findings_of(count_labels(dataset, "mine"))
    assert (error.level, error.code) == ("error", "unusable")


def test_files_that_do_not_fit_together_are_counted(tmp_path):
    dataset = label_folder(tmp_path, [map_of(0, 1)], "a, b")
    Image.new("L", (2, 2)).save(tmp_path / "annotations/train/orphan.png")
    (finding,) = findings_of(count_labels(FolderDataset(tmp_path, split="train"), "mine"))
    assert (finding.code, finding.level) == ("layout", "warning")
    assert "orphan.png: label map without an image of that name" in str(finding)
    assert dataset[0].name == "000"


def between(tmp_path, training, validation, second=None):
    names = "sky, road, car"
    parts = [
        count_labels(label_folder(tmp_path / kind, maps, classes), kind)
        for kind, maps, classes in [("first", training, names), ("second", validation, second or names)]
    ]
    return [(finding.code, str(finding)) for finding in findings_between(*parts)]


def test_validation_with_other_values(tmp_path):
    codes = between(tmp_path, [map_of(0, 1)], [map_of(1, 2)])
    assert [code for code, _ in codes] == ["only-in-validation", "only-in-training"]
    assert "second: labels car, which no label map of first shows" in codes[0][1]
    assert "second: never shows sky, which first does" in codes[1][1]
    assert between(tmp_path, [map_of(0, 1, 2)], [map_of(2, 1, 0)]) == []


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("road, sky, car", "label 0 is 'road' here and 'sky' in first"),
        ("sky, road, tram", "another class list than first: it adds tram and it lacks car"),
    ],
)
def test_validation_with_another_class_list(tmp_path, second, message):
    ((code, text),) = between(tmp_path, [map_of(0, 1, 2)], [map_of(0, 1, 2)], second)
    assert code == "other-classes"
    assert message in text


def test_other_words_for_datasets_without_label_files_are_no_finding():
    first, second = count_labels(TinyDataset(), "a"), count_labels(TinyDataset(length=4), "b")
    assert list(findings_between(first, second)) == []


def test_labels_of_a_dataset_in_python_without_a_name():
    class Wide(TinyDataset):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            sample.labels[0] = 255
            return sample

    (finding,) = findings_of(count_labels(Wide(length=2), "mine"))
    assert finding.level == "error"
    assert "1 labels have no name: 255 (2 label maps read); 6 classes are 0..5. Pixels without a class are" in str(
        finding
    )


@pytest.mark.parametrize(
    ("values", "classes", "offset", "code"),
    [
        ((1, 3), "sky, road, car", 2, "class-without-pixel"),
        ((0, 255), "ground, cat", 1, "nothing-labelled"),
    ],
)
def test_values_are_not_taken_for_shifted_where_an_offset_says_what_they_mean(tmp_path, values, classes, offset, code):
    label_folder(tmp_path, [map_of(*values)], classes)
    dataset = FolderDataset(tmp_path, split="train", offset=offset)
    assert [finding.code for finding in findings_of(count_labels(dataset, "mine"))] == [code]


def test_values_without_a_name_are_told_with_the_offset(tmp_path):
    label_folder(tmp_path, [map_of(1, 2, 5)], "sky, road, car")
    (finding,) = findings_of(count_labels(FolderDataset(tmp_path, split="train", offset=1), "mine"))
    assert "1 labels have no name: 5 (1 label map read); 3 classes are 1..3. Give the whole class list" in str(finding)
    assert "data.offset=1" not in str(finding)


def test_classes_of_a_colour_table_are_not_taken_for_shifted_values(tmp_path):
    colours = np.array([[9, 9, 9], [0, 0, 9], [9, 0, 0]], np.uint8)
    save_image(tmp_path / "JPEGImages/a.png", np.zeros((2, 2, 3), np.uint8))
    save_image(tmp_path / "SegmentationClass/a.png", colours[np.array([[1, 1], [2, 2]])])
    (tmp_path / "labelmap.txt").write_text("background:9,9,9::\nroad:0,0,9::\ntree:9,0,0::\ncar:0,9,0::\n")
    dataset = ColouredData(root=tmp_path, classes=("car", "road", "tree")).open()
    (finding,) = findings_of(count_labels(dataset, "mine"))
    assert (finding.level, finding.code) == ("warning", "class-without-pixel")
