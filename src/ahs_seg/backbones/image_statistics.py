"""How the images of a pre-trained network are normalised, from its files; whatever cannot work is an error."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ConfigDict, NonNegativeFloat, PositiveFloat

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.pretrained import read_settings
from ahs_seg.config import Config, ConfigError

logger = logging.getLogger(__name__)

Numbers = tuple[float, float, float]


class ImageStatistics(Config):
    """How images are normalised: `preprocessor_config.json`."""

    model_config = ConfigDict(extra="ignore")

    image_mean: Numbers
    image_std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    do_rescale: bool = True
    rescale_factor: NonNegativeFloat = 1 / 255
    do_normalize: bool = True


def read_statistics(directory: Path, *, usual: tuple[Numbers, Numbers], title: str) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of a directory; the `usual` ones of its kind (`title`) if it does not have any.

    Raises:
        BackboneError: they cannot work, or images are to be prepared in a way that is not supported.
    """
    path = directory / "preprocessor_config.json"
    if path.is_file():
        values = read_settings(path)
    elif (path := directory / "processor_config.json").is_file():
        values = read_settings(path).get("image_processor", {})
    else:
        logger.warning("%s has no preprocessor_config.json; images are normalised as for %s", directory, title)
        return usual
    if isinstance(values, dict) and values.get("do_normalize") is False:
        values = {"image_mean": (0.0, 0.0, 0.0), "image_std": (1.0, 1.0, 1.0), **values}
    missing = [key for key in ("image_mean", "image_std") if not isinstance(values, dict) or key not in values]
    if missing:
        raise BackboneError(f"{path} has no {' and no '.join(missing)}; each is a list of three numbers")
    try:
        found = ImageStatistics.parse(values, source=str(path))
    except ConfigError as error:
        raise BackboneError(str(error)) from None
    if not found.do_rescale or abs(found.rescale_factor * 255 - 1) > 1e-3:  # a rounding of 1/255
        raise BackboneError(f"{path}: do_rescale and rescale_factor must bring pixels to 0 to 1 (factor 1/255)")
    return (found.image_mean, found.image_std) if found.do_normalize else ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
