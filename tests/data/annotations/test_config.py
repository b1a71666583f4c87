"""Files of labels as configs: where their images are, and what a training config says about them."""

from pathlib import Path

import numpy as np
import pytest

from ahs_seg.config import ConfigError
from ahs_seg.data.annotations.base import AnnotationError
from ahs_seg.data.annotations.config import AnnotatedData, CocoData, CvatData, LabelStudioData
from ahs_seg.data.config import parse_data
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.output.formats import Format
from tests.support.annotations import MAPS, exported, same_labels, save_image
from tests.support.results import WORDS


def test_images_lie_beside_the_file_unless_told(tmp_path: Path) -> None:
    file, images = exported("coco", tmp_path)
    beside = file.rename(tmp_path / "labels.json")
    assert len(CocoData(file=beside).open()) == 2
    inside = beside.rename(images / "labels.json")
    assert len(CocoData(file=inside).open()) == 2
    assert CocoData(file=inside).title == str(inside)


@pytest.mark.parametrize("kind", ["coco", "labelstudio", "cvat"])
@pytest.mark.parametrize("beside", ["", "images"])
def test_label_maps_beside_the_file_are_not_its_images(tmp_path: Path, kind: Format, beside: str) -> None:
    file, images = exported(kind, tmp_path)
    (file.parent / ".ahs-seg").mkdir()
    (file.parent / ".ahs-seg" / "run.json").write_text("{}")
    save_image(file.parent / beside / "b.png", MAPS["b"].astype(np.uint8))
    data = parse_data(str(file), overrides=["data.predictions=true"] if kind == "labelstudio" else [])
    told = rf"{file.parent} holds results .* data\.images=FOLDER, or copy the file"
    with pytest.raises(AnnotationError, match=told):
        data.open()
    assert same_labels(data.replace(images=images).open(), MAPS, WORDS)
    assert same_labels(data.replace(file=file.rename(images / file.name)).open(), MAPS, WORDS)


def test_training_configs_name_them() -> None:
    values = {"name": "labelstudio", "file": "a.json", "predictions": True, "classes": ["cat", "dog"]}
    data = Experiment.parse({"data": values}, ["data.unlabelled=rest"]).data
    assert data == LabelStudioData(file=Path("a.json"), predictions=True, classes=("cat", "dog"), unlabelled="rest")
    with pytest.raises(ConfigError, match=r"data\.cvat\.predictions: unknown key"):
        Experiment.parse({"data": {"name": "cvat", "file": "a.xml", "predictions": True}})


@pytest.mark.parametrize(("kind", "config"), [("coco", CocoData), ("labelstudio", LabelStudioData), ("cvat", CvatData)])
def test_files_on_a_command_line_are_known_by_their_content(
    tmp_path: Path, kind: Format, config: type[AnnotatedData]
) -> None:
    file, _ = exported(kind, tmp_path)
    assert parse_data(str(file)) == config(file=file)
    with pytest.raises(ConfigError, match=r"split 'val' is given for .*, which has none"):
        parse_data(str(file), split="val")


def test_places_are_the_file_and_the_folder_of_the_images(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    assert CocoData(file=file).places() == [file, tmp_path]
    assert CocoData(file=file, images=Path("b"), segments=Path("c")).places() == [file, Path("b"), Path("c"), Path("b")]
    (tmp_path / "images").mkdir()
    assert CocoData(file=file).places() == [file, tmp_path / "images"]
