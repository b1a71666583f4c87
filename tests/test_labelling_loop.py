"""Once round with the commands of `docs/labelling-tools.md`: raw images, proposals, one correction, a better model."""

import json
from pathlib import Path

import numpy as np
import pytest

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.cli import app
from ahs_seg.io.brush_rle import encode_brush
from ahs_seg.methods import ZeroShotConfig
from tests.support.annotations import save_image

SIDE = 64
WORDS = ("zab", "mip")
"""Names that mean nothing to the first model: what it proposes is wrong for whole regions."""
SMALL = [
    *("method.tuner={name: full, stem: true}", "method.backbone.resolution=64", "method.cost.window=4"),
    *("training.steps=20", "training.batch_size=2", "training.optimizer.warmup_steps=2", "training.precision=fp32"),
    *("training.names_per_step=null", "training.workers=0", "augmentation.flip=0"),
]


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A field with something red above it, and its labels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    labels = (rows < rng.integers(20, 44) + rng.integers(-8, 8) * columns / SIDE).astype(np.uint8)
    image = np.where(labels[..., None], (200, 60, 50), (70, 130, 60)) + rng.normal(0, 12, (SIDE, SIDE, 3))
    return image.clip(0, 255).astype(np.uint8), labels


def run(*words: str) -> None:
    assert not app(list(words), standalone_mode=False), words


def painted(region: dict, labels: np.ndarray) -> list[dict]:
    """The brush regions of a person who paints these labels over a proposal."""
    return [
        {**region, "id": name, "value": {"format": "rle", "rle": encode_brush(labels == k), "brushlabels": [name]}}
        for k, name in enumerate(WORDS)
    ]


@pytest.mark.slow
def test_one_correction_makes_a_better_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(5):
        image, labels = scene(number)
        save_image(Path(f"photos/{number}.png"), image)
        if number:  # the first one is corrected, the others measure
            save_image(Path(f"test/images/{number}.png"), image)
            save_image(Path(f"test/annotations/{number}.png"), labels)
    Path("test/classes.txt").write_text("\n".join(WORDS))
    config = ZeroShotConfig(backbone=ClipConfig(source=TINY))
    save_model(config.build(), ModelDescription(method=config), Path("first"))

    run(
        "segment",
        "photos",
        *("--classes", ", ".join(WORDS)),
        *("--model", "first"),
        "--format=labelstudio",
        "-oproposals",
    )
    tasks = json.loads(Path("proposals/labelstudio.json").read_text(encoding="utf-8"))
    first = tasks[0]
    assert first["data"]["image"].endswith("0.png")
    first["annotations"] = [{"result": painted(first["predictions"][0]["result"][0], scene(0)[1])}]
    Path("photos/corrected.json").write_text(json.dumps(tasks))

    run("evaluate", "first", "--data", "test", "--output", "before.json")
    run("train", "quickstart/cat_seg", "data=photos/corrected.json", *SMALL, "--output", "run")
    run("evaluate", "run/model", "--data", "test", "--output", "after.json")
    before, after = (json.loads(Path(name).read_text())["scores"]["miou"] for name in ("before.json", "after.json"))
    assert before < 0.5
    assert after > before + 0.2  # 0.29 and 0.88 where this was written
