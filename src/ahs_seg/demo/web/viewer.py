"""JSON that the browser renders: input image, labels and scores encoded as an image, and the classes."""

from __future__ import annotations

import base64
import io
import json
from importlib import resources
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ahs_seg.demo.web.session import SessionResult
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.palette import by_area
from ahs_seg.output.segmentation import Segmentation

LONGEST: Final = 1400
"""Longest side of the rendered image; larger images are downsampled for display, not for the model."""


def asset(name: str) -> str:
    """Text of a packaged file of the page."""
    return resources.files("ahs_seg").joinpath("assets", "web", name).read_text(encoding="utf-8")


def payload(answer: SessionResult) -> str:
    """Encode a result as JSON for `viewer.js`.

    `labels` is an RGB image: red and green are the class index (low and high byte, 65535: none), blue is the score.
    """
    result = answer.result
    height, width = result.labels.shape
    scale = min(1.0, LONGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    shown = Image.fromarray(result.image)
    if scale < 1:
        shown = shown.resize(size, Image.Resampling.LANCZOS)
    codes = Image.fromarray(_codes(result)).resize(size, Image.Resampling.NEAREST)
    exact = max(size) <= LONGEST // 4
    return json.dumps(
        {
            "picture": _address(shown, "PNG" if exact else "JPEG"),
            "labels": _address(codes, "PNG"),
            "size": size,
            "original": [width, height],
            "names": result.classes,
            "classes": _classes(result),
            "absent": len(result.classes) - len(by_area(result.labels)),
            "times": times_text(answer),
            "warnings": result.warnings,
        }
    )


def times_text(answer: SessionResult) -> str:
    """Text with the computing times of the two steps, or "cached"."""
    times = answer.times
    encoding = "cached" if times.encoding is None else f"{times.encoding:.2f} s"
    decoding = "cached" if times.decoding is None else f"{times.decoding:.2f} s"
    return f"Image: {encoding}. Classes: {decoding}."


def _classes(result: Segmentation) -> list[dict[str, object]]:
    colours = ClassColours(result.classes).for_image(result.labels)
    counts = np.bincount(result.labels[result.labels >= 0], minlength=len(result.vocabulary))
    return [
        {"index": label, "name": result.classes[label], "colour": colour, "pixels": int(counts[label])}
        for label, colour in colours.items()
    ]


def _codes(result: Segmentation) -> UInt8[np.ndarray, "H W 3"]:
    labels = np.where(result.labels < 0, 65535, result.labels)
    scores = np.rint(np.clip(result.scores, 0, 1) * 255)
    return np.stack([labels % 256, labels // 256, scores], -1).astype(np.uint8)


def _address(image: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=90)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
