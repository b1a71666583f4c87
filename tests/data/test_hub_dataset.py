"""Datasets of the hub, from a server on this machine, from the cache without one, and from a folder."""

import io
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from ahs_seg.data import hub_dataset
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.config import parse_data
from ahs_seg.data.hub_dataset import HubData, HubDataset, HubDatasetError
from ahs_seg.errors import MissingPackageError, SampleError
from ahs_seg.types import IGNORE
from tests.support.datasets import notices
from tests.support.hub_server import Hub

VALUES = np.array([[0, 1, 2], [2, 255, 1]], np.uint8)
NAMES = b'{"0": "unlabeled", "1": "road", "2": "tree, plant"}'


def coded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def table(labels: bytes, **more: object) -> datasets.Dataset:
    """Two rows with an image, a label map and a word."""
    image = {"bytes": coded(np.full((2, 3, 3), 9, np.uint8)), "path": None}
    row = {"image": image, "annotation": {"bytes": labels, "path": None}, "scene": "street", **more}
    features = {"image": datasets.Image(), "annotation": datasets.Image(), "scene": datasets.Value("string")}
    features |= dict.fromkeys(more, datasets.Image())
    return datasets.Dataset.from_list([row, row], features=datasets.Features(features))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    """Files of a dataset on the hub."""
    table(coded(VALUES)).to_parquet(tmp_path / "a.parquet")
    return {"data/train-00000-of-00001.parquet": (tmp_path / "a.parquet").read_bytes(), "id2label.json": NAMES}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    datasets.disable_progress_bars()
    yield tmp_path / "datasets"
    datasets.enable_progress_bars()


