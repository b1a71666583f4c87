"""Every row of the table of what users of other libraries expect: its code runs, and gives what is expected of it."""

import copy
import io
import json
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision
import torch
from PIL import Image, ImageShow
from transformers import AutoModel, AutoProcessor, pipeline

from ahs_seg import AhsSegModel, ModelDescription, Segmentation, Segmenter, save_model
from tests.support.drawn_images import drawn
from tests.support.fiftyone_stand_in import StandIn, install
from tests.support.small_methods import SHORT, h_clip

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
TABLE = PAGE[PAGE.index("## What you may be used to") :]
ROWS = re.findall(r"(?m)^\| ([^|`]+) \| `([^`]+)` \| `([^`]+)` \|$", TABLE)
CLASSES = ["lawn", "brick wall", "sky"]
World = dict[str, Any]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, method = h_clip()
    folder = tmp_path_factory.mktemp("page")
    for name in ("scene.jpg", "b.jpg"):
        (folder / "photos").mkdir(exist_ok=True)
        Image.fromarray(drawn(24, 30)).save(folder / "photos" / name)
    save_model(method, ModelDescription(method=config, prompts=SHORT), folder / "model")
    return folder


@pytest.fixture(scope="module")
def lent(directory: Path) -> World:
    """What every row may use and no row changes for the next one: weights, words that are encoded, a result."""
    segmenter = Segmenter.from_pretrained(directory / "model", device="cpu")
    path = directory / "photos" / "scene.jpg"
    model = str(directory / "model")
    processor = AutoProcessor.from_pretrained(model)
    network = AutoModel.from_pretrained(model)
    pixels = np.asarray(Image.open(path))
    return {
        **{"segmenter": segmenter, "result": segmenter(path, CLASSES), "classes": CLASSES, "model": model},
        **{"image": pixels, "batch": torch.from_numpy(np.stack([pixels] * 2)).permute(0, 3, 1, 2)},
        **{"paths": sorted((directory / "photos").iterdir()), "content": path.read_bytes(), "processor": processor},
        "outputs": network(**processor(images=[path], text=CLASSES)),
        "pipe": pipeline("zero-shot-image-segmentation", model=network, device="cpu"),
    }


