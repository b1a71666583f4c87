"""`ahs-seg score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ahs_seg.cli.options import DataChangesOption, OptionError, check_report_path, check_unused
from ahs_seg.cli.output import say

if TYPE_CHECKING:
    from ahs_seg.evaluation import EvaluationReport
    from ahs_seg.vocabulary.vocabulary import Vocabulary


def command(  # noqa: PLR0913  # a command line has many options
    predictions: Annotated[
        Path | None, typer.Argument(help="Folder of label maps, or detectron2's sem_seg_predictions.json.")
    ] = None,
    data: Annotated[str, typer.Option(help="Labelled images, as for `evaluate`: a folder, world-150, ...")] = "",
    split: Annotated[str | None, typer.Option(help="A subfolder of images/ and annotations/.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of scenes of the drawn world.")] = 300,
    root: Annotated[
        Path, typer.Option(envvar="DETECTRON2_DATASETS", help="Folder that contains all benchmarks.")
    ] = Path("datasets"),
    changes: DataChangesOption = None,
    method: Annotated[str, typer.Option(help="Name of the method in the report.")] = "predictions",
    seen: Annotated[
        str | None, typer.Option(help="Class names used in training: a known list, a .txt file, or names.")
    ] = None,
    first: Annotated[int, typer.Option(help="Folder of label maps: pixel value of the first class.")] = 0,
    ignore: Annotated[
        int | None, typer.Option(help="Folder of label maps: pixel value for no class; default: 255 or 65535.")
    ] = None,
    categories: Annotated[
        Path | None,
        typer.Option(
            help="sem_seg_predictions.json: JSON file that maps category_id to class index; default: they are equal."
        ),
    ] = None,
    boundary: Annotated[bool, typer.Option("--boundary", help="Also compute boundary IoU.")] = False,
    pairs: Annotated[bool, typer.Option("--pairs", help="Also store the full confusion matrix.")] = False,
    parents: Annotated[Path | None, typer.Option(help="Table of parent classes (JSON), for SG-IoU.")] = None,
    propose: Annotated[
        bool,
        typer.Option(
            "--propose-parents",
            help="Derive such a table from the class names; without PREDICTIONS, print it, or write it to --output.",
        ),
    ] = False,
    journal: Annotated[
        Path | None, typer.Option(help="Folder for the counts of every image, to resume a killed run.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="JSON file for the report, or for the table.")
    ] = None,
) -> None:
    """Evaluate predictions of another program: both mIoU, fwIoU, mACC, pACC, seen and unseen, boundary, SG-IoU."""
    from ahs_seg.data.check import tell_findings
    from ahs_seg.data.config import background_label, parse_data
    from ahs_seg.evaluation import open_predictions, score_predictions
    from ahs_seg.evaluation.external import read_categories
    from ahs_seg.io.overwrite import check_output_file
    from ahs_seg.io.reach import from_home
    from ahs_seg.metrics import Measures, ParentTable, propose_parents
    from ahs_seg.vocabulary.vocabulary import Vocabulary

    if not data:
        raise OptionError("name the labelled images with --data.")
    if parents is not None and propose:
        raise OptionError("give either --parents or --propose-parents.")
    if predictions is None:
        if not propose:
            raise OptionError("name the PREDICTIONS: a folder of label maps, or sem_seg_predictions.json.")
        reading: dict[str, object] = {"--first": first or None, "--ignore": ignore, "--categories": categories}
        counting = {"--seen": seen, "--boundary": boundary, "--pairs": pairs, "--journal": journal}
        check_unused(reading | counting, "of no use without PREDICTIONS; name them, or leave it out.")
    check_report_path(output)
    source = parse_data(data, split=split, count=count, root=root, overrides=changes or [])
    names = None if seen is None else from_home(seen)
    check_output_file(output, [predictions, categories, parents, names, *source.places()])
    dataset = source.open()
    words = dataset.vocabulary
    if predictions is None:
        _tell_table(words, output)
        return
    table = propose_parents(words) if propose else None
    if parents is not None:
        table = ParentTable.load(parents, words, benchmark=source.title)
    tell_findings(dataset, source.title)
    background = background_label(source)
    predicted = len(words) if background is None else sum(len(entry.names) for entry in words.entries)
    mapping = None if categories is None else read_categories(categories)
    report = score_predictions(
        open_predictions(predictions, predicted, first=first, ignore=ignore, categories=mapping),
        dataset,
        method=method,
        name=source.title,
        seen=None if seen is None else Vocabulary.parse(seen).labels,
        measures=Measures(pairs=pairs, boundary=boundary, parents=table),
        background=background,
        journal=journal,
        data=source,
    )
    _tell(report, output)


def _tell_table(words: Vocabulary, output: Path | None) -> None:
    """Print the table of parent classes that the class names propose, or write it if there is an output."""
    from ahs_seg.io.atomic import write_text
    from ahs_seg.metrics import propose_parents

    text = propose_parents(words).to_json(words)
    if output is None:
        say(text)
    else:
        write_text(output, text)
        say(f"table of parent classes: {output}")


def _tell(report: EvaluationReport, output: Path | None) -> None:
    """Print a report, write it if there is an output, and end with the exit status 1 if an image was left out."""
    say(str(report))
    if report.seen_labels is not None:
        for title, names in zip(("seen", "unseen"), report.seen_labels, strict=True):
            say(f"{title} ({len(names)}): {', '.join(names)}")
    if output is not None:
        report.save(output)
        say(f"report: {output}")
    if report.failures:
        raise typer.Exit(1)
