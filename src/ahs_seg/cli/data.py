"""`ahs-seg data`: prepare, verify, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The benchmarks: prepared from their archives, verified, listed.")

Names = Annotated[list[str], typer.Argument(help="Benchmarks, e.g. ade20k-150; `ahs-seg data list` names them.")]
Root = Annotated[
    Path, typer.Option(envvar="DETECTRON2_DATASETS", help="The folder that holds all data sets.", show_default=True)
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; by default one per core.", show_default=False)]
DEFAULT_ROOT = Path("datasets")


@app.command("prepare")
def prepare(
    names: Names,
    root: Root = DEFAULT_ROOT,
    archives: Annotated[
        list[Path] | None, typer.Option(help="Folders with downloaded archives, besides ROOT and ROOT/downloads.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch archives that are missing and have a public address.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Make label maps anew, also those that are there.")] = False,
    workers: Workers = None,
) -> None:
    """Make the label maps of benchmarks and an index of them; run it again after an interruption to go on."""
    from ahs_seg.data.prepare import find_preparation

    faulty = False
    for preparation in [find_preparation(name) for name in names]:
        summary = preparation.run(root, archives=archives or [], fetch=download, again=again, workers=workers)
        typer.echo(str(summary))
        faulty |= bool(summary.faulty)
    if faulty:
        raise typer.Exit(1)


@app.command("verify")
def verify(names: Names, root: Root = DEFAULT_ROOT, workers: Workers = None) -> None:
    """Read prepared benchmarks in full, compare them with their index and name every file at fault."""
    from ahs_seg.data.prepare import verify as run

    faulty = False
    for name in names:
        found = run(name, root, workers=workers)
        typer.echo(str(found))
        faulty |= bool(found.faults)
    if faulty:
        raise typer.Exit(1)


@app.command("list")
def list_all(root: Root = DEFAULT_ROOT) -> None:
    """Show the benchmarks, how many classes and pictures they have, and which of them are prepared."""
    from ahs_seg.data.catalog import CATALOG
    from ahs_seg.data.prepare.verification import state

    typer.echo(f"root: {root}")
    for spec in CATALOG:
        size = f"{len(spec.words())} classes, {spec.count:,} pictures"
        typer.echo(f"{spec.name:22} {size:32} {state(spec, root)}")
