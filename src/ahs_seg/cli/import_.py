"""`ahs-seg import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ahs_seg.cli.options import check_unused
from ahs_seg.cli.output import say


def command(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="A .pth or .safetensors file, an OpenAI CLIP archive, a known name such as cat-seg-vitb, or a yaml "
            "config of the original code."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Model directory to write (for a config, a yaml file).")
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            "--as", help="Method of the checkpoint, such as cat_seg, or clip; default: recognised by its keys."
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="CLIP's tokenizer.json or bpe_simple_vocab_16e6.txt.gz; default: from the hub.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Original yaml config of the training, if it is not the published one.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY.SUB=value overrides of the original config, as for the original scripts."),
    ] = None,
    trained_on: Annotated[
        str | None, typer.Option(help="Class names used in training: coco-stuff-171, or a text file.")
    ] = None,
    shifted: Annotated[
        Path | None,
        typer.Option(help="SCAN: file of the fine-tuned CLIP, if the checkpoint holds only the first stage."),
    ] = None,
    heads: Annotated[
        int | None,
        typer.Option(min=1, help="Attention heads of CLIP's image tower, if origin and sizes of the file do not tell."),
    ] = None,
    text_heads: Annotated[int | None, typer.Option(min=1, help="The same for the text tower.")] = None,
    activation: Annotated[
        Literal["gelu", "quick_gelu"] | None,
        typer.Option(help="Activation of CLIP, which files in the layout of open_clip do not tell."),
    ] = None,
    keys: Annotated[bool, typer.Option("--keys", help="List the mapping of every key.")] = False,
) -> None:
    """Convert an original checkpoint to a model directory, without executing code in it; or translate a config."""
    from ahs_seg.checkpoints.acquire import fetch_known
    from ahs_seg.checkpoints.importing.convert_config import translate_config
    from ahs_seg.checkpoints.importing.run import ClipSettings, import_checkpoint
    from ahs_seg.checkpoints.known import find_known
    from ahs_seg.checkpoints.training_free import PREFIX, save_training_free
    from ahs_seg.io.overwrite import check_holds_none
    from ahs_seg.io.reach import from_home
    from ahs_seg.vocabulary.vocabulary import Vocabulary

    of_models: dict[str, object] = {
        "--as": kind,
        "--tokenizer": tokenizer,
        "--trained-on": trained_on,
        "--shifted": shifted,
    }
    of_models |= {"--heads": heads, "--text-heads": text_heads, "--activation": activation, "--keys": keys}
    if checkpoint.endswith((".yaml", ".yml")):
        check_unused(of_models | {"--config": config}, "for a checkpoint, and this is a config; leave it out.")
        _translate(checkpoint, output, overrides or [])
        return
    if checkpoint.startswith(PREFIX):
        given = of_models | {"--config": config, "--set": overrides}
        check_unused(given, f"for a checkpoint, and {checkpoint} is read as it is; leave it out.")
        say(f"model: {save_training_free(checkpoint.removeprefix(PREFIX), output)}")
        return
    if config is None:
        check_unused({"--set": overrides}, "overrides the original config; give it with --config, or leave --set out.")
    description, path, chosen = None, Path(checkpoint), kind
    known = find_known(checkpoint)
    if known is not None and not path.exists():
        description, path, chosen = known.description(), fetch_known(checkpoint), chosen or known.method
    if config is not None:
        translation = translate_config(config, overrides or [])
        say(f"{config}:\n{translation}")
        description = translation.description()
        chosen = chosen or description.method.name
    check_holds_none(output, [path, *(from_home(each) for each in (config, trained_on) if each)])
    classes = None if trained_on is None else Vocabulary.parse(trained_on)
    report = import_checkpoint(
        path,
        chosen,
        output,
        description=description,
        tokenizer=tokenizer,
        trained_on=classes,
        shifted=shifted,
        clip=ClipSettings(heads=heads, text_heads=text_heads, activation=activation),
    )
    say(report.listing() if keys else str(report))
    say(f"model: {output}")


def _translate(config: str, output: Path, overrides: list[str]) -> None:
    """Write the translation of an original config, which replaces neither it nor one of its bases."""
    from ahs_seg.checkpoints.importing.convert_config import translate_config
    from ahs_seg.checkpoints.importing.detectron2_yaml import config_files
    from ahs_seg.io.atomic import write_text
    from ahs_seg.io.overwrite import check_output_file

    check_output_file(output, config_files(config))
    translation = translate_config(config, overrides)
    write_text(output, translation.to_yaml())
    say(f"{config} -> {output}\n{translation}")
