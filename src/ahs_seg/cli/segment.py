"""`ahs-seg segment`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ahs_seg.cli.completion import known_list, output_format
from ahs_seg.cli.options import DeviceOption, DtypeOption, NoCacheOption, OptionError, ThreadsOption, parse_formats
from ahs_seg.cli.output import others_on_stderr, say, say_json
from ahs_seg.io.extras import Runtime

OVERLAY_FORMATS = ("png", "jpg", "webp")
FORMATS = "png, overlay, coco, yolo, npz, geotiff, labelstudio, cvat, video"


def command(  # noqa: PLR0913  # a command line has many options
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUTS",
            help="Images, videos, folders (searched recursively), glob patterns in quotes, addresses (https://...), "
            "- for standard input.",
        ),
    ],
    classes: Annotated[
        list[str],
        typer.Option(
            "--classes",
            "-c",
            help='"cat, sofa, lamp", a file (txt, csv, json, yaml), or a known list (ade20k-150); several add up.',
            autocompletion=known_list,
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="A model or run directory, a known checkpoint (`ahs-seg models`), owner/name or clip:owner/name on "
            "the hub. The default is downloaded at its first use.",
        ),
    ] = "cat-seg-vitb",
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder for the results.")] = Path("segmented"),
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help=f"Output format, may be repeated: {FORMATS}. Default: png and overlay.",
            autocompletion=output_format,
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(help='"wall, floor": names of everything else, which become one class "background".'),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Write this many classes for every pixel, with scores (format npz).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Skip images that are done and unchanged.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON document.")] = False,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Views per forward pass; default: as the model's config says.")
    ] = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "fp32",
    threads: ThreadsOption = None,
    no_cache: NoCacheOption = False,
    runtime: Annotated[
        Runtime, typer.Option(help="torch, or onnxruntime or openvino for what `ahs-seg export` has written.")
    ] = "torch",
    every: Annotated[int, typer.Option(min=1, help="Segment every n-th frame of videos.")] = 1,
    tile: Annotated[
        bool, typer.Option("--tile", help="Segment images of any size at full resolution, in tiles.")
    ] = False,
    tile_size: Annotated[
        int | None, typer.Option(min=1, help="Side of a tile in pixels; default: 5/3 of the model's resolution.")
    ] = None,
    tile_overlap: Annotated[
        float | None,
        typer.Option(help="Smallest overlap of neighbouring tiles, as a share of a tile; default: a third."),
    ] = None,
    unknown_below: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Pixels with a confidence below this, in [0, 1], are unknown: they get no class."
        ),
    ] = None,
    no_names: Annotated[
        bool, typer.Option("--no-names", help="Leave the names of classes off the regions of overlays.")
    ] = False,
    no_legend: Annotated[bool, typer.Option("--no-legend", help="Leave the legend of overlays out.")] = False,
    overlay_format: Annotated[
        str, typer.Option(help="Files of overlays: png (exact), jpg (quick and small) or webp (smallest).")
    ] = "png",
    engine: Annotated[str, typer.Option(help="local, or ray for a Ray cluster (extra scale).")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="Number of Ray workers; default: 1.")] = None,
) -> None:
    """Label every pixel of images and videos with one of the classes you name, in the formats you choose."""
    from dataclasses import replace

    from ahs_seg.batch import (
        BatchConfig,
        ModelSource,
        check_packages,
        engine_for,
        fetched,
        list_sources,
        segment_files,
    )
    from ahs_seg.vocabulary.vocabulary import Vocabulary, background_names

    tiles = {"size": tile_size, "overlap": tile_overlap}
    given = {key: value for key, value in tiles.items() if value is not None}
    if given and not tile:
        raise OptionError("--tile-size and --tile-overlap apply only with --tile; give --tile as well.")
    written = parse_formats(formats or ["png", "overlay"], FORMATS.split(", "))
    if top_k is not None and ("npz" not in written or tile):
        raise OptionError("--top-k is written to npz files, from whole images; give --format npz, and no --tile.")
    if unknown_below is not None and tile:
        raise OptionError("--unknown-below is for whole images; leave it or --tile out.")
    settings: dict[str, object] = {"formats": written, "every": every, "tiles": given if tile else None, "top_k": top_k}
    settings["unknown_below"] = unknown_below
    if overlay_format not in OVERLAY_FORMATS:
        raise OptionError(f"--overlay-format is {overlay_format!r}; allowed are {', '.join(OVERLAY_FORMATS)}.")
    settings["overlay"] = {"names": not no_names, "legend": not no_legend, "file_format": overlay_format}
    config = BatchConfig.parse(settings, source="options")
    vocabulary = Vocabulary.join(classes)
    if background is not None:
        vocabulary = vocabulary.with_background(background_names(background))
    source = ModelSource(model, device, batch, dtype, threads, cache=not no_cache, runtime=runtime)
    run_on = engine_for(engine, source, workers=workers)
    with fetched(inputs, getattr(sys.stdin, "buffer", None)) as (files, failed):
        sources = replace(list_sources(files, output=output), unreachable=tuple(failed))
        check_packages(sources, config)
        with others_on_stderr():
            segmenter = (source if run_on is None else replace(source, device="cpu")).load()
            summary = segment_files(segmenter, sources, vocabulary, output, config=config, resume=resume, engine=run_on)
    if as_json:
        say_json({"model": model, "engine": engine, **summary.to_dict()})
    else:
        say("\n".join(summary.lines()))
    if summary.failures:
        raise typer.Exit(1)
