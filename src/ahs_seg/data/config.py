"""Dataset configs: a folder of labelled images, scenes of the drawn world, a benchmark, or a class of your own."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from ahs_seg.config import Config, ConfigError, OneOf, Side
from ahs_seg.data.background import RULES, BackgroundRuleDataset, background_of, open_with_rule
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.catalog import CATALOG, BenchmarkDataset
from ahs_seg.data.folder import FolderDataset
from ahs_seg.data.world.dataset import TEST_SEED, TRAIN_SEED, VALIDATION_SEED, WorldDataset

WORLD_SEEDS = {"train": TRAIN_SEED, "validation": VALIDATION_SEED, "test": TEST_SEED}


WorldNames = Literal["seen", 20, 59, 150, 459, 847]


class DatasetConfig(Config):
    """Base class of all dataset configs; `name` selects the class in files."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Name of this dataset in reports."""

    @abstractmethod
    def open(self) -> SegmentationDataset:
        """Build the dataset."""


class FolderData(DatasetConfig):
    """Config of a folder with `images`, `annotations` and `classes.txt`; see `FolderDataset` for the layout."""

    name: Literal["folder"] = "folder"
    root: Path
    split: str | None = None
    images: str = "images"
    annotations: str = "annotations"
    classes: str = "classes.txt"
    ignore: NonNegativeInt | None = None

    @property
    def title(self) -> str:
        """Name of this dataset in reports."""
        return f"{self.root.resolve().name}{'/' + self.split if self.split else ''}"

    def open(self) -> FolderDataset:
        """Dataset of the folder, after reading and checking every file.

        Raises:
            FolderError: some files are invalid; the message lists every problem, file by file.
        """
        dataset = FolderDataset(
            self.root,
            split=self.split,
            images=self.images,
            annotations=self.annotations,
            classes=self.classes,
            ignore=self.ignore,
        )
        dataset.check()
        return dataset


class WorldData(DatasetConfig):
    """Config of scenes of the drawn world; `names` is "seen" (training classes) or the size of a vocabulary.

    `unlabelled` is the share of every scene that has no label (0 for all published figures).
    """

    name: Literal["world"] = "world"
    scenes: Literal["train", "validation", "test"] = "train"
    count: PositiveInt = 2000
    names: WorldNames = "seen"
    size: Side = 96
    hard: NonNegativeFloat = 1.0
    unlabelled: float = Field(default=0.0, ge=0, lt=1)

    @property
    def title(self) -> str:
        """Name of this dataset in reports."""
        hidden = f", {self.unlabelled:.0%} without labels" if self.unlabelled else ""
        return f"world-{self.names} ({self.scenes}, {self.count} scenes{hidden})"

    def open(self) -> WorldDataset:
        """Dataset of synthetic scenes; nothing is stored, each scene is drawn on access."""
        seed = WORLD_SEEDS[self.scenes]
        return WorldDataset(seed, self.count, self.names, size=self.size, hard=self.hard, unlabelled=self.unlabelled)


class BenchmarkData(DatasetConfig):
    """Config of a prepared benchmark below `root`, by its name in the catalogue or that of a background rule."""

    name: Literal["benchmark"] = "benchmark"
    benchmark: str
    root: Path = Path("datasets")

    @property
    def title(self) -> str:
        """Name of this dataset in reports."""
        return self.benchmark

    def open(self) -> BenchmarkDataset | BackgroundRuleDataset:
        """Dataset of the benchmark; files are only listed here, `ahs-seg data verify` reads them.

        Raises:
            CatalogError: the benchmark is unknown, or none of its files are below the root.
        """
        return open_with_rule(self.benchmark, self.root)


DATASETS: Final = (FolderData, WorldData, BenchmarkData)
DataConfig = Annotated[DatasetConfig, OneOf(DatasetConfig, DATASETS)]
BENCHMARKS = (*(spec.name for spec in CATALOG), *(rule.name for rule in RULES))
"""All names that `BenchmarkData` accepts."""


def background_label(data: DatasetConfig) -> int | None:
    """Index from which on all name indices count as background (`None`: no such rule); see `background_of`."""
    return background_of(data.benchmark) if isinstance(data, BenchmarkData) else None


def parse_data(
    text: str, *, split: str | None = None, count: int = 300, root: Path = Path("datasets")
) -> FolderData | WorldData | BenchmarkData:
    """Dataset config for a command-line argument: `world-150` (test scenes), a benchmark below `root`, or a folder.

    Raises:
        ConfigError: the drawn world has no vocabulary of this size, or a split is given for what is no folder.
    """
    if text not in BENCHMARKS and not text.startswith("world-"):
        return FolderData(root=Path(text), split=split)
    if split is not None:
        raise ConfigError(f"split {split!r} is given for {text}, which has none; a folder of images has splits.")
    if text in BENCHMARKS:
        return BenchmarkData(benchmark=text, root=root)
    names = text.removeprefix("world-")
    values = {"scenes": "test", "count": count, "names": int(names) if names.isdecimal() else names}
    return WorldData.parse(values, source=text)


def data_folder(data: DatasetConfig) -> Path | None:
    """Folder from which a dataset is read; None: it is not read from files."""
    return data.root if isinstance(data, FolderData | BenchmarkData) else None
