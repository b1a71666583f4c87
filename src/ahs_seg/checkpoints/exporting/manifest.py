"""The list of exported graphs in a model directory, checked before any of them is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from ahs_seg.checkpoints.exporting.stages import ExportError
from ahs_seg.checkpoints.model_dir import model_digest
from ahs_seg.config import VERSION, Config, ConfigError
from ahs_seg.documents import DocumentError, read_mapping
from ahs_seg.io.atomic import write_text
from ahs_seg.io.digest import file_digest

Format = Literal["onnx", "openvino", "torch-export"]
FORMATS: Final[tuple[Format, ...]] = ("onnx", "openvino", "torch-export")
MANIFEST: Final = "graphs.json"
MOST_BYTES: Final = 2**31 - 1
"""Size of one file: an ONNX file holds its weights itself, and its format (protobuf) ends there."""

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}\.(onnx|xml|bin|pt2)$")]


class GraphFile(Config):
    """One file of a graph: its name in the folder, size and SHA-256."""

    name: _Name
    size: Annotated[int, Field(ge=0, le=MOST_BYTES)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Graph(Config):
    """One graph: its files, the first of which a runtime opens, and the names of its inputs and outputs, in order."""

    files: Annotated[tuple[GraphFile, ...], Field(min_length=1, max_length=2)]
    inputs: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    outputs: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]


class Manifest(Config):
    """Content of `graphs.json` of a folder of graphs.

    `model` is the digest of the model directory that they belong to, `fixed` are the settings of the method that are
    part of the graphs, `weights` the type of the weights of the image tower. `baked` is the graph with names baked in,
    for other programs, whose names are `classes`.
    """

    version: str = VERSION
    format: Format
    model: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    fixed: dict[str, int] = Field(default_factory=dict, max_length=16)
    weights: Literal["fp32", "int8"] = "fp32"
    graphs: Annotated[dict[str, Graph], Field(min_length=1, max_length=8)]
    baked: Graph | None = None
    classes: tuple[str, ...] = ()


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `graphs.json` of a folder of graphs."""
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2))


def listed_file(path: Path) -> GraphFile:
    """The entry of a file that has been written.

    Raises:
        ExportError: it is too large for its format.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ExportError(
            f"{path.name} has {size} bytes; a graph file has at most {MOST_BYTES}. Export a smaller model."
        )
    return GraphFile(name=path.name, size=size, sha256=file_digest(path))


def read_manifest(directory: Path, kind: Format) -> Manifest:
    """The list of the graphs of one format in a model directory, compared with its files and its model.

    Raises:
        ExportError: there are none, a file is missing or changed, or they belong to another model.
    """
    folder = directory / kind
    again = f"Write them with `ahs-seg export {directory} --format {kind} -o DIRECTORY`."
    try:
        manifest = Manifest.parse(read_mapping(folder / MANIFEST), source=str(folder / MANIFEST))
    except (FileNotFoundError, NotADirectoryError):
        raise ExportError(f"{directory} has no {kind} graphs. {again}") from None
    except (OSError, DocumentError, ConfigError) as error:
        raise ExportError(str(error)) from None
    if manifest.format != kind:
        raise ExportError(f"{folder / MANIFEST} lists {manifest.format} graphs in the folder {kind}. {again}")
    if manifest.model != model_digest(directory):
        raise ExportError(f"the graphs in {folder} belong to another model than {directory}. {again}")
    for graph in manifest.graphs.values():
        for file in graph.files:
            _check_file(folder / file.name, file, again)
    return manifest


def _check_file(path: Path, file: GraphFile, again: str) -> None:
    if path.is_symlink() or not path.is_file():
        raise ExportError(f"{path} is missing, or a link; copy the whole directory. {again}")
    if path.stat().st_size != file.size or file_digest(path) != file.sha256:
        raise ExportError(f"{path} is damaged: it is not the file that was exported. {again}")
