"""`ahs-seg quickstart`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ahs_seg.cli.output import say


def command(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key.sub=value overrides of the packaged config")
    ] = None,
    method: Annotated[
        str, typer.Option(help="Method to train, such as h_clip; zero_shot is only evaluated.")
    ] = "cat_seg",
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder.")] = Path("quickstart"),
    seed: Annotated[int, typer.Option(help="Random seed of the training.")] = 0,
    scenes: Annotated[int, typer.Option(min=1, help="Number of test scenes with the 150-class vocabulary.")] = 300,
) -> None:
    """Train on drawn scenes, segment classes not seen in training, and write an HTML report; minutes, no downloads."""
    from ahs_seg.experiments.quickstart import Sizes, quickstart

    page = quickstart(method, output, seed=seed, sizes=Sizes(scenes=scenes), overrides=overrides or [], say=say)
    say(f"\nOpen {page}")
