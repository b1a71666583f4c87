from __future__ import annotations

import json

import numpy as np
import pytest

from ahs_seg.data.annotations.config import CocoData
from ahs_seg.data.check import DataCheckError, check_data, check_files, file_faults, tell_findings
from ahs_seg.data.folder import FolderError
from tests.support.annotations import exported
from tests.support.label_folders import discs, label_folder


def test_a_table_of_what_is_there_and_no_finding(tmp_path):
    dataset = label_folder(tmp_path, [np.array([[0, 0, 1, 255]], np.uint8)], "sky, road")
    found = check_data(dataset, titles=("streets/train", ""))
    assert found.trainable
    found.raise_errors()
    assert str(found).splitlines() == [
        "streets/train: 1 label map read",
        "class                       pixels    share     maps",
        "sky                              2   50.00%        1",
        "road                             1   25.00%        1",
        "(without a class)                1   25.00%",
        "",
        "nothing found",
    ]


def test_errors_are_raised_together_and_written_as_json(tmp_path):
    first = label_folder(tmp_path / "a", [np.full((4, 4), 255, np.uint8)], "sky, road, car")
    second = label_folder(tmp_path / "b", [discs([0, 1])], "sky, road, car")
    found = check_data(first, second, titles=("a/train", "b/train"))
    assert [finding.code for finding in found.errors] == ["nothing-labelled"]
    assert [finding.code for finding in found.warnings] == ["class-without-pixel", "only-in-validation"]
    assert not found.trainable
    with pytest.raises(
        DataCheckError, match=r"(?s)cannot be trained with.*\n  a/train: no pixel has a class"
    ) as caught:
        found.raise_errors()
    assert caught.value.findings == found.errors
    values = json.loads(json.dumps(found.to_dict()))
    assert values["trainable"] is False
    assert values["training"]["values"] == {"255": 16}
    assert values["validation"]["classes"][2] == {"name": "car", "pixels": 0, "maps": 0}
    assert {"level", "code", "data", "given", "allowed", "remedy"} == values["findings"][0].keys()


def test_faults_of_files_are_listed_and_keep_the_command_from_training(tmp_path):
    dataset = label_folder(tmp_path, [discs([0, 1])] * 25, "sky, road")
    for index in range(24):
        (tmp_path / "annotations/train" / f"{index:03}.png").write_bytes(b"junk")
    found = check_data(dataset)
    assert not found.errors
    assert not found.trainable
    assert str(found).count("annotations/train/0") == 25  # each in a line of its own, the first in the finding, too
    assert "error: 24 faults of files, for which `ahs-seg train` refuses the data" in str(found)
    assert len(found.to_dict()["refused"]) == 24


def test_images_are_read_for_what_train_would_refuse(tmp_path):
    dataset = label_folder(tmp_path, [discs([0, 1])] * 2, "sky, road")
    image = tmp_path / "images/train/001.png"
    image.write_bytes(image.read_bytes()[:-20])  # its header is whole
    assert check_data(dataset).trainable
    (fault,) = file_faults(dataset)
    assert str(image) in fault
    with pytest.raises(FolderError, match=r"1 fault in 2 images") as caught:
        check_files(None, dataset)
    assert caught.value.faults == (fault,)


def test_what_a_training_leaves_out_is_no_reason_to_refuse(tmp_path):
    file, images = exported("coco", tmp_path)
    (images / "b.png").write_bytes(b"junk")
    dataset = CocoData(file=file, images=images).open()
    found = check_data(dataset)
    assert [finding.code for finding in found.warnings] == ["unusable"]
    assert found.trainable
    assert str(images / "b.png") in str(found)
    check_files(dataset)
    assert file_faults(dataset) == ()


def test_before_an_evaluation_only_values_that_are_read_otherwise_are_told(tmp_path, caplog):
    tell_findings(label_folder(tmp_path / "a", [discs([0, 1, 255])], "sky, road, car"), "a")  # no pixel of a car
    assert not caplog.messages
    tell_findings(label_folder(tmp_path / "b", [discs([1, 2, 3])], "sky, road, car"), "b")
    (message,) = caplog.messages
    assert message.startswith("b: labels start at 1 and end at 3")
    assert "set data.offset=1" in message
