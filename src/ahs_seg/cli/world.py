"""`ahs-seg world`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ahs_seg.cli.output import say

app = typer.Typer(
    no_args_is_help=True, help="The drawn world: synthetic labelled scenes, and the tiny CLIP trained on it."
)


@app.command("draw")
def draw(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    names: Annotated[str, typer.Option(help="Vocabulary: seen, few, 20, 59, 150, 459 or 847.")] = "20",
    scenes: Annotated[str, typer.Option(help="Split: train, validation or test.")] = "train",
    count: Annotated[int, typer.Option(min=1, help="Number of scenes.")] = 20,
    size: Annotated[int, typer.Option(min=1, help="Side of a scene in pixels.")] = 96,
) -> None:
    """Write drawn scenes as a folder dataset: images, label maps, class list."""
    from ahs_seg.data.config import WorldData
    from ahs_seg.data.world.export import export_folder

    chosen: str | int = int(names) if names.isdecimal() else names
    data = WorldData.parse({"names": chosen, "scenes": scenes, "count": count, "size": size}, source="world draw")
    export_folder(data.open(), output, split=scenes)
    say(f"{count} scenes with {names} names: {output}")


@app.command("pretrain")
def pretrain(
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value overrides of the recipe")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder of the CLIP.")] = Path("runs/tiny_clip"),
) -> None:
    """Pre-train the tiny CLIP on captioned drawings and validate it; an interrupted run resumes."""
    from ahs_seg.training.tiny_clip.recipe import PretrainConfig
    from ahs_seg.training.tiny_clip.recipe import pretrain as run

    say(run(output, PretrainConfig.parse({}, overrides or [])).to_yaml())
