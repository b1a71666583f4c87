"""`ahs-seg vocab`."""

from __future__ import annotations

from typing import Annotated

import typer

from ahs_seg.cli.completion import known_list
from ahs_seg.cli.options import OptionError
from ahs_seg.cli.output import others_on_stderr, say, say_json

app = typer.Typer(no_args_is_help=True, help="Check, compare and show class lists.")
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def lint(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CLASSES",
            help='A file (txt, csv, json, yaml), a known list such as ade20k-150, or names: "cat, dog".',
            autocompletion=known_list,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Check with this model: length in tokens, near-duplicates, training classes."
        ),
    ] = None,
    near: Annotated[
        float | None, typer.Option(help="Smallest cosine similarity of near-duplicates; default: 0.95.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Report errors and doubtful entries of a class list; exit status 1 if it cannot be used."""
    from ahs_seg.segmenter import Segmenter
    from ahs_seg.vocabulary.lint import NEAR, lint_vocabulary

    if near is not None and model is None:
        raise OptionError("--near compares text embeddings of a model; give --model as well.")
    with others_on_stderr():
        known = None if model is None else Segmenter.from_pretrained(model).lint_model()
        report = lint_vocabulary(source, known, near=NEAR if near is None else near)
    if as_json:
        say_json(report.to_dict())
    else:
        for finding in report.findings:
            say(f"{report.source}: {finding}")
        say(f"{report.source}: {report.classes} classes, {len(report.findings)} findings")
        for missing in report.unchecked:
            say(f"not checked: {missing}")
    if not report.usable:
        raise typer.Exit(1)


@app.command()
def diff(
    first: Annotated[str, typer.Argument(help="A class list: a file, a known list, or names.")],
    second: Annotated[str, typer.Argument(help="The class list to compare with.")],
    as_json: AsJson = False,
) -> None:
    """Compare two class lists; exit status 1 if they differ."""
    from ahs_seg.vocabulary.lint import diff_vocabularies

    found = diff_vocabularies(first, second)
    if as_json:
        say_json(found.to_dict())
    else:
        lines = [f"- {label}" for label in found.only_first] + [f"+ {label}" for label in found.only_second]
        lines += [f"~ {label}: {one} -> {two}" for label, one, two in found.reworded]
        counts = (
            f"{len(found.common)} in both, {len(found.only_first)} only in {first}, {len(found.only_second)} only in"
        )
        say("\n".join([*lines, f"{counts} {second}, {len(found.reworded)} with other names"]))
    if not found.equal:
        raise typer.Exit(1)


@app.command()
def show(
    source: Annotated[
        str | None, typer.Argument(help="A known list, a file, or names; default: all known lists.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the classes of a list with their indices, or the names of all known lists."""
    from ahs_seg.vocabulary.vocabulary import Vocabulary, known_vocabularies

    if source is None:
        sizes = {name: len(Vocabulary.known(name)) for name in known_vocabularies()}
        if as_json:
            say_json(sizes)
        else:
            say("\n".join(f"{name}  {count} classes" for name, count in sizes.items()))
        return
    if as_json:
        from ahs_seg.vocabulary.lint import describe_vocabulary

        say_json(describe_vocabulary(source))
        return
    for index, entry in enumerate(Vocabulary.parse(source).entries):
        others = "; ".join(entry.names)
        say(f"{index:>4}  {entry.label}" + (f"  ({others})" if others != entry.label else ""))
