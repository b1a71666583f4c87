"""Self-contained HTML view of a result for notebooks: an overlay and a class table, without scripts or links."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Final

import numpy as np
from PIL import Image

from ahs_seg.output.colours import ClassColours
from ahs_seg.output.formats.base import ExportResult
from ahs_seg.output.palette import Colour, enlarge, overlay
from ahs_seg.types import IGNORE

_WIDTH: Final = 640
_HEIGHT: Final = 6400
_ROWS: Final = 20


def to_html(result: ExportResult) -> str:
    """HTML with the overlay (at most 640 x 6400 pixels) and the area and mean score of each class, largest first."""
    names = result.vocabulary.labels
    colours = ClassColours(names).for_image(result.labels)
    present = list(colours)
    rows = [_row("rgb({},{},{})".format(*colours[k]), names[k], *_figures(result, k)) for k in present[:_ROWS]]
    if len(present) > _ROWS:
        rows.append(_row(None, f"and {len(present) - _ROWS} more"))
    if (result.labels == IGNORE).any():
        rows.append(_row(None, "unknown", *_figures(result, IGNORE)))
    height, width = result.labels.shape
    doubts = "".join(f"<br>Warning: {escape(one)}" for one in result.warnings)
    title = escape(f"{width} x {height} pixels, {len(present)} of {len(names)} classes")
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start;font:14px/1.5 sans-serif">'
        f'<img alt="{title}" style="max-width:100%" src="data:image/png;base64,{_overlay_png(result, colours)}">'
        '<table style="border-collapse:collapse"><thead><tr><th></th>'
        '<th style="text-align:left;padding:0 1em">class</th><th>share</th><th style="padding-left:1em">mean score</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody>"
        f'<caption style="caption-side:bottom">{title}{doubts}</caption></table></div>'
    )


def _figures(result: ExportResult, label: int) -> tuple[str, str]:
    mask = result.labels == label
    return f"{100 * mask.mean():.1f} %", f"{result.scores[mask].mean():.2f}"


def _row(colour: str | None, name: str, share: str = "", score: str = "") -> str:
    patch = "" if colour is None else f"background:{colour}"
    return (
        f'<tr><td style="width:1em;{patch}"></td><td style="text-align:left;padding:0 1em">{escape(name)}</td>'
        f'<td style="text-align:right">{share}</td><td style="text-align:right;padding-left:1em">{score}</td></tr>'
    )


def _overlay_png(result: ExportResult, colours: dict[int, Colour]) -> str:
    height, width = result.labels.shape
    step = max(1, -(-width // _WIDTH), -(-height // _HEIGHT))
    image = np.ascontiguousarray(result.image[::step, ::step])
    labels = np.ascontiguousarray(result.labels[::step, ::step])
    tinted = overlay(enlarge(image), enlarge(labels), colours)
    buffer = io.BytesIO()
    Image.fromarray(tinted).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
