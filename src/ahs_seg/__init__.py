"""Open-vocabulary semantic segmentation: name classes in plain words, get a label for every pixel."""

__version__ = "0.1.0"
