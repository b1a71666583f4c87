"""SCAN's second stage of training, on the drawn world."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.tokenizer import TextTooLongError
from ahs_seg.checkpoints import CheckpointError, ModelDescription, load_model, save_model
from ahs_seg.config import ConfigError
from ahs_seg.configs import find_crop_clip, packaged_crop_clips
from ahs_seg.data.annotations.config import CocoData
from ahs_seg.data.config import FolderData
from ahs_seg.data.folder import FolderError
from ahs_seg.io.overwrite import OverwriteError
from ahs_seg.methods import ScanSegmenter, ZeroShotConfig
from ahs_seg.methods.mask.scan.config import ScanConfig
from ahs_seg.methods.mask.scan.crop_clip import CropEncoder, RegionObjective, classes_of
from ahs_seg.methods.objective import SumObjective
from ahs_seg.training import crop_clip
from ahs_seg.training.crop_clip import CropClipExperiment, check_outputs, finetune_crop_clip, region_accuracy
from ahs_seg.training.launch import create_fabric
from ahs_seg.training.recipe import Recipe
from ahs_seg.training.sampler import UnusableDataError
from ahs_seg.types import IGNORE, TrainingForward
from tests.support.annotations import exported
from tests.support.builders import random_backbone
from tests.support.label_folders import discs, label_folder
from tests.support.small_methods import SCAN_SMALL

TINY = ClipConfig(source="tiny", resolution=96)
SHORT = [
    "training.steps=3",
    "training.workers=0",
    "training.optimizer.warmup_steps=0",
    "data.count=8",
    "validation=null",
]


@pytest.mark.parametrize("name", sorted(packaged_crop_clips()))
def test_packaged_fine_tunings_parse(name: str) -> None:
    experiment = CropClipExperiment.read(find_crop_clip(name))
    assert find_crop_clip(name).read_text().startswith("# ")
    assert CropClipExperiment.parse(experiment.model_dump()) == experiment


def scan() -> tuple[ScanConfig, ScanSegmenter]:
    torch.manual_seed(0)
    config = SCAN_SMALL.replace(backbone=TINY, queries=4)
    return config, config.build()


@pytest.mark.slow
def test_the_fine_tuned_tower_becomes_a_clip_and_part_of_a_scan(tmp_path: Path) -> None:
    config, method = scan()
    save_model(method, ModelDescription(method=config), tmp_path / "scan")
    experiment = CropClipExperiment.read(find_crop_clip("world"), SHORT)
    result = finetune_crop_clip(experiment, tmp_path / "run", into=tmp_path / "scan", progress=False)
    assert result.model is not None
    _, shifted = load_model(result.model)
    assert isinstance(shifted, ScanSegmenter)
    tuned = ClipConfig(source=str(result.clip), resolution=96).build()
    own, expected = method.shifted.state_dict(), tuned.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in shifted.shifted.state_dict().items())
    changed = [name for name, value in shifted.shifted.state_dict().items() if not torch.equal(value, own[name])]
    assert len(changed) > 50
    before, after = method.state_dict(), shifted.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if not name.startswith("shifted."))
    loaded = config.replace(shifted=ClipConfig(source=str(result.clip))).build()
    assert all(
        torch.equal(value, tuned.model.state_dict()[name]) for name, value in loaded.shifted.state_dict().items()
    )


def test_a_damaged_validation_image_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, images = exported("coco", tmp_path)
    method = CropEncoder(random_backbone(), shifts=(1,), ratio=0.5)
    data, recipe = CocoData(file=file, images=images), Recipe(steps=1, accelerator="cpu")
    fabric = create_fabric(recipe)
    whole = region_accuracy(method, data.open(), recipe, fabric)
    assert 0 <= whole <= 1
    (images / "b.png").write_bytes(b"junk")
    assert 0 <= region_accuracy(method, data.open(), recipe, fabric) <= 1
    (message,) = (text for text in caplog.messages if text.startswith("left out: "))
    assert "b.png" in message
    for path in images.rglob("*.png"):
        path.write_bytes(b"junk")
    with pytest.raises(UnusableDataError, match=r"none of 2 validation images can be used\. The first: .*b\.png"):
        region_accuracy(method, data.open(), recipe, fabric)


class Process(Fabric):  # type: ignore[misc]  # Fabric has no types for mypy
    """One of two processes; `given` are the values that it adds to those of the other."""

    def __init__(self, rank: int, other: torch.Tensor) -> None:
        super().__init__(accelerator="cpu", devices=1)
        self._rank, self._other = rank, other
        self.given = torch.zeros(3, dtype=torch.int64)

    @property
    def global_rank(self) -> int:
        return self._rank

    @property
    def world_size(self) -> int:
        return 2

    def all_reduce(self, data: torch.Tensor, **_: object) -> torch.Tensor:
        self.given = data
        return data + self._other


def test_processes_share_the_validation_images(tmp_path: Path) -> None:
    file, images = exported("coco", tmp_path)
    method = CropEncoder(random_backbone(), shifts=(1,), ratio=0.5)
    data, recipe = CocoData(file=file, images=images).open(), Recipe(steps=1, accelerator="cpu")
    first = Process(0, torch.zeros(3, dtype=torch.int64))
    region_accuracy(method, data, recipe, first)
    second = Process(1, first.given)
    whole = region_accuracy(method, data, recipe, create_fabric(recipe))
    assert region_accuracy(method, data, recipe, second) == whole
    masks = [len(classes_of(torch.from_numpy(data[index].labels))) for index in range(2)]
    assert [int(one.given[1]) for one in (first, second)] == masks


def test_the_accuracy_before_is_computed_on_the_device_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it is checked that the loggers are there; where it fails, another run may take the directory."""
    experiment = CropClipExperiment.read(find_crop_clip("world"), [*SHORT[:-1], "validation.count=2"])
    events: list[str] = []
    move = nn.Module.to

    def to(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        events.extend(["moved"] if isinstance(module, CropEncoder) else [])
        return move(module, *args, **kwargs)

    def accuracy(*_: object) -> float:
        events.append("accuracy")
        raise UnusableDataError

    monkeypatch.setattr(crop_clip, "check_loggers", lambda names: events.append(" ".join(names)))
    monkeypatch.setattr(crop_clip, "region_accuracy", accuracy)
    monkeypatch.setattr(nn.Module, "to", to)
    with pytest.raises(UnusableDataError):
        finetune_crop_clip(experiment, tmp_path / "run", progress=False)
    assert events == ["tensorboard", "moved", "accuracy"]
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_every_file_of_a_folder_is_read_before_the_fine_tuning(tmp_path: Path) -> None:
    label_folder(tmp_path, [discs([0, 1])] * 2, "sky, road")
    (tmp_path / "images/train/001.png").write_bytes(b"junk")
    experiment = CropClipExperiment.read(find_crop_clip("world"), SHORT)
    experiment = experiment.replace(validation=FolderData(root=tmp_path, split="train"))
    with pytest.raises(FolderError, match=r"1 fault in 2 images"):
        finetune_crop_clip(experiment, tmp_path / "run", progress=False)


def test_only_a_scan_on_the_same_clip_takes_the_tower(tmp_path: Path) -> None:
    experiment = CropClipExperiment.read(find_crop_clip("world"), SHORT)
    plain = ZeroShotConfig(backbone=TINY)
    save_model(plain.build(), ModelDescription(method=plain), tmp_path / "plain")
    with pytest.raises(CheckpointError, match="only SCAN has a second stage"):
        finetune_crop_clip(experiment, tmp_path / "run", into=tmp_path / "plain", progress=False)
    other = SCAN_SMALL.replace(backbone=ClipConfig(source="nowhere", resolution=64))
    save_model(other.compose(random_backbone()), ModelDescription(method=other), tmp_path / "other")
    with pytest.raises(CheckpointError, match="was built on another CLIP"):
        finetune_crop_clip(experiment, tmp_path / "run", into=tmp_path / "other", progress=False)


def test_blocks_that_the_clip_has_not_are_refused(tmp_path: Path) -> None:
    experiment = CropClipExperiment.read(find_crop_clip("world"), [*SHORT, "shifts=[1,99]"])
    with pytest.raises(ConfigError, match=r"shifts: block 99 does not exist; this CLIP has 1 to \d+$"):
        finetune_crop_clip(experiment, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", ["train", "validation"])
def test_a_name_that_is_too_long_is_told_before_anything_is_written(tmp_path: Path, place: str) -> None:
    for split in ("train", "validation"):
        names = f"sky, {'very ' * 80 if split == place else ''}road"
        label_folder(tmp_path / split, [discs([0, 1])] * 2, names)
    experiment = CropClipExperiment.read(find_crop_clip("world"), SHORT)
    data = {split: FolderData(root=tmp_path / split, split="train") for split in ("train", "validation")}
    experiment = experiment.replace(data=data["train"], validation=data["validation"])
    with pytest.raises(TextTooLongError, match=r"class 'very very .* tokens"):
        finetune_crop_clip(experiment, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_directory_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    experiment = CropClipExperiment.read(find_crop_clip("world"), SHORT)
    (tmp_path / "config.yaml").write_text("of a run\n")
    with pytest.raises(ConfigError, match=r"already holds config\.yaml of a run\. Resume that run"):
        finetune_crop_clip(experiment, tmp_path, progress=False)
    assert (tmp_path / "config.yaml").read_text() == "of a run\n"


def test_the_model_and_the_clip_that_are_read_are_not_replaced(tmp_path: Path) -> None:
    experiment = CropClipExperiment.read(find_crop_clip("world"), SHORT)
    for name in ("model", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    with pytest.raises(OverwriteError, match=r"model: holds the input .*model"):
        finetune_crop_clip(experiment, tmp_path, into=tmp_path / "other" / ".." / "model", progress=False)
    (tmp_path / "other").rename(tmp_path / "clip")
    own = experiment.replace(clip=TINY.replace(source=str(tmp_path / "clip")))
    with pytest.raises(OverwriteError, match=r"clip: holds the input .*clip"):
        check_outputs(own, tmp_path, None)


def test_the_loss_reaches_the_tower_alone_and_unlabelled_images_are_fine() -> None:
    reader = CropEncoder(random_backbone(), shifts=(1,), ratio=0.5)
    words = torch.randn(3, 1, 24, generator=torch.Generator().manual_seed(0))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(2 * 64 * 64).reshape(2, 64, 64) // 700 % 3
    rows = torch.arange(3)
    terms = SumObjective([RegionObjective(min_area=0.9)])
    for marked, learns in ((labels, True), (torch.full_like(labels, IGNORE), False)):
        reader.zero_grad()
        loss = terms(reader, TrainingForward(images, marked, rows, rows, reader(images, words), 0.0))["contrast"]
        loss.backward()
        assert bool(loss > 0) == learns
        moved = {name for name, value in reader.named_parameters() if value.grad is not None and value.grad.any()}
        if learns:
            trained = {name for name, value in reader.named_parameters() if value.requires_grad}
            assert moved == trained
            assert {name.split(".")[0] for name in trained} == {"shifted", "scale"}
        else:
            assert not moved
