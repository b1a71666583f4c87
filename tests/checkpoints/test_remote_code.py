"""The code by which transformers loads a repository: what is written, and that it works in a fresh process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.checkpoints.model_dir import ModelDescription, model_digest, read_description, save_model
from ahs_seg.checkpoints.remote_code import CODE_FILE, ENTRIES, write_remote_code
from ahs_seg.segmenter import Segmenter
from tests.support.drawn_images import drawn
from tests.support.small_methods import SHORT, h_clip

PROGRAM = """
import json, sys
from transformers import AutoModel, AutoProcessor, pipeline
model, image = sys.argv[1:]
assert not [name for name in sys.modules if name.startswith("ahs_seg")]
segment = pipeline("zero-shot-image-segmentation", model=model, trust_remote_code=True, device="cpu")
found = segment([image, image, image], candidate_labels=["cat", "sofa", "lamp"], batch_size=2)
processor = AutoProcessor.from_pretrained(model, trust_remote_code=True)
outputs = AutoModel.from_pretrained(model, trust_remote_code=True)(**processor([image], text="cat, sofa, lamp"))
maps = processor.post_process_semantic_segmentation(outputs)
print(json.dumps([[[one["label"] for one in each] for each in found], maps[0].tolist()]))
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    config, method = h_clip()
    return save_model(method, ModelDescription(method=config, prompts=SHORT, trained_on=("größe",)), tmp_path / "model")


def test_description_and_labels_stay_the_same(directory: Path) -> None:
    before, digest = read_description(directory), model_digest(directory)
    config = directory / "config.json"
    values = json.loads(config.read_text(encoding="utf-8"))
    write_remote_code(config)
    write_remote_code(config)
    assert json.loads(config.read_text(encoding="utf-8")) == {**values, **ENTRIES}
    assert "größe" in config.read_text(encoding="utf-8")
    assert read_description(directory) == before
    assert model_digest(directory) == digest


def test_every_class_that_the_config_names_is_in_the_code(directory: Path) -> None:
    write_remote_code(directory / "config.json")
    space: dict[str, object] = {}
    exec(compile((directory / CODE_FILE).read_text(encoding="utf-8"), CODE_FILE, "exec"), space)
    named = [*ENTRIES["auto_map"].values(), *(one["impl"] for one in ENTRIES["custom_pipelines"].values())]
    assert {name.partition(".")[0] for name in named} == {CODE_FILE.removesuffix(".py")}
    assert {name.partition(".")[2] for name in named} == set(space["__all__"])  # type: ignore[call-overload]
    assert set(space["__all__"]) <= set(space)  # type: ignore[call-overload]


@pytest.mark.slow
def test_transformers_loads_it_without_this_package_being_imported_before(directory: Path, tmp_path: Path) -> None:
    write_remote_code(directory / "config.json")
    Image.fromarray(drawn(24, 30)).save(tmp_path / "a.png")
    surroundings = {**os.environ, "HF_HOME": str(tmp_path / "hub"), "HF_MODULES_CACHE": str(tmp_path / "modules")}
    words = [sys.executable, "-c", PROGRAM, str(directory), str(tmp_path / "a.png")]
    done = subprocess.run(words, env=surroundings, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    found, labels = json.loads(done.stdout.splitlines()[-1])
    expected = Segmenter.from_pretrained(directory, device="cpu")(tmp_path / "a.png", "cat, sofa, lamp")
    assert found == [list(expected)] * 3
    assert (np.array(labels) == expected.labels).mean() > 0.999
