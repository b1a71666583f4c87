"""`ahs-seg quickstart`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class MethodChoice(StrEnum):
    """The methods that the quickstart knows."""

    CAT_SEG = "cat_seg"
    H_CLIP = "h_clip"
    AHS_SEG = "ahs_seg"
    AHS_SEG_LITE = "ahs_seg_lite"
    HPS_SEG = "hps_seg"
    SCAN = "scan"
    EBSEG = "ebseg"
    ZERO_SHOT = "zero_shot"


def command(
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value of the packaged config")] = None,
    method: Annotated[
        MethodChoice, typer.Option(help="What to train; zero_shot only evaluates.")
    ] = MethodChoice.CAT_SEG,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where everything is written.")] = Path("quickstart"),
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    scenes: Annotated[int, typer.Option(help="Test scenes for the 150-name vocabulary.")] = 300,
) -> None:
    """Train on drawn scenes, segment names never trained on, and write a report to look at; minutes, no downloads."""
    from ahs_seg.experiments.quickstart import Sizes, quickstart

    page = quickstart(
        method.value, output, seed=seed, sizes=Sizes(scenes=scenes), overrides=overrides or [], say=typer.echo
    )
    typer.echo(f"\nOpen {page}")
