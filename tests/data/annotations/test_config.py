"""Files of labels as configs: where their images are, and what a training config says about them."""

from pathlib import Path

import pytest

from ahs_seg.config import ConfigError
from ahs_seg.data.annotations.config import AnnotatedData, CocoData, CvatData, LabelStudioData
from ahs_seg.data.config import data_folder, parse_data
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.output.formats import Format
from tests.support.annotations import exported


def test_images_lie_beside_the_file_unless_told(tmp_path: Path) -> None:
    file, images = exported("coco", tmp_path)
    beside = file.rename(tmp_path / "labels.json")
    assert len(CocoData(file=beside).open()) == 2
    inside = beside.rename(images / "labels.json")
    assert len(CocoData(file=inside).open()) == 2
    assert CocoData(file=inside).title == str(inside)


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
    assert data_folder(config(file=file)) == file
