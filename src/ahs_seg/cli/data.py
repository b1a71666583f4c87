"""`ahs-seg data`: prepare, verify, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ahs_seg.cli.output import say

app = typer.Typer(no_args_is_help=True, help="Benchmarks: prepare them from their archives, verify and list them.")

Names = Annotated[list[str], typer.Argument(help="Benchmarks, e.g. ade20k-150; see `ahs-seg data list`.")]
Root = Annotated[
    Path, typer.Option(envvar="DETECTRON2_DATASETS", help="Folder that contains all datasets.", show_default=True)
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Number of processes; default: one per core.", show_default=False)
]
DEFAULT_ROOT = Path("datasets")


@app.command("prepare")
def prepare(
    names: Names,
    root: Root = DEFAULT_ROOT,
    archives: Annotated[
        list[Path] | None,
        typer.Option(help="Folders with downloaded archives, in addition to ROOT and ROOT/downloads."),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Download missing archives that have a public URL.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Recreate existing label maps.")] = False,
    workers: Workers = None,
) -> None:
    """Create the label maps of benchmarks and an index of their files; run it again to resume after an interruption."""
    from ahs_seg.data.prepare import find_preparation

    faulty = False
    for preparation in [find_preparation(name) for name in names]:
        summary = preparation.run(root, archives=archives or [], fetch=download, again=again, workers=workers)
        say(str(summary))
        faulty |= bool(summary.faulty)
    if faulty:
        raise typer.Exit(1)


@app.command("verify")
def verify(names: Names, root: Root = DEFAULT_ROOT, workers: Workers = None) -> None:
    """Read all files of prepared benchmarks, compare them with the index and list damaged or missing files."""
    from ahs_seg.data.prepare import verify as run

    faulty = False
    for name in names:
        found = run(name, root, workers=workers)
        say(str(found))
        faulty |= bool(found.faults)
    if faulty:
        raise typer.Exit(1)


@app.command("list")
def list_all(root: Root = DEFAULT_ROOT) -> None:
    """List the benchmarks with their numbers of classes and images, and whether they are prepared."""
    from ahs_seg.data.catalog import CATALOG
    from ahs_seg.data.prepare.verification import state

    say(f"root: {root}")
    for spec in CATALOG:
        size = f"{len(spec.words())} classes, {spec.count:,} images"
        say(f"{spec.name:22} {size:32} {state(spec, root)}")
