"""The command-line application: its commands, and the display of errors."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ahs_seg.cli import (
    ablate,
    data,
    evaluate,
    finetune_crop_clip,
    import_,
    quickstart,
    score,
    segment,
    serve,
    train,
    vocab,
    world,
)
from ahs_seg.cli.ending import prepare_streams, status_of
from ahs_seg.cli.options import check_words
from ahs_seg.cli.output import say

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Open-vocabulary semantic segmentation: name classes in plain words, get a label for every pixel.",
)


def _show_version(wanted: bool) -> bool:
    if wanted:
        from importlib.metadata import version

        say(f"ahs-seg {version('ahs-seg')}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Options of the program itself."""
    del version  # its callback has printed it


app.command("quickstart")(quickstart.command)
app.command("segment")(segment.command)
app.command("serve")(serve.command)
app.command("train")(train.command)
app.command("finetune-crop-clip")(finetune_crop_clip.command)
app.command("shift", hidden=True)(finetune_crop_clip.command)  # its former name
app.command("evaluate")(evaluate.command)
app.command("ablate")(ablate.command)
app.command("score")(score.command)
app.command("import")(import_.command)
app.add_typer(data.app, name="data")
app.add_typer(vocab.app, name="vocab")
app.add_typer(world.app, name="world")


def main() -> None:
    """Run a command; whatever it raises is printed as one message (`ahs_seg.cli.ending`)."""
    prepare_streams()
    sys.exit(status_of(_run))


def _run() -> None:
    check_words(sys.argv[1:])
    app()
