"""Results for FiftyOne: https://docs.voxel51.com."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from jaxtyping import Int32

from ahs_seg.io.extras import require_package

_MOST_8_BIT: Final = 255


def to_segmentation_label(labels: Int32[np.ndarray, "H W"], classes: int) -> Any:
    """`fo.Segmentation` whose mask holds the class index plus 1; 0, FiftyOne's value of no class, is unknown pixels.

    The names belong to the dataset: `dataset.default_mask_targets = {i + 1: name for i, name in result.names.items()}`.

    Raises:
        MissingPackageError: FiftyOne is not installed.
    """
    require_package("fiftyone", "to_fiftyone")
    import fiftyone

    kind = np.uint8 if classes <= _MOST_8_BIT else np.uint16
    return fiftyone.Segmentation(mask=(labels + 1).astype(kind))
