"""`ahs-seg evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[Path, typer.Argument(help="A model directory.")],
    data: Annotated[str, typer.Option(help="A folder with images/, annotations/ and classes.txt, or world-150.")],
    split: Annotated[str | None, typer.Option(help="A subfolder of images/ and annotations/.")] = None,
    count: Annotated[int, typer.Option(help="Scenes of the drawn world to evaluate.")] = 300,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the report as JSON.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change the protocol, e.g. --set 'windows={name: sliding}'")
    ] = None,
) -> None:
    """Score a model on labelled images: mIoU under both denominators, fwIoU, mACC, pACC, seen and unseen."""
    from ahs_seg.checkpoints import load_model
    from ahs_seg.data.config import parse_data
    from ahs_seg.evaluation import evaluate
    from ahs_seg.inference import InferenceConfig
    from ahs_seg.segmenter import Segmenter

    source = parse_data(data, split=split, count=count)
    dataset = source.open()
    description, method = load_model(model)
    inference = InferenceConfig.parse(description.inference.model_dump(), overrides or [], source="protocol")
    segmenter = Segmenter(method, prompts=description.prompts, inference=inference)
    report = evaluate(
        segmenter.predictor(dataset.vocabulary),
        dataset,
        method=description.method.name,
        name=source.title,
        protocol=inference.title,
        seen=description.trained_on,
    )
    typer.echo(str(report))
    if output is not None:
        report.save(output)
        typer.echo(f"report: {output}")
