"""JSON that the browser renders: input image, labels and scores encoded as an image, and the classes."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ahs_seg.demo.web.session import SessionResult
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.palette import by_area
from ahs_seg.output.segmentation import Segmentation

SCRIPTS: Final = (
    "common",
    "decode",
    "regions",
    "names",
    "draw",
    "zoom",
    "point",
    "classes",
    "panes",
    "history",
    "requests",
    "form",
)
"""Parts of the script, each one idea; they share one scope."""
PARTS: Final = {
    "viewer.js": [f"{part}.js" for part in SCRIPTS],
    "viewer.css": [f"{part}.css" for part in ("stage", "panels")],
}
LONGEST: Final = 1400
"""Longest side of the rendered image; larger images are downsampled for display, not for the model."""


def asset(name: str) -> str:
    """Text of a packaged file of the page, or of the parts of a script or style sheet, one after the other."""
    folder = resources.files("ahs_seg").joinpath("assets", "web")
    files = [folder.joinpath("viewer", part) for part in PARTS[name]] if name in PARTS else [folder.joinpath(name)]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def payload(
    answer: SessionResult, *, beside: Sequence[SessionResult] = (), failed: Mapping[str, str] | None = None
) -> str:
    """Encode a result as JSON for `viewer.js`, with those of other models for the same request, or their errors.

    `labels` is an RGB image: red and green are the class index (low and high byte, 65535: none), blue is the score.
    """
    result = answer.result
    height, width = result.labels.shape
    size = _size(result)
    shown = Image.fromarray(result.image)
    if size != (width, height):
        shown = shown.resize(size, Image.Resampling.LANCZOS)
    exact = max(size) <= LONGEST // 4
    return json.dumps(
        {
            "picture": _address(shown, "PNG" if exact else "JPEG"),
            "size": size,
            "original": [width, height],
            "file": answer.source.name,
            **_one(answer, [answer, *beside]),
            "beside": [_one(other, [answer, *beside]) for other in beside],
            "failed": dict(failed or {}),
        }
    )


def _one(answer: SessionResult, together: Sequence[SessionResult]) -> dict[str, object]:
    """What a model answers, without the image, in the colours of all results that are seen `together`."""
    result = answer.result
    codes = Image.fromarray(_codes(result)).resize(_size(result), Image.Resampling.NEAREST)
    return {
        "id": answer.name,
        "model": answer.model,
        "asked": asdict(answer.asked),
        "labels": _address(codes, "PNG"),
        "names": result.classes,
        "classes": _classes(result, [one.result for one in together]),
        "absent": len(result.classes) - len(by_area(result.labels)),
        "times": times_text(answer),
        "warnings": [*result.warnings, *answer.notices],
        "notes": answer.notes,
    }


def _size(result: Segmentation) -> tuple[int, int]:
    """Width and height of the rendered image."""
    height, width = result.labels.shape
    scale = min(1.0, LONGEST / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def times_text(answer: SessionResult) -> str:
    """Text with the computing times of the two steps, or "cached", and the type if it is not float32."""
    times = answer.times
    encoding = "cached" if times.encoding is None else f"{times.encoding:.2f} s"
    decoding = "cached" if times.decoding is None else f"{times.decoding:.2f} s"
    kind = "" if times.dtype == "fp32" else f" Computed in {times.dtype}."
    return f"Image: {encoding}. Classes: {decoding}.{kind}"


def _classes(result: Segmentation, together: Sequence[Segmentation]) -> list[dict[str, object]]:
    maps = [one.labels for one in together if one.classes == result.classes]
    colours = ClassColours(result.classes).for_image(*maps)
    counts = np.bincount(result.labels[result.labels >= 0], minlength=len(result.vocabulary))
    return [
        {"index": label, "name": result.classes[label], "colour": colour, "pixels": int(counts[label])}
        for label, colour in ((label, colours[label]) for label in by_area(result.labels))
    ]


def _codes(result: Segmentation) -> UInt8[np.ndarray, "H W 3"]:
    labels = np.where(result.labels < 0, 65535, result.labels)
    scores = np.rint(np.clip(result.scores, 0, 1) * 255)
    return np.stack([labels % 256, labels // 256, scores], -1).astype(np.uint8)


def _address(image: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=90)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