@pytest.fixture
def online(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub on this machine that `datasets` talks to."""
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.address)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    return hub


def test_a_dataset_of_the_hub_is_loaded_once_and_then_offline(
    online: Hub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    online.repositories["datasets/me/scenes"] = files
    data = parse_data("hf:me/scenes", split="train")
    assert data == HubData(dataset="me/scenes")
    dataset = data.open()
    assert isinstance(dataset, SegmentationDataset)
    assert dataset.vocabulary.labels == ["road", "tree, plant"]
    assert dataset[1].labels.tolist() == [[IGNORE, 0, 1], [1, IGNORE, 0]]
    assert dataset[1].name == "row-000001"
    assert dataset[1].image.shape == (2, 3, 3)
    assert dataset.name == "hf:me/scenes/train"
    asked = len(online.requests)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert (data.open()[0].labels == dataset[0].labels).all()
    assert len(online.requests) == asked


def test_names_that_cannot_be_fetched_are_not_taken_for_missing_ones(
    online: Hub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError("503 Service Unavailable")

    online.repositories["datasets/me/scenes"] = files
    named = HubData(dataset="me/scenes", classes=("sky", "road"))
    with monkeypatch.context() as patched:
        patched.setattr("ahs_seg.io.hub.hf_hub_download", unreachable)
        with pytest.raises(HubDatasetError, match=r"me/scenes: it is not known .*id2label\.json .*\(503 .* Try again"):
            named.open()
    assert named.open()[0].labels.tolist() == [[IGNORE, 1, IGNORE], [IGNORE, IGNORE, 1]]
    online.repositories["datasets/me/plain"] = {name: file for name, file in files.items() if name != "id2label.json"}
    listed = HubData(dataset="me/plain", classes=("a", "b"), offset=1).open()
    assert listed[0].labels.tolist() == [[IGNORE, 0, 1], [1, IGNORE, 0]]


def test_a_dataset_with_code_of_its_own_is_refused(online: Hub) -> None:
    online.repositories["datasets/me/scenes"] = {"scenes.py": b"raise SystemExit"}
    with pytest.raises(HubDatasetError, match=r"split 'train' cannot be loaded \(.*scripts are no longer"):
        HubData(dataset="me/scenes").open()


def test_a_folder_of_files_and_a_class_list(tmp_path: Path, files: dict[str, bytes], cache: Path) -> None:
    folder = tmp_path / "repository"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    named = HubData(dataset=f"hf:{folder}", unlabelled="rest").open()
    assert named.vocabulary.labels == ["road", "tree, plant", "rest"]
    assert named[0].labels.tolist() == [[2, 0, 1], [1, 2, 0]]
    (folder / "id2label.json").unlink()
    with pytest.raises(HubDatasetError, match=r"has no id2label\.json, .*data\.classes=ade20k-150"):
        HubData(dataset=str(folder)).open()
    listed = HubData(dataset=str(folder), classes=("a", "b"), offset=1).open()
    assert listed[0].labels.tolist() == [[IGNORE, 0, 1], [1, IGNORE, 0]]
    (arrow,) = cache.rglob("*.arrow")
    assert notices(HubData(dataset=str(folder), classes=("a", "b"), offset=1), arrow)
    with pytest.raises(HubDatasetError, match="split 'sunny' cannot be loaded"):
        HubData(dataset=str(folder), split="sunny").open()


def test_255_is_a_class_in_files_of_8_bits_if_a_name_has_this_value() -> None:
    names = tuple(f"class {index}" for index in range(256))
    rows = table(coded(VALUES))
    assert HubDataset(rows, "t", names=names)[0].labels.tolist() == VALUES.tolist()
    assert HubDataset(rows, "t", names=names, ignore=255)[0].labels.tolist() == [[0, 1, 2], [2, IGNORE, 1]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (coded(VALUES + 7), r"row 0, annotation: label value 6, 7, 8, 9; the names allow 0\.\.1 and 255 \(ignored\)"),
        (coded(VALUES, "JPEG"), "row 0, annotation: empty, or not in a supported format"),
        (coded(VALUES[:1] % 2), "label map is 3x1, its image 3x2"),
        (coded(np.zeros((2, 3, 3), np.uint8)), "mode RGB; a label map has one number per pixel"),
    ],
)
def test_a_bad_row_costs_that_row(labels: bytes, message: str) -> None:
    dataset = HubDataset(table(labels), "t", names=("a", "b"))
    with pytest.raises(SampleError, match=message):
        dataset[0]
    with pytest.raises(IndexError, match="row 2 does not exist"):
        dataset[2]


def test_files_that_are_not_here_are_not_fetched() -> None:
    gone = datasets.Dataset.from_list(
        [{"image": {"bytes": None, "path": "https://example.com/a.png"}, "mask": {"bytes": b"", "path": None}}],
        features=datasets.Features({"image": datasets.Image(), "mask": datasets.Image()}),
    )
    with pytest.raises(SampleError, match="row 0: has no image; its file is not on this machine"):
        HubDataset(gone, "t", names=("a",))[0]


def test_columns_are_named_where_they_are_not_clear() -> None:
    third = {"bytes": coded(np.zeros((2, 3, 3), np.uint8)), "path": None}
    rows = table(coded(VALUES), depth=third)
    with pytest.raises(HubDatasetError, match=r"columns of images are image, annotation, depth; .*data\.image=COLUMN"):
        HubDataset(rows, "t", names=("a", "b", "c"))
    assert HubDataset(rows, "t", image="image", names=("a", "b", "c"))[0].labels.max() == 2


def test_names_files_and_packages_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HubDatasetError, match="allowed are hf:owner/name"):
        HubData(dataset="a b").open()
    monkeypatch.setattr(datasets, "__version__", "3.6.0")
    with pytest.raises(HubDatasetError, match=r"datasets 3\.6\.0 may run code of a dataset; install datasets>=4"):
        HubData(dataset="me/scenes").open()
    monkeypatch.setattr("ahs_seg.io.extras.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"ahs-seg\[hf\]"):
        HubData(dataset="me/scenes").open()
    for content in ("[]", '{"a": "b"}', '{"0": 1}', "{"):
        (tmp_path / "id2label.json").write_text(content)
        with pytest.raises(HubDatasetError, match="id2label"):
            hub_dataset._names(str(tmp_path))
