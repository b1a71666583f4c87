"""`ahs-seg evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ahs_seg.cli.options import DtypeOption, NoCacheOption, OptionError, ThreadsOption, check_report_path, check_unused
from ahs_seg.cli.output import say


def command(  # noqa: PLR0913  # a command line has many options
    model: Annotated[str, typer.Argument(help="A model directory, a known checkpoint or owner/name on the hub.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="A folder with images/, annotations/ and classes.txt, a file of labels (COCO, CVAT, Label Studio), "
            "hf:owner/name, world-150, a benchmark (ade20k-150), or a mapping as in a config."
        ),
    ] = None,
    suite: Annotated[str | None, typer.Option(help="Evaluate all prepared benchmarks of a suite: ovss.")] = None,
    protocol: Annotated[
        str, typer.Option(help="One or more of own, catseg, san, mmseg, scan, separated by commas.")
    ] = "own",
    split: Annotated[str | None, typer.Option(help="A subfolder of images/ and annotations/; with --data.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of scenes of the drawn world.")] = 300,
    root: Annotated[
        Path, typer.Option(envvar="DETECTRON2_DATASETS", help="Folder that contains all benchmarks.")
    ] = Path("datasets"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="JSON file for the report; with --suite, a folder.")
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the counts of every image; with it, the same command resumes a killed run. With --data."
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Number of processes that share the images.")] = 1,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps; auto distributes processes over the GPUs.")
    ] = "auto",
    dtype: DtypeOption = "fp32",
    threads: ThreadsOption = None,
    no_cache: NoCacheOption = False,
    boundary: Annotated[bool, typer.Option("--boundary", help="Also compute boundary IoU.")] = False,
    parents: Annotated[
        Path | None, typer.Option(help="Table of parent classes (JSON), for SG-IoU; with --data.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Override how images are read, data.KEY=VALUE as for a training, or settings of the protocol: "
            "--set 'windows={name: sliding}'",
        ),
    ] = None,
) -> None:
    """Evaluate a model on labelled images, under one or several protocols."""
    from ahs_seg.checkpoints.model_dir import read_description
    from ahs_seg.checkpoints.zoo import find_model
    from ahs_seg.data.check import tell_findings
    from ahs_seg.data.config import parse_data
    from ahs_seg.evaluation import score_table
    from ahs_seg.evaluation.protocols import choose_protocols
    from ahs_seg.experiments.suite import EvaluationJob, evaluate_model, run_suite, suite_data
    from ahs_seg.io.overwrite import check_output_file
    from ahs_seg.io.precision import dtype_name, find_dtype
    from ahs_seg.metrics import Measures, ParentTable

    of_data, of_protocol = _of_data_and_protocol(overrides or [])
    of_one = {"--parents": parents, "--journal": journal, "--split": split, "--set data.KEY": of_data}
    _check_choice(data, suite, of_one)
    computing: dict[str, Any] = {"device": device, "dtype": dtype_name(find_dtype(dtype))}
    computing |= {"threads": threads, "cache": not no_cache}
    directory = find_model(model)
    description = read_description(directory)
    protocols = choose_protocols(protocol, description.inference, description.prompts, of_protocol)
    if suite is not None:
        folder = output or Path("runs") / f"{suite}-{directory.resolve().name}"
        found = run_suite(
            directory,
            suite_data(suite, root),
            protocols,
            folder,
            measures=Measures(boundary=boundary),
            processes=processes,
            say=say,
            **computing,
        )
        say(f"{score_table(found.reports)}\nwritten to {folder}")
        _end(found.reports, whole=not found.failed)
        return
    check_report_path(output)
    source = parse_data(data or "", split=split, count=count, root=root, overrides=of_data)
    check_output_file(output, [directory, parents, *source.places()])
    dataset = source.open()
    tell_findings(dataset, source.title)
    table = None if parents is None else ParentTable.load(parents, dataset.vocabulary, benchmark=source.title)
    job = EvaluationJob(
        model=directory,
        data=source,
        protocols=tuple(protocols),
        measures=Measures(boundary=boundary, parents=table),
        journal=journal,
        **computing,
    )
    _tell(evaluate_model(job, processes=processes), output)


def _of_data_and_protocol(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    of_data = [one for one in overrides if one.startswith("data.")]
    return of_data, [one for one in overrides if one not in of_data]


def _check_choice(data: str | None, suite: str | None, of_one_dataset: Mapping[str, object]) -> None:
    if (data is None) == (suite is None):
        raise OptionError("give either --data (one dataset) or --suite (several benchmarks).")
    if suite is not None:
        kept = " A suite keeps its own journal in its folder." * (of_one_dataset["--journal"] is not None)
        check_unused(of_one_dataset, f"for one dataset; give --data, not --suite, or leave it out.{kept}")


def _tell(reports: list, output: Path | None) -> None:  # type: ignore[type-arg]  # as below
    """Print the reports of a dataset, write them if there is an output, and end as `_end`."""
    from ahs_seg.evaluation import score_table

    say("\n".join(map(str, reports)))
    if len(reports) > 1:
        say(score_table(reports))
    if output is not None:
        say(save_reports(reports, output))
    _end(reports)


def _end(reports: list, *, whole: bool = True) -> None:  # type: ignore[type-arg]  # as below
    """End with the exit status 1 if an image was left out, or not all was evaluated that should be."""
    if not whole or any(report.failures for report in reports):
        raise typer.Exit(1)


def save_reports(reports: list, output: Path) -> str:  # type: ignore[type-arg]  # the type is imported with the command
    """Write one report as a JSON object, several as a list; returns a message with the path."""
    import json

    from ahs_seg.io.atomic import write_text

    if len(reports) == 1:
        reports[0].save(output)
    else:
        write_text(output, json.dumps([report.to_dict() for report in reports], indent=1) + "\n")
    return f"report: {output}"
