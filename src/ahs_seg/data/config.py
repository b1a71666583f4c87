"""Dataset configs: a folder of labelled images, the export of a labelling tool, drawn scenes, a benchmark, your own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from ahs_seg.config import Config, ConfigError, OneOf, Side
from ahs_seg.data.annotations.config import AnnotatedData, CocoData, CvatData, LabelStudioData
from ahs_seg.data.background import RULES, BackgroundRuleDataset, background_of, open_with_rule
from ahs_seg.data.catalog import CATALOG, BenchmarkDataset
from ahs_seg.data.coloured import ColouredData
from ahs_seg.data.dataset_config import DatasetConfig as DatasetConfig  # where its users look for it
from ahs_seg.data.folder import FolderDataset
from ahs_seg.data.hub_dataset import PREFIX, HubData
from ahs_seg.data.world.dataset import TEST_SEED, TRAIN_SEED, VALIDATION_SEED, WorldDataset
from ahs_seg.data.world.scenes import SIZE

WORLD_SEEDS = {"train": TRAIN_SEED, "validation": VALIDATION_SEED, "test": TEST_SEED}


WorldNames = Literal["seen", "few", 20, 59, 150, 459, 847]


class FolderData(DatasetConfig):
    """Config of a folder with `images`, `annotations` and `classes.txt`; see `FolderDataset` for the layout."""

    name: Literal["folder"] = "folder"
    root: Path
    split: str | None = None
    images: str = "images"
    annotations: str = "annotations"
    classes: str = "classes.txt"
    ignore: NonNegativeInt | None = None
    offset: Annotated[int, Field(ge=0, le=65_535)] = 0

    @property
    def title(self) -> str:
        """Name of this dataset in reports."""
        return f"{self.root.resolve().name}{'/' + self.split if self.split else ''}"

    def open(self) -> FolderDataset:
        """Dataset of the folder; its files are only listed here, `check` reads them.

        Raises:
            FolderError: a folder does not exist, or holds no images.
            VocabularyError: the class list cannot be used.
        """
        dataset = FolderDataset(
            self.root,
            split=self.split,
            images=self.images,
            annotations=self.annotations,
            classes=self.classes,
            ignore=self.ignore,
            offset=self.offset,
        )
        dataset.tell_layout()
        return dataset


class WorldData(DatasetConfig):
    """Config of scenes of the drawn world; `names` is the size of a vocabulary, "seen" (the 169 training classes) or
    "few" (40 of these).

    `unlabelled` is the share of every scene that has no label (0 for all published figures).
    """

    name: Literal["world"] = "world"
    scenes: Literal["train", "validation", "test"] = "train"
    count: PositiveInt = 2000
    names: WorldNames = "seen"
    size: Side = SIZE
    hard: NonNegativeFloat = 1.0
    unlabelled: float = Field(default=0.0, ge=0, lt=1)

    @property
    def title(self) -> str:
        """Name of this dataset in reports."""
        others = {
            f"{self.size} pixels": self.size != SIZE,
            f"hard {self.hard:g}": self.hard != 1,
            f"{self.unlabelled:.0%} without labels": bool(self.unlabelled),
        }
        noted = "".join(f", {text}" for text, differs in others.items() if differs)
        return f"world-{self.names} ({self.scenes}, {self.count} scenes{noted})"

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


DATASETS: Final = (FolderData, WorldData, BenchmarkData, CocoData, CvatData, LabelStudioData, ColouredData, HubData)
DataConfig = Annotated[DatasetConfig, OneOf(DatasetConfig, DATASETS, read=lambda text: parse_data(text))]
"""A dataset config; a text is read as on the command line (`parse_data`)."""
BENCHMARKS = (*(spec.name for spec in CATALOG), *(rule.name for rule in RULES))
"""All names that `BenchmarkData` accepts."""


def background_label(data: DatasetConfig) -> int | None:
    """Index from which on all name indices count as background (`None`: no such rule); see `background_of`."""
    return background_of(data.benchmark) if isinstance(data, BenchmarkData) else None


_LABEL_FILES: Final = (".json", ".xml")
_HEAD: Final = 4096


class _WithData(Config):
    """A dataset under the key `data`, so that overrides are written as for a training."""

    data: DataConfig


def parse_data(
    text: str,
    *,
    split: str | None = None,
    count: int = 300,
    root: Path = Path("datasets"),
    overrides: Sequence[str] = (),
) -> DatasetConfig:
    """Dataset config for a command-line argument: the name of one, a folder, a file of labels, or a YAML mapping.

    `world-150` are test scenes, `ade20k-150` is a benchmark below `root`; a JSON file is one of COCO or Label Studio,
    an XML file one of CVAT, a folder with `labelmap.txt` one of coloured masks, `hf:owner/name` a dataset of the hub.
    A folder with `images` is read as one even if a dataset has its name. `overrides` are written as for a training:
    `data.KEY=VALUE`.

    Raises:
        ConfigError: the drawn world has no vocabulary of this size, a split is given for what is no folder, or an
            override or a mapping is not valid.
    """
    if text.startswith("{"):
        chosen = [] if split is None else [f"data.split={split}"]
        return _WithData.parse({}, overrides, preset=[f"data={text}", *chosen]).data
    found = _named_data(text, split, count, root)
    return _WithData.parse({"data": found.model_dump()}, overrides, source=text).data if overrides else found


def _named_data(text: str, split: str | None, count: int, root: Path) -> DatasetConfig:
    if text.startswith(PREFIX):
        return HubData(dataset=text.removeprefix(PREFIX), split=split or "train")
    if (Path(text) / "labelmap.txt").is_file() and (Path(text) / "SegmentationClass").is_dir():
        return ColouredData(root=Path(text), split=split)
    is_file = Path(text).suffix.lower() in _LABEL_FILES and Path(text).is_file()
    if is_file and split is None:
        return _label_file(Path(text))
    named = text in BENCHMARKS or text.startswith("world-")
    if (Path(text) / "images").is_dir() or not (is_file or named):
        return FolderData(root=Path(text), split=split)
    if split is not None:
        raise ConfigError(f"split {split!r} is given for {text}, which has none; a folder of images has splits.")
    if text in BENCHMARKS:
        return BenchmarkData(benchmark=text, root=root)
    names = text.removeprefix("world-")
    values = {"scenes": "test", "count": count, "names": int(names) if names.isdecimal() else names}
    beside = f" (for the folder of this name write ./{text})" if Path(text).is_dir() else ""
    return WorldData.parse(values, source=text + beside)


def _label_file(path: Path) -> AnnotatedData:
    """Config of a file of labels, of the kind that its ending and its first character tell."""
    if path.suffix.lower() == ".xml":
        return CvatData(file=path)
    with path.open("rb") as file:
        head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    return LabelStudioData(file=path) if head.startswith(b"[") else CocoData(file=path)
