"""`ahs-seg world`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The drawn world: the tiny CLIP trained on it.")


@app.callback()
def group() -> None:
    """Keep `pretrain` a command of its own although it is the only one so far."""


@app.command("pretrain")
def pretrain(
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value of the recipe")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the CLIP is written.")] = Path("runs/tiny_clip"),
) -> None:
    """Pre-train the tiny CLIP on captioned drawings and validate it; a run that was cut off goes on where it was."""
    from ahs_seg.training.pretrain import PretrainConfig
    from ahs_seg.training.pretrain import pretrain as run

    typer.echo(run(output, PretrainConfig.parse({}, overrides or [])).to_yaml())
