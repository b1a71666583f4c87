"""`ahs-seg data`: prepare, verify, list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ahs_seg.cli.options import DataChangesOption
from ahs_seg.cli.output import say, say_error, say_json

app = typer.Typer(no_args_is_help=True, help="Check labelled images; prepare, verify and list benchmarks.")

Names = Annotated[list[str], typer.Argument(help="Benchmarks, e.g. ade20k-150; see `ahs-seg data list`.")]
Root = Annotated[
    Path, typer.Option(envvar="DETECTRON2_DATASETS", help="Folder that contains all datasets.", show_default=True)
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Number of processes; default: one per core.", show_default=False)
]
Item = TypeVar("Item")
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
    from ahs_seg.data.prepare import Preparation, find_preparation

    def run(preparation: Preparation) -> bool:
        summary = preparation.run(root, archives=archives or [], fetch=download, again=again, workers=workers)
        say(str(summary))
        return not summary.faulty

    _each(run, [find_preparation(name) for name in names])


@app.command("verify")
def verify(names: Names, root: Root = DEFAULT_ROOT, workers: Workers = None) -> None:
    """Read all files of prepared benchmarks, compare them with the index and list damaged or missing files."""
    from ahs_seg.data.prepare import verify as verification

    def run(name: str) -> bool:
        found = verification(name, root, workers=workers)
        say(str(found))
        return not found.faults

    _each(run, names)


@app.command("list")
def list_all(root: Root = DEFAULT_ROOT) -> None:
    """List the benchmarks with their numbers of classes and images, and whether they are prepared."""
    from ahs_seg.data.catalog import CATALOG, DatasetSpec
    from ahs_seg.data.prepare.verification import state

    def run(spec: DatasetSpec) -> bool:
        size = f"{len(spec.words())} classes, {spec.count:,} images"
        say(f"{spec.name:22} {size:32} {state(spec, root)}")
        return True

    say(f"root: {root}")
    _each(run, CATALOG)


def _each(run: Callable[[Item], bool], items: Iterable[Item]) -> None:
    """Run a command for every item; of several, the error of one is told, and the exit status is 1 in the end."""
    from ahs_seg.errors import AhsSegError
    from ahs_seg.io.failures import ends_run

    well, chosen = True, list(items)
    for item in chosen:
        try:
            well &= run(item)
        except AhsSegError as error:
            if ends_run(error) or len(chosen) == 1:
                raise
            say_error(f"error: {error}")
            well = False
    if not well:
        raise typer.Exit(1)


@app.command("check")
def check(
    data: Annotated[str, typer.Argument(help="Folder of labelled images, as for training, or a prepared benchmark.")],
    split: Annotated[str | None, typer.Option(help="Subfolder of the training images, e.g. train.")] = None,
    validation: Annotated[
        str | None, typer.Option(help="Folder of the validation data; default with --validation-split: DATA.")
    ] = None,
    validation_split: Annotated[str | None, typer.Option(help="Subfolder of its images, e.g. val.")] = None,
    changes: DataChangesOption = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Most label maps to count, evenly spaced; default: 1000.", show_default=False),
    ] = None,
    root: Root = DEFAULT_ROOT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Read all files, count what label maps hold and list what is wrong; exit status 1 if `train` would refuse."""
    from dataclasses import replace

    from ahs_seg.data.check import check_data, file_faults
    from ahs_seg.data.config import parse_data

    parts = [parse_data(data, split=split, root=root, overrides=changes or [])]
    if validation is not None or validation_split is not None:
        parts.append(parse_data(validation or data, split=validation_split, root=root, overrides=changes or []))
    datasets = [part.open() for part in parts]
    found = check_data(datasets[0], *datasets[1:], titles=(parts[0].title, parts[-1].title), limit=limit)
    found = replace(found, refused=file_faults(*datasets))
    if as_json:
        say_json(found.to_dict())
    else:
        say(str(found))
    if not found.trainable:
        raise typer.Exit(1)
