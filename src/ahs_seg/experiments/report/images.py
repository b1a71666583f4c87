"""Figures of a report: images as data URLs, and legends."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ahs_seg.experiments.report.content import Figure
from ahs_seg.metrics import ConfusionMatrix
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.palette import by_area, enlarge, overlay
from ahs_seg.types import IGNORE

WIDEST: Final = 720
"""Longest side of an image in the report; larger ones are downsampled."""

_STRENGTH: Final = 0.7


@dataclass(frozen=True, slots=True)
class LegendLine:
    """Legend entry of a class: name, CSS colour, and its IoU or share of pixels as text."""

    name: str
    colour: str
    unseen: bool
    verdict: str


@dataclass(frozen=True, slots=True)
class FigureView:
    """A figure ready for rendering; `panels` are (caption, data URL, alternative text)."""

    title: str
    panels: Sequence[tuple[str, str, str]]
    legend: Sequence[LegendLine]
    right: float | None
    marks_unseen: bool


def view(figure: Figure) -> FigureView:
    """Convert a figure to panels and a legend; a class has the same colour in all panels."""
    maps = [figure.prediction] if figure.truth is None else [figure.truth, figure.prediction]
    colours = ClassColours(figure.names).for_image(*maps)
    panels = [("image", _address(figure.image), f"{figure.title}, the input image")]
    captions = ["prediction"] if figure.truth is None else ["ground truth", "prediction"]
    for caption, labels in zip(captions, maps, strict=True):
        tinted = overlay(enlarge(figure.image), enlarge(labels), colours, strength=_STRENGTH)
        listed = ", ".join(figure.names[label] for label in by_area(labels))
        panels.append((caption, _address(tinted), f"{figure.title}, {caption}: {listed}"))
    counts = None if figure.truth is None else ConfusionMatrix(len(figure.names))
    if counts is not None and figure.truth is not None:
        counts.update(figure.prediction, figure.truth)
    legend = [
        LegendLine(
            name=figure.names[label],
            colour="#{:02x}{:02x}{:02x}".format(*colours[label]),
            unseen=figure.seen is not None and figure.names[label] not in figure.seen,
            verdict=_verdict(counts, label) if counts is not None else _share(figure, label),
        )
        for label in colours
    ]
    right = None if counts is None else counts.scores().pacc
    return FigureView(figure.title, panels, legend, right, figure.seen is not None)


def _verdict(counts: ConfusionMatrix, label: int) -> str:
    if not counts.labelled[label]:
        return "not there"
    if not counts.hits[label]:
        return "missed"
    union = counts.labelled[label] + counts.predicted[label] - counts.hits[label]
    return f"IoU {100 * counts.hits[label] / union:.0f}"


def _share(figure: Figure, label: int) -> str:
    share = float((figure.prediction == label).sum()) / max(1, int((figure.prediction != IGNORE).sum()))
    return "<1 %" if share < 0.01 else f"{share * 100:.0f} %"


def _address(image: UInt8[np.ndarray, "H W 3"]) -> str:
    """Encode an image as a data URL: small (enlarged) ones as PNG, others as JPEG."""
    pixels = enlarge(image)
    encoded = Image.fromarray(pixels)
    buffer = io.BytesIO()
    if pixels is not image:
        encoded.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        encoded.thumbnail((WIDEST, WIDEST), Image.Resampling.LANCZOS)
        encoded.save(buffer, "JPEG", quality=88)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
