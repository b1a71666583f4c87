"""Graphs written by the exporters, and run by the runtimes."""

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ahs_seg.checkpoints import ModelDescription
from ahs_seg.checkpoints.exporting import write
from ahs_seg.checkpoints.exporting.manifest import Format, read_manifest
from ahs_seg.checkpoints.exporting.parity import compare
from ahs_seg.checkpoints.exporting.sessions import OnnxSession, open_sessions
from ahs_seg.checkpoints.exporting.stages import ExportError, Stage
from ahs_seg.checkpoints.exporting.write import check_format, export_graphs
from ahs_seg.checkpoints.exporting.zero_shot import StagedZeroShot
from ahs_seg.config import Config
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.inference.windows import SlidingWindows
from ahs_seg.io.extras import Runtime
from ahs_seg.methods import METHODS, CatSegConfig, ScanConfig, ZeroShotConfig
from ahs_seg.segmenter import Segmenter
from ahs_seg.tuners import Frozen
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.every_method import SMALL_CONFIGS
from tests.support.exported import doubled, small
from tests.support.shape_checks import unchecked

SIZES = ((64, 64), (80, 110), (50, 40))
IMAGES = [np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]
RUNTIME_OF: dict[Format, Runtime] = {"onnx": "onnxruntime", "openvino": "openvino"}


def described(kind: type[Config], inference: InferenceConfig | None = None) -> Segmenter:
    config = SMALL_CONFIGS[kind]
    if "tuner" in type(config).model_fields:
        config = config.replace(tuner=Frozen())
    description = ModelDescription(method=config, inference=inference or InferenceConfig())
    return Segmenter(small(kind), description=description, inference=description.inference)


def names(count: int) -> Vocabulary:
    return Vocabulary.parse([f"thing {index}" for index in range(count)])


