"""`ahs-seg segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    inputs: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    classes: Annotated[str, typer.Option(help='"cat, sofa, lamp", a text file, or a known list such as ade20k-150.')],
    model: Annotated[Path, typer.Option(help="A model directory.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the results go.")] = Path("segmented"),
) -> None:
    """Label every pixel of images with the words you give; writes label maps, their names, and overlays."""
    from ahs_seg.batch import list_images, segment_files
    from ahs_seg.segmenter import Segmenter

    files = list_images(inputs)
    segmenter = Segmenter.from_pretrained(model)
    summary = segment_files(segmenter, files, classes, output)
    for fault in summary.faults:
        typer.secho(f"left out: {fault}", fg="yellow", err=True)
    typer.echo(f"{summary.done} of {len(files)} images segmented into {output}")
    if summary.faults:
        raise typer.Exit(1)
