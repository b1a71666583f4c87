"""`ahs-seg finetune-crop-clip`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ahs_seg.cli.output import say


def command(
    config: Annotated[Path, typer.Argument(help="A yaml file, or the name of a packaged config of this command.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value, e.g. training.steps=500")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder of the run.")] = Path("runs/crop_clip"),
    into: Annotated[
        Path | None,
        typer.Option(
            help="Model directory of a SCAN model; a copy with the fine-tuned CLIP is written to OUTPUT/model."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was interrupted, bit for bit.")] = False,
) -> None:
    """Fine-tune the CLIP of SCAN's second stage on masked crops of labelled images."""
    from ahs_seg.configs import find_crop_clip
    from ahs_seg.training.crop_clip import CropClipExperiment, finetune_crop_clip

    experiment = CropClipExperiment.read(find_crop_clip(config), overrides or [])
    result = finetune_crop_clip(experiment, output, into=into, resume=resume)
    if result.before is not None and result.after is not None:
        say(f"mask accuracy: {100 * result.before:.1f} % before, {100 * result.after:.1f} % after")
    say(f"CLIP: {result.clip}\nuse it as method.shifted.source={result.clip}")
    if result.model is not None:
        say(f"model: {result.model}")
