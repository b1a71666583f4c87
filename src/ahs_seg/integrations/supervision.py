"""Results for supervision: https://supervision.roboflow.com."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int32

from ahs_seg.io.extras import require_package

if TYPE_CHECKING:
    from supervision import Detections


def to_detections(
    labels: Int32[np.ndarray, "H W"],
    classes: Sequence[int],
    names: Sequence[str],
    scores: Sequence[float],
    boxes: Sequence[tuple[int, int, int, int]],
) -> Detections:
    """`sv.Detections` with a mask, a box (x1, y1, x2, y2), a score, an index and a name for each of the classes.

    `boxes` are in pixels, right and lower edge excluded; `scores` and `boxes` belong to `classes`, `names` to the
    vocabulary.

    Raises:
        MissingPackageError: supervision is not installed.
    """
    require_package("supervision", "to_supervision")
    import supervision

    index = np.array(classes, dtype=int)
    masks: Bool[np.ndarray, "n H W"] = labels[None] == index[:, None, None]
    return supervision.Detections(
        xyxy=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        mask=masks,
        confidence=np.array(scores, dtype=np.float32),
        class_id=index,
        data={"class_name": np.array([names[label] for label in classes], dtype=np.str_)},
    )
