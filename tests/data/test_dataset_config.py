"""What tells datasets of the same title apart."""

from pathlib import Path

import pytest

from ahs_seg.data.config import BenchmarkData, FolderData, WorldData
from ahs_seg.data.dataset_config import dataset_settings
from ahs_seg.data.hub_dataset import HubData


def test_settings_tell_apart_what_titles_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = FolderData(root=tmp_path / "a" / "photos", split="val")
    others = [
        data.replace(root=tmp_path / "b" / "photos"),
        data.replace(annotations="masks"),
        data.replace(ignore=0),
        data.replace(offset=1),
    ]
    assert {other.title for other in others} == {data.title}
    assert len({str(dataset_settings(one)) for one in (data, *others)}) == 5
    monkeypatch.chdir(tmp_path)
    assert dataset_settings(data.replace(root=Path("a/photos"))) == dataset_settings(data)
    assert dataset_settings(WorldData(count=7)) == {"name": "world", "count": 7}


def test_places_are_those_of_the_settings(tmp_path: Path) -> None:
    assert FolderData(root=tmp_path, classes="names.txt").places() == [tmp_path]
    assert BenchmarkData(benchmark="ade20k-150", root=tmp_path).places() == [tmp_path]
    assert WorldData().places() == []
    assert HubData(dataset="hf:my/folder").places() == [Path("my/folder")]
