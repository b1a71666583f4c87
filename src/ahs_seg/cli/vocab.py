"""`ahs-seg vocab`."""

from __future__ import annotations

from typing import Annotated

import typer

from ahs_seg.cli.options import OptionError

app = typer.Typer(no_args_is_help=True, help="Check, compare and show class lists.")
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def lint(
    file: Annotated[
        str, typer.Argument(help="A text file with one class per line, or a known list such as ade20k-150.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Check with this model: length in tokens, near-duplicates, training classes.")
    ] = None,
    near: Annotated[
        float | None, typer.Option(help="Smallest cosine similarity of near-duplicates; default: 0.95.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Report errors and doubtful entries of a class list; exit status 1 if it cannot be used."""
    import json

    from ahs_seg.segmenter import Segmenter
    from ahs_seg.vocabulary.lint import NEAR, lint_vocabulary

    if near is not None and model is None:
        raise OptionError("--near compares text embeddings of a model; give --model as well.")
    known = None if model is None else Segmenter.from_pretrained(model).lint_model()
    report = lint_vocabulary(file, known, near=NEAR if near is None else near)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False, indent=1))
    else:
        for finding in report.findings:
            typer.echo(f"{report.source}: {finding}")
        typer.echo(f"{report.source}: {report.classes} classes, {len(report.findings)} findings")
        for missing in report.unchecked:
            typer.echo(f"not checked: {missing}")
    if not report.usable:
        raise typer.Exit(1)


@app.command()
def diff(
    first: Annotated[str, typer.Argument(help="A class list: a file, a known list, or names.")],
    second: Annotated[str, typer.Argument(help="The class list to compare with.")],
    as_json: AsJson = False,
) -> None:
    """Compare two class lists; exit status 1 if they differ."""
    import json

    from ahs_seg.vocabulary.lint import diff_vocabularies

    found = diff_vocabularies(first, second)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=1))
    else:
        lines = [f"- {label}" for label in found.only_first] + [f"+ {label}" for label in found.only_second]
        lines += [f"~ {label}: {one} -> {two}" for label, one, two in found.reworded]
        counts = (
            f"{len(found.common)} in both, {len(found.only_first)} only in {first}, {len(found.only_second)} only in"
        )
        typer.echo("\n".join([*lines, f"{counts} {second}, {len(found.reworded)} with other names"]))
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
    import json

    from ahs_seg.vocabulary.vocabulary import Vocabulary, known_vocabularies

    if source is None:
        sizes = {name: len(Vocabulary.known(name)) for name in known_vocabularies()}
        lines = json.dumps(sizes, indent=1) if as_json else "\n".join(f"{k}  {n} classes" for k, n in sizes.items())
        typer.echo(lines)
        return
    if as_json:
        from ahs_seg.vocabulary.lint import describe_vocabulary

        typer.echo(json.dumps(describe_vocabulary(source), ensure_ascii=False, indent=1))
        return
    for index, entry in enumerate(Vocabulary.parse(source).entries):
        others = "; ".join(entry.names)
        typer.echo(f"{index:>4}  {entry.label}" + (f"  ({others})" if others != entry.label else ""))
