"""The command-line application: its commands, and the display of errors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ahs_seg.cli import (
    ablate,
    benchmark,
    data,
    evaluate,
    export,
    finetune_crop_clip,
    import_,
    models,
    quickstart,
    score,
    segment,
    serve,
    train,
    vocab,
    world,
)
from ahs_seg.cli.ending import prepare_streams, status_of
from ahs_seg.cli.options import OptionError, check_words
from ahs_seg.cli.output import say, set_verbosity
from ahs_seg.io.outside_text import printable

ANYWHERE = frozenset(["-v", "--verbose", "-q", "--quiet"])
"""Options of the program that may also stand behind a command."""


class PrintableGroup(TyperGroup):
    """Commands whose usage errors cite the words of the command line in printable form."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options of the program, also those behind a command."""
        end = args.index("--") if "--" in args else len(args)
        first = [word for word in args[:end] if word in ANYWHERE]
        rest = [word for word in args[:end] if word not in ANYWHERE]
        return super().parse_args(ctx, [*first, *rest, *args[end:]])

    def make_context(self, *words: Any, **options: Any) -> Any:  # as in typer
        """Read the options of the program."""
        with _cited_printably():
            return super().make_context(*words, **options)

    def invoke(self, ctx: Any) -> Any:
        """Read the options of a command and run it."""
        with _cited_printably():
            return super().invoke(ctx)


@contextmanager
def _cited_printably() -> Iterator[None]:
    """Context that changes the message of a usage error; which class that is depends on the version of typer."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message") and isinstance(getattr(error, "message", None), str):
            error.message = printable(error.message)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    cls=PrintableGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
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
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all messages, and the traces of errors.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show results and errors only.")] = False,
) -> None:
    """Options of the program itself."""
    del version  # its callback has printed it
    if verbose and quiet:
        raise OptionError("--verbose and --quiet exclude each other; give one of them.")
    set_verbosity(verbose=verbose, quiet=quiet)


app.command("quickstart")(quickstart.command)
app.command("segment")(segment.command)
app.command("serve")(serve.command)
app.command("train")(train.command)
app.command("finetune-crop-clip")(finetune_crop_clip.command)
app.command("shift", hidden=True)(finetune_crop_clip.command)  # its former name
app.command("evaluate")(evaluate.command)
app.command("ablate")(ablate.command)
app.command("score")(score.command)
app.command("benchmark")(benchmark.command)
app.command("import")(import_.command)
app.command("export")(export.command)
app.command("models")(models.command)
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
