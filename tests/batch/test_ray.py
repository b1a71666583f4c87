"""The same run shared out by Ray, on a local cluster of two workers."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.batch import BatchConfig, ModelSource, engine_for, segment_files
from ahs_seg.batch.identity import run_identity
from ahs_seg.batch.jobs import BatchJob, Done, Failed, SourceTask
from ahs_seg.batch.ray import _decoded as decoded
from ahs_seg.batch.ray import _encoded as encoded
from ahs_seg.batch.ray import _RayWorker as RayWorker
from ahs_seg.batch.sources import BatchError, InputSource
from ahs_seg.checkpoints import ModelDescription, save_model
from ahs_seg.inference.windows import WholeImage
from ahs_seg.io.folder_lock import FOLDER
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.drawn_images import WORDS

ray = pytest.importorskip("ray", reason="needs the extra scale")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.fixture
def model(tmp_path: Path) -> ModelSource:
    config = ZeroShotConfig(backbone=ClipConfig(source=TINY))
    return ModelSource(str(save_model(config.build(), ModelDescription(method=config), tmp_path / "model")), "cpu")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and FOLDER not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_two_workers_write_the_same_files(cluster, photos, model, tmp_path, monkeypatch):
    monkeypatch.setattr("ahs_seg.batch.ray.PORTION", 2)
    (photos / "bad.png").write_bytes(b"no image")
    config = BatchConfig(formats=("png", "overlay", "coco"))
    segmenter = model.load()
    found = {}
    for name, engine in {"here": None, "ray": engine_for("ray", model, workers=2)}.items():
        found[name] = segment_files(
            segmenter, [photos], WORDS, tmp_path / name, config=config, engine=engine, progress=False
        )
        assert found[name].done == 7
        assert [Path(one.path).name for one in found[name].failures] == ["bad.png"]
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")
    assert found["ray"].areas == found["here"].areas
    (tmp_path / "ray" / "1.png").unlink()
    again = segment_files(
        segmenter, [photos], WORDS, tmp_path / "ray", config=config, resume=True, engine=engine, progress=False
    )
    assert (again.done, again.skipped) == (1, 6)
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")
    json.dumps(again.to_dict())


@pytest.mark.slow
def test_more_workers_than_cpus(cluster, photos, model, tmp_path):
    engine = engine_for("ray", model, workers=99)
    with pytest.raises(ValueError, match="99 workers on a cluster with 2 CPUs; use fewer"):
        segment_files(model.load(), [photos], WORDS, tmp_path / "out", engine=engine, progress=False)


@pytest.mark.slow
def test_a_run_with_another_model_than_that_of_the_workers_ends(cluster, photos, model, tmp_path):
    segmenter = model.load()
    segmenter.inference = segmenter.inference.replace(windows=WholeImage(pad_multiple=32))
    with pytest.raises(BatchError, match="a model with other protocol than the segmenter here"):
        segment_files(segmenter, [photos], WORDS, tmp_path / "o", engine=engine_for("ray", model), progress=False)


def test_workers_whose_model_is_set_otherwise_end_the_run(photos, model, tmp_path):
    job = BatchJob(Vocabulary.parse(WORDS), tmp_path / "out", BatchConfig(formats=("png",)))
    rows = {"task": [encoded(SourceTask(InputSource(photos / "0.png", "0"), (1, 1)))]}
    segmenter = model.load()
    (text,) = RayWorker(model, replace(job, identity=run_identity(segmenter, job)))(rows)["outcome"]
    assert isinstance(decoded(text), Done)
    segmenter.prompts = segmenter.prompts.replace(templates=("the {}",))
    (text,) = RayWorker(model, replace(job, identity=run_identity(segmenter, job)))(rows)["outcome"]
    with pytest.raises(BatchError, match=r"a model with other prompts than the segmenter here\. Give segment_files"):
        decoded(text)


def test_unknown_engines(model):
    with pytest.raises(ValueError, match="no engine is called 'spark'; allowed are local and ray"):
        engine_for("spark", model)
    with pytest.raises(ValueError, match="--workers applies only to a Ray cluster"):
        engine_for("local", model, workers=2)


@pytest.mark.parametrize(
    "outcome",
    [
        Done("a/b", "in/a/b.gif", (12, 34), (24, 32), {0: 700, -1: 68}, ("only the first",)),
        Failed("in/caf\udce9.png", "in/caf\udce9.png: damaged"),
    ],
)
def test_outcomes_travel_between_machines_as_text(outcome):
    assert decoded(json.dumps({type(outcome).__name__: asdict(outcome)})) == outcome