class Product(nn.Module):
    """Products of one image and any number of text embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(24, 12)

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        return images.flatten(1) @ self.layer(text).T


class OneProduct(StagedZeroShot):
    """One small graph, which takes an exporter no time."""

    module = Product()

    def stages(self) -> dict[str, Stage]:
        inputs = {"images": torch.rand(1, 3, 2, 2), "text": torch.rand(5, 24)}
        return {"head": Stage(self.module, inputs, ("logits",), {"text": {0: "classes"}})}


@pytest.mark.parametrize("form", ["torch-export", "onnx", pytest.param("openvino", marks=pytest.mark.slow)])
def test_graphs_take_any_number_of_texts(form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in {"torch-export": [], "onnx": ["onnxruntime"], "openvino": ["openvino"]}[form]:
        pytest.importorskip(package)
        pytest.importorskip("onnxscript")
    monkeypatch.setattr("ahs_seg.checkpoints.exporting.write.staged", OneProduct)
    segmenter = described(ZeroShotConfig)
    directory = segmenter.export(tmp_path / "model", form)
    assert "# model\n" in (directory / "README.md").read_text()
    manifest = read_manifest(directory, form)
    assert manifest.graphs["head"].inputs == ("images", "text")
    assert {path.name for path in (directory / form).iterdir()} == {
        "graphs.json",
        *(file.name for file in manifest.graphs["head"].files),
    }
    if form == "torch-export":
        return
    (session,) = open_sessions(directory / form, manifest.graphs, RUNTIME_OF[form]).values()
    for count in (1, 5, 9):
        inputs = {"images": torch.rand(1, 3, 2, 2), "text": torch.rand(count, 24)}
        with torch.no_grad():
            assert torch.allclose(session(inputs)["logits"], OneProduct.module(*inputs.values()), atol=1e-5)


@pytest.mark.slow
def test_a_program_of_torch_is_written_with_any_number_of_classes(tmp_path: Path) -> None:
    segmenter = described(ZeroShotConfig)
    with unchecked():
        directory = segmenter.export(tmp_path / "model", "torch-export")
    manifest = read_manifest(directory, "torch-export")
    assert [graph.files[0].name for graph in manifest.graphs.values()] == ["image.pt2", "head.pt2"]
    assert manifest.graphs["head"].inputs == ("dense", "text")
    again = Segmenter.from_pretrained(directory)  # it is a model directory as well
    assert (again(IMAGES[0], names(3)).labels == segmenter(IMAGES[0], names(3)).labels).all()


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(ExportError, match="'tflite' is not known; allowed are onnx, openvino, torch-export"):
        check_format("tflite")
    with pytest.raises(ExportError, match="int8 is written in the format onnx only, not in openvino"):
        check_format("openvino", int8=True)


def test_an_exporter_that_fails_names_the_graph_and_the_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("Failed.\nNo ONNX function found for aten.geqrf.default\nmore")

    monkeypatch.setattr(torch.export, "export", failing)
    with pytest.raises(ExportError, match=r"graph 'image' cannot be written as torch-export: .*aten\.geqrf"):
        described(ZeroShotConfig).export(tmp_path / "model", "torch-export")
    assert not (tmp_path / "model" / "torch-export").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.__name__)
def test_every_method_runs_in_every_runtime(kind: type[Config], tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    forms = [form for form, runtime in RUNTIME_OF.items() if find_spec(runtime)]
    square = InferenceConfig(windows=SlidingWindows(side=100, kernel=64))  # a size that every method's graphs have
    plain = described(kind, square)
    if kind is ScanConfig and "openvino" in forms:  # seen with 2026.4
        with (
            unchecked(),
            pytest.raises(ExportError, match="openvino computes the output 'embeddings' of the graph 'image'"),
        ):
            plain.export(tmp_path / "other", "openvino")
        assert not (tmp_path / "other" / "openvino").exists()
        forms.remove("openvino")
    with unchecked():
        directory = plain.export(tmp_path / "model", forms)
    for runtime in (RUNTIME_OF[form] for form in forms):
        found = Segmenter.from_pretrained(directory, runtime=runtime)
        for count in (1, 4, 20):
            parity = compare(plain, found, IMAGES, names(count), runtime=runtime, rounds=1)
            assert parity.score < 1e-4, parity
            assert parity.equal > 0.99, parity  # of a random network, many scores are equal but for rounding


@pytest.mark.slow
def test_names_are_baked_in_and_the_image_tower_has_8_bits(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    plain = described(CatSegConfig)
    with unchecked():
        directory = plain.export(tmp_path / "model", "onnx", classes="sky, road, tree", int8=True)
    manifest = read_manifest(directory, "onnx")
    assert (manifest.weights, manifest.classes) == ("int8", ("sky", "road", "tree"))
    assert manifest.baked is not None
    whole = OnnxSession(directory / "onnx" / manifest.baked.files[0].name, manifest.baked)
    images, words = torch.rand(1, 3, 64, 64), plain.encode(Vocabulary.parse("sky, road, tree"))
    with torch.no_grad():
        exact = plain.method(images, words).logits
    found = whole({"images": images})["logits"]
    assert (found - exact).abs().max() < 1e-4 * exact.abs().max()  # the baked graph is fp32
    sessions = open_sessions(directory / "onnx", manifest.graphs, "onnxruntime")
    dense = sessions["image"]({"images": images})["dense"]
    with torch.no_grad():
        plain_dense = plain.method.backbone.encode_image(images).dense
    error = float((dense - plain_dense).norm() / plain_dense.norm())
    assert 1e-3 < error < 0.3  # rounding of fp32 alone is far less
    graph = onnx.load(directory / "onnx" / manifest.graphs["image"].files[0].name).graph
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["MatMulInteger"] >= 4 * len(plain.method.backbone.model.vision_model.encoder.layers)


def test_a_graph_without_weights_in_its_products_is_not_called_8_bits(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    doubled(tmp_path / "image.onnx")
    with pytest.raises(ExportError, match="int8: the image tower has no matrix product that ONNX Runtime quantizes"):
        write._to_int8(tmp_path / "image.onnx")


@pytest.mark.slow
def test_names_are_not_baked_into_scan(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    segmenter = described(ScanConfig)
    directory = segmenter.save_pretrained(tmp_path / "model")
    text = segmenter.method.ensure_prepared(segmenter.encode(names(2)))
    with unchecked(), pytest.raises(ExportError, match="cannot be baked into the graphs of SCAN"):
        export_graphs(segmenter.method, directory, "torch-export", baked=(text, ("a", "b")))


class Tripled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 3 * x


def test_a_runtime_that_computes_something_else_is_noticed(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    graph = doubled(tmp_path / "graph.onnx")
    stage = Stage(Tripled(), {"x": torch.ones(3)}, ("y",), {})
    with pytest.raises(ExportError, match=r"onnxruntime computes the output 'y' of the graph 'image' .* by 0\.3 of"):
        write._check_numbers(tmp_path, "onnx", {"image": graph}, {"image": stage})


def test_outputs_that_are_no_numbers_are_noticed(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    graph = doubled(tmp_path / "graph.onnx")
    stage = Stage(Tripled(), {"x": torch.full((3,), torch.nan)}, ("y",), {})
    with pytest.raises(ExportError, match="by nan of its largest value"):
        write._check_numbers(tmp_path, "onnx", {"image": graph}, {"image": stage})


def test_an_export_that_fails_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = described(ZeroShotConfig)
    segmenter.save_pretrained(tmp_path / "out")
    (tmp_path / "out" / "onnx").mkdir()
    (tmp_path / "out" / "onnx" / "head.onnx").write_bytes(b"a graph")

    def failing(*words: object, **options: object) -> None:
        raise ExportError("no such operator")

    monkeypatch.setattr(write, "export_graphs", failing)
    with pytest.raises(ExportError, match="no such operator"):
        segmenter.export(tmp_path / "out", "torch-export")
    assert (tmp_path / "out" / "onnx" / "head.onnx").read_bytes() == b"a graph"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
