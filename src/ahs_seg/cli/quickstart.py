"""`ahs-seg quickstart`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value of the packaged config")] = None,
    method: Annotated[str, typer.Option(help="Any method, such as h_clip; zero_shot only evaluates.")] = "cat_seg",
    output: Annotated[Path, typer.Option("--output", "-o", help="Where everything is written.")] = Path("quickstart"),
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    scenes: Annotated[int, typer.Option(help="Test scenes for the 150-name vocabulary.")] = 300,
) -> None:
    """Train on drawn scenes, segment names never trained on, and write a report to look at; minutes, no downloads."""
    from ahs_seg.experiments.quickstart import Sizes, quickstart

    page = quickstart(method, output, seed=seed, sizes=Sizes(scenes=scenes), overrides=overrides or [], say=typer.echo)
    typer.echo(f"\nOpen {page}")
