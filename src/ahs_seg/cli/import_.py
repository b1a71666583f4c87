"""`ahs-seg import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

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
    from ahs_seg.io.atomic import write_text
    from ahs_seg.io.overwrite import check_holds_none, check_output_file
    from ahs_seg.vocabulary.vocabulary import Vocabulary

    if checkpoint.endswith((".yaml", ".yml")):
        check_output_file(output, [Path(checkpoint)])
        translation = translate_config(checkpoint, overrides or [])
        write_text(output, translation.to_yaml())
        say(f"{checkpoint} -> {output}\n{translation}")
        return
    if checkpoint.startswith(PREFIX):
        say(f"model: {save_training_free(checkpoint.removeprefix(PREFIX), output)}")
        return
    description, path = None, Path(checkpoint)
    chosen = kind
    known = find_known(checkpoint)
    if known is not None and not path.exists():
        description, path, chosen = known.description(), fetch_known(checkpoint), chosen or known.method
    if config is not None:
        translation = translate_config(config, overrides or [])
        say(f"{config}:\n{translation}")
        description = translation.description()
        chosen = chosen or description.method.name
    check_holds_none(output, [path, *(Path(each) for each in (config, trained_on) if each)])
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
