"""The list of graphs, and what is found before one is opened."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.checkpoints.exporting.manifest import MANIFEST, Graph, Manifest, listed_file, read_manifest, write_manifest
from ahs_seg.checkpoints.exporting.stages import ExportError
from ahs_seg.checkpoints.model_dir import model_digest
from ahs_seg.methods import ZeroShotConfig
from tests.support.builders import random_backbone
from tests.support.every_method import SMALL_CONFIGS


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A model directory with one graph, whose content is not read here."""
    config = SMALL_CONFIGS[ZeroShotConfig]
    save_model(config.compose(random_backbone()), ModelDescription(method=config), tmp_path / "model")
    folder = tmp_path / "model" / "onnx"
    folder.mkdir()
    (folder / "image.onnx").write_bytes(b"a graph")
    graph = Graph(files=(listed_file(folder / "image.onnx"),), inputs=("images",), outputs=("dense",))
    digest = model_digest(tmp_path / "model")
    write_manifest(Manifest(format="onnx", model=digest, graphs={"image": graph}), folder)
    return tmp_path / "model"


def test_what_was_written_is_read(directory: Path) -> None:
    manifest = read_manifest(directory, "onnx")
    assert manifest.graphs["image"].files[0].size == len(b"a graph")
    with pytest.raises(ExportError, match=r"has no openvino graphs\. Write them with `ahs-seg export"):
        read_manifest(directory, "openvino")


def rewritten(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        values = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps(values | changes))

    return change


def longer(folder: Path) -> None:
    (folder / "image.onnx").write_bytes(b"a graph that is longer")


def other_bytes(folder: Path) -> None:
    (folder / "image.onnx").write_bytes(b"A GRAPH")


def linked(folder: Path) -> None:
    (folder / "image.onnx").rename(folder.parent / "elsewhere")
    (folder / "image.onnx").symlink_to(folder.parent / "elsewhere")


def named(name: str, size: int = 7) -> dict[str, object]:
    file = {"name": name, "size": size, "sha256": "0" * 64}
    return {"image": {"files": [file], "inputs": ["x"], "outputs": ["y"]}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (longer, "is damaged"),
        (other_bytes, "is damaged"),
        (linked, "missing, or a link"),
        (lambda folder: (folder / "image.onnx").unlink(), "missing, or a link"),
        (rewritten(model="0" * 64), "belong to another model"),
        (rewritten(format="openvino"), "lists openvino graphs in the folder onnx"),
        (rewritten(graphs=named("../../image.onnx")), "String should match pattern"),
        (rewritten(graphs=named("image.onnx", 2**40)), "less than or equal to"),
        (rewritten(program="rm"), "unknown key"),
        (lambda folder: (folder / MANIFEST).write_text("["), "is not readable as JSON"),
    ],
    ids=["longer", "changed", "link", "missing", "model", "format", "outside", "size", "key", "text"],
)
def test_what_does_not_belong_together_is_refused(
    directory: Path, change: Callable[[Path], None], message: str
) -> None:
    change(directory / "onnx")
    with pytest.raises(ExportError, match=message):
        read_manifest(directory, "onnx")


def test_graphs_of_changed_weights_are_refused(directory: Path) -> None:
    config = SMALL_CONFIGS[ZeroShotConfig]
    method = config.compose(random_backbone(seed=1))
    assert not torch.equal(next(method.parameters()), next(config.compose(random_backbone()).parameters()))
    graphs = directory / "onnx"
    kept = {path.name: path.read_bytes() for path in graphs.iterdir()}
    save_model(method, ModelDescription(method=config), directory)
    graphs.mkdir()
    for name, content in kept.items():
        (graphs / name).write_bytes(content)
    with pytest.raises(ExportError, match="belong to another model"):
        read_manifest(directory, "onnx")
