"""`ahs-seg export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ahs_seg.cli.completion import known_list
from ahs_seg.cli.options import OptionError, check_model_path
from ahs_seg.cli.output import say, say_json


def command(
    model: Annotated[str, typer.Argument(help="A model or run directory, a known checkpoint, owner/name on the hub.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Model directory to write, with the graphs in it.")],
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="onnx, openvino or torch-export; may be repeated. Default: onnx."),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--classes",
            "-c",
            help="Write one more graph with these names baked in, for programs without this package.",
            autocompletion=known_list,
        ),
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option("--images", help="Images to compare the graphs with PyTorch on; default: a drawn scene."),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Image tower in 8 bits (onnx only).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a model for ONNX Runtime or OpenVINO, with any class names; compare it with PyTorch."""
    from ahs_seg.checkpoints.exporting.manifest import FORMATS
    from ahs_seg.checkpoints.exporting.parity import compare
    from ahs_seg.checkpoints.exporting.sessions import RUNTIMES
    from ahs_seg.checkpoints.model_dir import check_model_place
    from ahs_seg.data.world.dataset import TEST_SEED, WorldDataset
    from ahs_seg.io.images import read_image
    from ahs_seg.segmenter import Segmenter
    from ahs_seg.vocabulary.vocabulary import Vocabulary

    chosen = list(dict.fromkeys(formats or ["onnx"]))
    if wrong := [name for name in chosen if name not in FORMATS]:
        raise OptionError(f"--format {wrong[0]!r} is not known; formats are {', '.join(FORMATS)}.")
    check_model_path(output)
    check_model_place(output, [Path(model), *(images or ())])
    shown = [read_image(path) for path in images or ()]
    plain = Segmenter.from_pretrained(model, device="cpu")
    baked = None if classes is None else Vocabulary.join(classes)
    plain.export(output, [name for name in FORMATS if name in chosen], classes=baked, int8=int8)
    scenes = WorldDataset(seed=TEST_SEED, count=1, names=20)
    shown = shown or [scenes[0].image]
    vocabulary = baked or scenes.vocabulary
    found = []
    for runtime, (_, kind) in RUNTIMES.items():
        if kind in chosen:
            exported = Segmenter.from_pretrained(output, runtime=runtime)  # type: ignore[arg-type]  # a key of RUNTIMES
            found.append(compare(plain, exported, shown, vocabulary, runtime=runtime))
    if as_json:
        say_json({"model": str(output), "formats": chosen, "parity": [one.to_dict() for one in found]})
        return
    say("\n".join(map(str, found)) or "torch-export: written; it is not run by this package, which loads no pickles")
    say(f"model: {output}")
