"""`ahs-seg train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ahs_seg.cli.options import ThreadsOption
from ahs_seg.cli.output import say


def command(
    config: Annotated[
        Path, typer.Argument(help="A yaml file, a packaged config, or an ablation row ablation/SUITE/SCALE/ROW.")
    ],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value, e.g. training.steps=500")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder of the run.")] = Path("runs/train"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was interrupted, bit for bit.")] = False,
    threads: ThreadsOption = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Tell memory, time of a step and the largest batch, and train nothing.")
    ] = False,
) -> None:
    """Train a method on labelled images and write a model directory."""
    from ahs_seg.experiments.ablation.suites import find_experiment
    from ahs_seg.experiments.estimate import estimate_experiment
    from ahs_seg.experiments.experiment import run_experiment
    from ahs_seg.io.cores import use_threads
    from ahs_seg.io.overwrite import check_output_file
    from ahs_seg.training.run import CHECKPOINTS, CONFIG

    use_threads(threads)
    if estimate:
        for line in estimate_experiment(find_experiment(config, overrides or [])).lines():
            say(line)
        return
    if not resume and not (output / CHECKPOINTS).exists():  # a run that is there has written its own config.yaml
        check_output_file(output / CONFIG, [config])
    experiment = find_experiment(config, overrides or [])
    result = run_experiment(experiment, output, resume=resume)
    if result.evaluation is not None:
        say(str(result.evaluation))
    say(f"trained {result.training.steps} steps in {result.seconds / 60:.1f} minutes")
    say(f"model: {result.model}")