@pytest.fixture
def world(lent: World, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.chdir(directory)
    monkeypatch.setattr(ImageShow, "show", lambda image, title: True)
    install(monkeypatch)
    yield {**lent, "expected": lent["result"]}
    lent["segmenter"].to("cpu", "fp32")


def same(found: Segmentation, world: World) -> bool:
    return bool((found.labels == world["expected"].labels).mean() > 0.99)


def all_same(found: Any, world: World, count: int = 2) -> bool:
    return isinstance(found, list) and len(found) == count and all(same(one, world) for one in found)


def on_the_cpu(found: Segmenter, world: World) -> bool:
    return found is world["segmenter"] and found.device == torch.device("cpu")


def segments_alike(found: Segmenter, world: World) -> bool:
    return same(found("photos/scene.jpg", CLASSES), world)


def as_in_result(mask: Any, world: World) -> bool:
    return bool(np.array_equal(mask, world["expected"].labels == 0))


CHECKS: dict[tuple[str, str], Callable[[Any, World], bool]] = {
    ("transformers", "pipeline(task, model=name)"): lambda found, _: isinstance(found.model, AhsSegModel),
    ("transformers", "pipe(images, batch_size=8)"): lambda found, world: (
        [one["label"] for one in found[1]] == list(world["expected"])
    ),
    ("transformers", "AutoModel.from_pretrained(name)"): lambda found, _: isinstance(found, AhsSegModel),
    ("transformers", "processor(images=images, text=labels)"): lambda found, _: (
        len(found["images"]) == 2 and found["classes"].labels == CLASSES
    ),
    ("transformers", "processor.post_process_semantic_segmentation(outputs)"): lambda found, world: np.array_equal(
        found[0].numpy(), world["expected"].labels
    ),
    ("transformers", "from_pretrained(name, dtype=torch.bfloat16)"): lambda found, _: found.dtype == torch.bfloat16,
    ("transformers", 'from_pretrained(name, device_map="auto")'): lambda found, _: (
        found.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    ),
    ("transformers", 'model.to("cuda:1")'): on_the_cpu,
    ("transformers", "model.device"): lambda found, _: found == torch.device("cpu"),
    ("transformers", "model.dtype"): lambda found, _: found == torch.float32,
    ("transformers", "model.config.id2label"): lambda found, _: found == dict(enumerate(CLASSES)),
    ("transformers", "model.save_pretrained(folder)"): lambda found, world: same(
        Segmenter.from_pretrained(found)("photos/scene.jpg", CLASSES), world
    ),
    ("ultralytics", "model(path)"): same,
    ("ultralytics", "model.predict(path)"): same,
    ("ultralytics", 'model("photos/")'): all_same,
    ("ultralytics", 'model("photos/*.jpg", batch=8)'): all_same,
    ("ultralytics", "model(paths, stream=True)"): lambda found, world: (
        isinstance(found, Iterator) and all_same(list(found), world)
    ),
    ("ultralytics", "model(path, device=0, half=True)"): lambda found, _: found.dtype == torch.float16,
    ("ultralytics", "len(result)"): lambda found, world: found == len(np.unique(world["expected"].labels)),
    ("ultralytics", "result.names"): lambda found, _: found == CLASSES,
    ("ultralytics", "result.orig_img"): lambda found, world: np.array_equal(found, world["image"]),
    ("ultralytics", "result.path"): lambda found, _: found == Path("photos/scene.jpg").absolute(),
    ("ultralytics", "result.masks.xy"): lambda found, world: list(found) == list(world["expected"]),
    ("ultralytics", "result.plot()"): lambda found, _: found.dtype == np.uint8 and found.shape[2] == 3,
    ("ultralytics", "result.plot(pil=True)"): lambda found, world: np.array_equal(found, world["expected"].plot()),
    ("ultralytics", "result.show()"): lambda found, _: found is None,
    ("ultralytics", 'result.save("out.jpg")'): lambda found, _: Image.open(found).format == "JPEG",
    ("ultralytics", 'result.save_txt("out.txt")'): lambda found, _: Path("out.txt").read_text()[0] in "012",
    ("ultralytics", "result.to_df()"): lambda found, world: list(found["label"]) == list(world["expected"]),
    ("ultralytics", "result.to_json()"): lambda found, world: (
        [one["label"] for one in json.loads(found)["found"]] == list(world["expected"])
    ),
    ("segmentation_models.pytorch", "smp.from_pretrained(folder)"): lambda found, _: isinstance(found, Segmenter),
    ("segmentation_models.pytorch", "model.eval()"): on_the_cpu,
    ("segmentation_models.pytorch", "model(batch)"): all_same,
    ("segmentation_models.pytorch", "logits = model(batch)[0]"): lambda found, world: np.array_equal(
        found.argmax(0), world["expected"].labels
    ),
    ("segmentation_models.pytorch", "logits.argmax(0)"): lambda found, world: found.shape == world["image"].shape[:2],
    ("segmentation_models.pytorch", "logits.argmax(0) == index"): as_in_result,
    ("supervision", "sv.Detections.from_ultralytics(result)"): lambda found, world: (
        isinstance(found, supervision.Detections) and len(found) == len(world["expected"])
    ),
    ("supervision", 'detections["class_name"]'): lambda found, world: found.tolist() == list(world["expected"]),
    ("FiftyOne", "fo.Segmentation(mask=mask)"): lambda found, world: (
        isinstance(found, StandIn) and np.array_equal(found.mask, world["expected"].labels + 1)
    ),
    ("FiftyOne", "dataset.default_mask_targets"): lambda found, _: found == dict(enumerate(CLASSES, 1)),
    ("Pillow", "Image.open(file)"): same,
    ("Pillow", "Image.open(io.BytesIO(content))"): same,
    ("Python", "pickle.loads(pickle.dumps(model))"): segments_alike,
    ("Python", "copy.deepcopy(model)"): segments_alike,
    ("Python", "for name, mask in masks.items()"): lambda found, world: (
        [name for name, _ in found] == list(world["expected"].masks())
    ),
    ("geopandas", "GeoDataFrame.from_features(collection)"): lambda found, world: (
        [one["properties"]["label"] for one in found["features"]] == list(world["expected"])
    ),
}
"""What the code of each row must give, by the library and the code that its users write there."""


def test_every_row_has_a_check_and_every_check_a_row() -> None:
    lines = [line for line in TABLE.splitlines() if line.startswith("| ")]
    assert len(lines) == len(ROWS) + 1, "a row that is not of the form | library | `code` | `code` |"
    assert [(library, there) for library, there, _ in ROWS] == list(CHECKS)


@pytest.mark.parametrize(("library", "there", "here"), ROWS, ids=[f"{row[0]}: {row[1]}" for row in ROWS])
@pytest.mark.filterwarnings("ignore:.*unclosed file:ResourceWarning")
def test_the_code_of_the_row_gives_what_is_expected(library: str, there: str, here: str, world: World) -> None:
    space = {**world, "AutoModel": AutoModel, "Segmenter": Segmenter, "pipeline": pipeline, "torch": torch}
    space |= {"copy": copy, "pickle": pickle, "io": io}
    assert CHECKS[library, there](eval(here, space), world)
