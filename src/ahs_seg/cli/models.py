"""`ahs-seg models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ahs_seg.cli.output import say, say_json

if TYPE_CHECKING:
    from ahs_seg.checkpoints.known import KnownCheckpoint
    from ahs_seg.checkpoints.local import LocalModel

_SHOWN = {"ade20k-150": "A-150", "pascal-context-59": "PC-59", "pascal-voc-20": "PAS-20"}
"""Benchmarks whose published scores have a column."""


def command(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """List the published checkpoints that --model knows by name, and the models on this machine; no network."""
    from ahs_seg.checkpoints.known import DEFAULT_MODEL, KNOWN_CHECKPOINTS
    from ahs_seg.checkpoints.local import local_models

    here = local_models()
    if as_json:
        known = [known.to_dict() | {"name": name} for name, known in KNOWN_CHECKPOINTS.items()]
        say_json({"default": DEFAULT_MODEL, "known": known, "here": [one.to_dict() for one in here]})
        return
    lines = ["Published checkpoints, downloaded at their first use (* the default):", ""]
    heading = ["", "name", "method", "backbone", "MB", "knows", *_SHOWN.values(), "licence of the weights"]
    rows = [_known_row(name, known, default=name == DEFAULT_MODEL) for name, known in KNOWN_CHECKPOINTS.items()]
    lines += _table([heading, *rows])
    lines += ["", *dict.fromkeys(_notes(known) for known in KNOWN_CHECKPOINTS.values())]
    lines += ["", "On this machine:" if here else "On this machine: none yet.", ""]
    if here:
        heading = ["", "name", "method", "backbone", "MB", "knows", "trained on", "directory"]
        lines += _table([heading, *map(_local_row, here)])
    lines.append("")
    lines.append("Also: owner/name on the hub, and clip:owner/name for training-free segmentation with a CLIP.")
    say("\n".join(lines))


def _known_row(name: str, known: KnownCheckpoint, *, default: bool) -> list[str]:
    scores = {} if known.scores is None else known.scores.miou
    numbers = [f"{scores[key]:.1f}" if key in scores else "-" for key in _SHOWN]
    kind = known.training.kind or "unknown"
    mark = "*" if default else ""
    return [mark, name, known.method, known.backbone, str(known.megabytes), kind, *numbers, known.licence or "unknown"]


def _notes(known: KnownCheckpoint) -> str:
    scores = known.scores
    told = (
        "no published scores" if scores is None else f"mIoU as published: {scores.source}, protocol {scores.protocol}"
    )
    return f"{known.method}: {told}. Licence: {known.licence or 'unknown'} ({known.licence_note})."


def _local_row(model: LocalModel) -> list[str]:
    entry = model.to_dict()
    if model.fault is not None:
        return ["", model.name, f"damaged: {model.fault}"]
    words = [entry[key] or "not recorded" for key in ("method", "backbone", "knows", "trained_on", "directory")]
    return ["", model.name, words[0], words[1], f"{model.megabytes:.0f}", *words[2:]]


def _table(rows: list[list[str]]) -> list[str]:
    """Lines with the cells of every column under each other."""
    widths = [max(len(row[column]) for row in rows if column < len(row) - 1) for column in range(len(rows[0]) - 1)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=False)).rstrip() for row in rows
    ]
