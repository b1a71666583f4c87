"""Base class of dataset configs."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

from ahs_seg.config import Config, config_name
from ahs_seg.data.base import SegmentationDataset


class DatasetConfig(Config):
    """Base class of all dataset configs; `name` selects the class in files."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Name of this dataset in reports."""

    @abstractmethod
    def open(self) -> SegmentationDataset:
        """Build the dataset."""

    def places(self) -> list[Path]:
        """Files and folders from which the dataset is read: those among its settings, whether they exist or not."""
        return [value for value in dict(self).values() if isinstance(value, Path)]


def dataset_settings(data: DatasetConfig) -> dict[str, Any]:
    """Values for JSON that tell datasets of the same title apart: all that are not defaults, with full paths."""
    values = data.model_dump(mode="json", exclude_defaults=True)
    paths = {key: str(value.resolve()) for key, value in dict(data).items() if isinstance(value, Path)}
    return {"name": config_name(type(data)), **values, **paths}
