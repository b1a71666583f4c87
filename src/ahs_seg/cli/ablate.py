"""`ahs-seg ablate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ahs_seg.cli.options import parse_numbers
from ahs_seg.cli.output import say, say_error


def command(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key.sub=value overrides for all rows, e.g. training.steps=100")
    ] = None,
    suite: Annotated[str, typer.Option(help="A packaged suite, such as ahs_seg or scan, or a yaml file.")] = "ahs_seg",
    rows: Annotated[
        str, typer.Option(help="Rows separated by commas; default: all. The baseline is always included.")
    ] = "",
    seeds: Annotated[str, typer.Option(help="Seeds separated by commas.")] = "0,1,2",
    jobs: Annotated[int, typer.Option(min=1, help="Number of parallel runs, each on one thread or one GPU.")] = 1,
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder for runs and tables.")] = Path(
        "runs/ablation"
    ),
    scale: Annotated[str | None, typer.Option(help="world, vitb or vitl; default: the first of the suite.")] = None,
    validation: Annotated[
        bool, typer.Option("--validation", help="Evaluate on validation data, for model selection, not on test data.")
    ] = False,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Train nothing; write the table of the finished runs.")
    ] = False,
) -> None:
    """Train all rows of an ablation table with several seeds and compare them; a killed run resumes."""
    from ahs_seg.experiments.ablation.markdown import markdown
    from ahs_seg.experiments.ablation.run import AblationOptions, run_ablation

    choice = AblationOptions(
        suite=suite,
        rows=tuple(part.strip() for part in rows.split(",") if part.strip()),
        seeds=parse_numbers(seeds, "--seeds"),
        scale=scale,
        judged="validation" if validation else "test",
        overrides=tuple(overrides or ()),
    )
    outcome = run_ablation(choice, output, jobs=jobs, train=not table_only)
    if outcome.table is None:
        say_error("no table: the baseline has no finished run.")
        raise typer.Exit(1)
    say(f"{markdown(outcome.table)}\nwritten to {outcome.folder}")
    if outcome.failures:
        raise typer.Exit(1)
