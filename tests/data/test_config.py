"""Data as configs and as words of a command line."""

from pathlib import Path

import pytest

from ahs_seg.config import ConfigError
from ahs_seg.configs import find_config
from ahs_seg.data.coloured import ColouredData
from ahs_seg.data.config import (
    BENCHMARKS,
    WORLD_SEEDS,
    BenchmarkData,
    FolderData,
    WorldData,
    background_label,
    parse_data,
)
from ahs_seg.data.folder import FolderError
from ahs_seg.data.hub_dataset import HubData
from ahs_seg.data.world.dataset import WorldDataset
from ahs_seg.data.world.export import export_folder
from ahs_seg.experiments.experiment import Experiment
from tests.support.label_folders import discs, label_folder


def test_words_of_a_command_line_name_data() -> None:
    assert parse_data("world-150", count=7) == WorldData(scenes="test", count=7, names=150)
    assert parse_data("world-seen") == WorldData(scenes="test", count=300, names="seen")
    assert parse_data("ade20k-150", root=Path("d")) == BenchmarkData(benchmark="ade20k-150", root=Path("d"))
    assert parse_data("my/photos", split="val") == FolderData(root=Path("my/photos"), split="val")
    with pytest.raises(ConfigError, match="names"):
        parse_data("world-21")


def test_overrides_of_a_command_line_are_those_of_a_training(tmp_path: Path) -> None:
    found = parse_data("streets", split="val", overrides=["data.offset=1", "data.annotations=2024"])
    assert found == FolderData(root=Path("streets"), split="val", offset=1, annotations="2024")
    found = parse_data("hf:me/scenes", overrides=["data.image=photo", "data.classes=[sky, road]"])
    assert found == HubData(dataset="me/scenes", image="photo", classes=("sky", "road"))
    mapping = "{name: coloured, root: VOC2012, colours: voc}"
    assert parse_data(mapping) == ColouredData(root=Path("VOC2012"), colours="voc")
    found = parse_data(mapping, split="val", overrides=["data.unlabelled=rest"])
    assert found == ColouredData(root=Path("VOC2012"), colours="voc", split="val", unlabelled="rest")
    with pytest.raises(ConfigError, match=r"^override 'data\.ofset=1' is not valid:\n.*; did you mean offset\?"):
        parse_data("streets", overrides=["data.ofset=1"])
    with pytest.raises(ConfigError, match=r"windows: unknown key; allowed are data"):
        parse_data("streets", overrides=["windows=1"])


def test_a_training_may_change_what_a_text_stands_for() -> None:
    own = find_config("own_photographs")
    data = Experiment.read(own, ["data=hf:me/scenes", "data.image=photo", "validation=world-20", "validation.count=3"])
    assert data.data == HubData(dataset="me/scenes", image="photo")
    assert data.validation == WorldData(scenes="test", count=3, names=20)
    with pytest.raises(ConfigError, match=r"'data\.image=photo' is undone by 'data=hf:me/scenes'"):
        Experiment.read(own, ["data.image=photo", "data=hf:me/scenes"])


@pytest.mark.parametrize("name", ["world-tour", "world-20", "ade20k-150", "photos.json"])
def test_a_folder_with_images_is_a_folder_whatever_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    if name == "world-tour":
        with pytest.raises(
            ConfigError, match=r"^world-tour \(for the folder of this name write \./world-tour\) is not"
        ):
            parse_data(name)
    (tmp_path / name / "images").mkdir()
    assert parse_data(name, split="val") == FolderData(root=Path(name), split="val")


def test_titles_say_what_the_data_is(tmp_path: Path) -> None:
    assert WorldData(scenes="test", count=5, names=20).title == "world-20 (test, 5 scenes)"
    other = WorldData(count=5, names="few", hard=2, size=64, unlabelled=0.25)  # results are filed by this title
    assert other.title == "world-few (train, 5 scenes, 64 pixels, hard 2, 25% without labels)"
    assert FolderData(root=tmp_path / "photos", split="val").title == "photos/val"
    assert FolderData(root=tmp_path / "photos").title == "photos"
    assert {BenchmarkData(benchmark=name).title for name in BENCHMARKS} == set(BENCHMARKS)


def test_scenes_of_training_validation_and_test_are_others() -> None:
    assert len(set(WORLD_SEEDS.values())) == 3
    data = [WorldData.parse({"scenes": scenes, "count": 1, "names": 20, "size": 32}) for scenes in WORLD_SEEDS]
    images = {one.open()[0].image.tobytes() for one in data}
    assert len(images) == 3


def test_opening_gives_what_the_config_says(tmp_path: Path) -> None:
    world = WorldData(scenes="validation", count=3, names=59, size=32).open()
    assert (len(world), len(world.vocabulary), world[0].image.shape) == (3, 59, (32, 32, 3))
    export_folder(world, tmp_path, split="val")
    folder = FolderData(root=tmp_path, split="val").open()
    assert folder.vocabulary.labels == world.vocabulary.labels
    assert (folder[1].labels == world[1].labels).all()


def test_opening_a_folder_lists_its_files_and_reads_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    label_folder(tmp_path, [discs([0, 1])] * 2, "sky, road")
    (tmp_path / "images/train/000.png").write_bytes(b"junk")
    dataset = FolderData(root=tmp_path, split="train").open()
    assert len(dataset) == 2
    assert not caplog.messages
    with pytest.raises(FolderError, match=r"000\.png"):
        dataset.check()


def test_files_that_no_sample_shows_are_told_when_a_folder_is_opened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    label_folder(tmp_path, [discs([0, 1])] * 2, "sky, road")
    (tmp_path / "images/train/phone.heic").write_bytes(b"")
    (tmp_path / "images/train/001.png").unlink()
    assert len(FolderData(root=tmp_path, split="train").open()) == 1
    (message,) = caplog.messages
    assert message.startswith(f"{tmp_path / 'images/train'}: 2 problems of the folder, the first: ")
    assert "phone.heic: .heic is not read" in message


def test_only_benchmarks_have_rules_for_background() -> None:
    assert background_label(WorldData()) is None
    assert background_label(FolderData(root=Path("x"))) is None
    assert background_label(BenchmarkData(benchmark="ade20k-150")) is None
    assert [name for name in BENCHMARKS if background_label(BenchmarkData(benchmark=name)) is not None] != []


@pytest.mark.parametrize("wrong", [{"count": 0}, {"scenes": "summer"}, {"names": 21}, {"size": -1}, {"seed": 3}])
def test_wrong_values_name_their_key(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        WorldData.parse(wrong)
    assert isinstance(WorldData(count=1).open(), WorldDataset)
