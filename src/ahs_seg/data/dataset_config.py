"""Base class of dataset configs."""

from __future__ import annotations

from abc import abstractmethod

from ahs_seg.config import Config
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
