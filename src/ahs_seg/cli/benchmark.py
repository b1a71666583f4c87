"""`ahs-seg benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from ahs_seg.cli.options import OptionError, check_report_path, check_unused, parse_numbers
from ahs_seg.cli.output import say

AS_IT_IS = "as-it-is"
ALLOCATORS = ("both", "default", "keeping", AS_IT_IS)


def command(  # a command line has many options
    model: Annotated[
        str | None, typer.Argument(help="A model directory or known checkpoint; default: random weights, see below.")
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(help="Without MODEL: CAT-Seg with random weights of this size, vit-b16 (default) or vit-l14."),
    ] = None,
    words: Annotated[
        str | None, typer.Option(help="Numbers of words, separated by commas; default: 20,150,847,10000.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "fp32",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of PyTorch; default: as it chooses.")] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Turns of each part; medians are shown. Default: 5.")
    ] = None,
    allocator: Annotated[
        str, typer.Option(help="C allocator: both settings in a process each, default, keeping, or as-it-is.")
    ] = "both",
    quick: Annotated[bool, typer.Option("--quick", help="One turn, 20 and 150 words.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what was measured to a file.")] = None,
) -> None:
    """Time image tower, text, head and merging by number of words, beside what this machine could do."""
    import json

    from ahs_seg.checkpoints.training_free import PREFIX
    from ahs_seg.evaluation.speed import checked_architecture
    from ahs_seg.io.atomic import write_text
    from ahs_seg.io.devices import find_device
    from ahs_seg.io.overwrite import check_output_file
    from ahs_seg.io.precision import check_precision, find_dtype
    from ahs_seg.io.provenance import provenance

    if allocator not in ALLOCATORS:
        raise OptionError(f"--allocator is {allocator!r}; allowed are {', '.join(ALLOCATORS)}.")
    if model is not None and architecture is not None:
        raise OptionError(f"--architecture {architecture!r} is for a model with random weights; leave it or MODEL out.")
    size = checked_architecture(architecture or "vit-b16")
    check_precision(find_dtype(dtype), find_device(device))
    check_report_path(json_file, "--json")
    check_output_file(json_file, [Path(model.removeprefix(PREFIX)) if model else None])
    if quick:
        check_unused({"--words": words, "--rounds": rounds}, "--quick sets it; leave one of them out.")
    counts = parse_numbers(words or ("20,150" if quick else "20,150,847,10000"), "--words")
    if min(counts) < 1:
        raise OptionError(f"--words is {words!r}; give numbers of at least 1, e.g. 20,150.")
    settings = ("default", "keeping") if allocator == "both" else (allocator,)
    asked = _Asked(model, size, counts, dtype, device, threads, rounds or (1 if quick else 5))
    found: dict[str, Any] = {}
    for name in settings:
        found[name] = _here(asked) if name == AS_IT_IS else _in_a_child(name, asked)
        say(f"allocator {name}:")
        for line in found[name]["table"]:
            say(line)
    if json_file is not None:
        record = {
            "model": model or size,
            "allocators": found,
            "provenance": provenance().model_dump(mode="json"),
        }
        write_text(json_file, json.dumps(record, indent=1) + "\n")


class _Asked(NamedTuple):
    """What is measured: a model, or one with random weights of this architecture."""

    model: str | None
    architecture: str
    words: tuple[int, ...]
    dtype: str
    device: str
    threads: int | None
    rounds: int


def _here(asked: _Asked) -> dict[str, Any]:
    """Measure in this process."""
    from ahs_seg.cli.output import others_on_stderr
    from ahs_seg.evaluation.speed import measure_parts, random_model, table
    from ahs_seg.inference.text_cache import TextCache
    from ahs_seg.io.cores import use_threads
    from ahs_seg.io.devices import find_device
    from ahs_seg.segmenter import Segmenter

    use_threads(asked.threads)
    with others_on_stderr():
        if asked.model is None:
            segmenter = random_model(asked.architecture)
        else:
            segmenter = Segmenter.from_pretrained(asked.model, cache=TextCache())  # what is timed is not read from disk
        segmenter.to(find_device(asked.device), asked.dtype)
        result = measure_parts(segmenter, asked.words, rounds=asked.rounds, dtype=asked.dtype)
    return {**result, "table": list(table(result))}


def _in_a_child(name: str, asked: _Asked) -> dict[str, Any]:
    """Measure in a process of its own, whose C allocator is set by its environment."""
    import json
    import os
    import subprocess
    import sys
    import tempfile

    from ahs_seg.evaluation.machine import ALLOCATORS as VARIABLES

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "measured.json"
        options: dict[str, object] = {"architecture": asked.architecture} if asked.model is None else {}
        options |= {
            "words": ",".join(map(str, asked.words)),
            "dtype": asked.dtype,
            "device": asked.device,
        }
        options |= {"rounds": asked.rounds, "allocator": AS_IT_IS, "json": file}
        options |= {} if asked.threads is None else {"threads": asked.threads}
        line = [sys.executable, "-m", "ahs_seg", "benchmark", *([] if asked.model is None else [asked.model])]
        line += [word for key, value in options.items() for word in (f"--{key}", str(value))]
        environment = {key: value for key, value in os.environ.items() if key not in VARIABLES["keeping"]}
        done = subprocess.run(  # noqa: S603  # the same command with checked options
            line, env={**environment, **VARIABLES[name]}, stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            raise typer.Exit(done.returncode)
        measured: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["allocators"][AS_IT_IS]
    return measured
