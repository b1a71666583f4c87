"""`ahs-seg ablate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key.sub=value for all rows, e.g. training.steps=100")
    ] = None,
    suite: Annotated[str, typer.Option(help="A packaged suite, such as ahs_seg or scan, or a yaml file.")] = "ahs_seg",
    rows: Annotated[str, typer.Option(help="Rows separated by commas; all if not given. The baseline is added.")] = "",
    seeds: Annotated[str, typer.Option(help="Seeds separated by commas.")] = "0,1,2",
    jobs: Annotated[int, typer.Option(help="Runs at a time, each on one thread or one GPU.")] = 1,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where runs and tables lie.")] = Path("runs/ablation"),
    scale: Annotated[str | None, typer.Option(help="world, vitb or vitl; by default the first of the suite.")] = None,
    validation: Annotated[
        bool, typer.Option("--validation", help="Judge by validation data: for everything that is chosen by.")
    ] = False,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Run nothing; write the table of the runs that are done.")
    ] = False,
) -> None:
    """Run an ablation table over seeds, and write what each row is worth; goes on where it was killed."""
    from ahs_seg.experiments.ablation import AblationOptions, run_ablation
    from ahs_seg.experiments.ablation.markdown import markdown

    choice = AblationOptions(
        suite=suite,
        rows=tuple(part.strip() for part in rows.split(",") if part.strip()),
        seeds=tuple(dict.fromkeys(int(part) for part in seeds.split(","))),
        scale=scale,
        judged="validation" if validation else "test",
        overrides=tuple(overrides or ()),
    )
    outcome = run_ablation(choice, output, jobs=jobs, train=not table_only)
    if outcome.table is None:
        typer.secho("no table: no run of the baseline is finished.", fg="red", err=True)
        raise typer.Exit(1)
    typer.echo(f"{markdown(outcome.table)}\nwritten to {outcome.folder}")
    if outcome.failures:
        raise typer.Exit(1)
