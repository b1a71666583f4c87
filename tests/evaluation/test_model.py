"""A model directory on a dataset: reports by protocol, numbers of one and of several processes, devices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.checkpoints import load_model, save_model
from ahs_seg.checkpoints.model_dir import ModelDescription, write_description
from ahs_seg.config import ConfigError
from ahs_seg.data.config import FolderData
from ahs_seg.evaluation.model import EvaluationJob, evaluate_model, predictors_for
from ahs_seg.evaluation.protocols import own_protocol
from ahs_seg.evaluation.report import EvaluationError
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.io.folder_lock import FolderInUseError, locked
from ahs_seg.io.processes import ProcessCountError
from ahs_seg.metrics import Measures, ParentTable
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.builders import random_backbone
from tests.support.label_folders import discs, label_folder
from tests.support.small_methods import CAT_SEG, EBSEG_SMALL
from tests.support.world_runs import OWN, SMALL, WORLD, saved_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.mark.slow
def test_the_numbers_are_the_same_on_one_and_on_four_processes(model: Path, tmp_path: Path) -> None:
    measures = Measures(boundary=True, pairs=True, parents=ParentTable(source="test", parents={1: (0,), 3: (4, 5)}))
    job = EvaluationJob(model=model, data=WORLD, protocols=(OWN, SMALL), measures=measures)
    alone = evaluate_model(job, progress=False)
    several = evaluate_model(job.replace(journal=tmp_path), processes=4, progress=False)
    for one, many in zip(alone, several, strict=True):
        assert (one.counts, one.images, one.scores, one.protocol) == (
            many.counts,
            many.images,
            many.scores,
            many.protocol,
        )
    again = evaluate_model(job.replace(journal=tmp_path), progress=False)
    assert [report.counts for report in again] == [report.counts for report in alone]


def test_protocols_stand_side_by_side(model: Path) -> None:
    own, small = evaluate_model(EvaluationJob(model=model, data=WORLD, protocols=(OWN, SMALL)), progress=False)
    assert own.counts != small.counts
    assert (own.images, small.images) == (5, 5)
    assert own.scores.seen is not None
    wide = OWN.replace(prompts=PromptConfig(templates="vild", ensemble=False))
    with pytest.raises(ConfigError, match="gives 14 prompt"):
        evaluate_model(EvaluationJob(model=model, data=WORLD, protocols=(wide,)), progress=False)


def test_a_report_names_method_data_and_what_was_seen(model: Path) -> None:
    job = EvaluationJob(model=model, data=WORLD.replace(count=1), protocols=(SMALL,))
    (report,) = evaluate_model(job, progress=False)
    labels = WORLD.open().vocabulary.labels
    assert (report.method, report.dataset, report.labels) == ("zero_shot", job.data.title, tuple(labels))
    assert report.seen == tuple(sorted(labels[:10]))
    assert report.protocol == SMALL.title


def test_a_journal_belongs_to_the_weights(model: Path, tmp_path: Path) -> None:
    """What another model of the same config counted is not taken for the counts of this one."""
    job = EvaluationJob(model=model, data=WORLD.replace(count=1), protocols=(SMALL,), journal=tmp_path / "journal")
    (first,) = evaluate_model(job, progress=False)
    assert evaluate_model(job, progress=False)[0].counts == first.counts
    description, method = load_model(model)
    with torch.no_grad():
        next(method.parameters()).add_(1)
    other = save_model(method, description, tmp_path / "other")
    with pytest.raises(EvaluationError, match=r"holds another evaluation:\n  identity: was "):
        evaluate_model(job.replace(model=other), progress=False)
    with pytest.raises(EvaluationError, match=r"holds another evaluation:\n  identity: was "):
        evaluate_model(job.replace(dtype="bf16"), progress=False)


def test_a_journal_belongs_to_the_classes_of_the_training_where_labels_depend_on_them(tmp_path: Path) -> None:
    """EBSeg treats seen and other classes differently, so its counts are of another model if they change."""
    prompts = PromptConfig(templates=("{}",))
    told = ModelDescription(method=EBSEG_SMALL, prompts=prompts, trained_on=("sky",))
    method = EBSEG_SMALL.compose(random_backbone(resolution=64)).eval()
    model = save_model(method, told, tmp_path / "model")
    job = EvaluationJob(
        model=model,
        data=WORLD.replace(count=1),
        protocols=(own_protocol(told.inference, prompts),),
        journal=tmp_path / "journal",
    )
    (first,) = evaluate_model(job, progress=False)
    assert evaluate_model(job, progress=False)[0].counts == first.counts
    write_description(told.replace(trained_on=("grass",)), model)
    with pytest.raises(EvaluationError, match=r"holds another evaluation:\n  identity: was "):
        evaluate_model(job, progress=False)


def test_a_journal_belongs_to_the_settings_of_the_data(model: Path, tmp_path: Path) -> None:
    """Another offset is other labels under the same title; journals from before the settings were noted go on."""
    label_folder(tmp_path / "photos", [discs((0, 1)), discs((1, 2))], "sky, grass")
    data = FolderData(root=tmp_path / "photos", split="train", offset=1, ignore=0)
    job = EvaluationJob(model=model, data=data, protocols=(SMALL,), journal=tmp_path / "journal")
    (first,) = evaluate_model(job, progress=False)
    other = job.replace(data=data.replace(root=tmp_path / "photos", offset=0, ignore=2))
    with pytest.raises(
        EvaluationError, match=r"holds another evaluation:\n  data\.ignore: was 0, now 2\n  data\.offset"
    ):
        evaluate_model(other, progress=False)
    (path,) = (tmp_path / "journal").rglob("*.jsonl")
    header, *records = path.read_text(encoding="utf-8").splitlines(keepends=True)
    earlier = {key: value for key, value in json.loads(header).items() if key != "data"}
    path.write_text("".join([json.dumps(earlier) + "\n", *records]), encoding="utf-8")
    assert evaluate_model(job, progress=False)[0].counts == first.counts


def test_a_predictor_answers_as_the_segmenter_under_its_protocol(model: Path) -> None:
    description, method = load_model(model)
    sample = WORLD.open()[0]
    words = WORLD.open().vocabulary
    protocols = (OWN, SMALL)
    predictors = predictors_for(description, method, protocols, words)
    for protocol, predict in zip(protocols, predictors, strict=True):
        segmenter = Segmenter(load_model(model)[1], prompts=description.prompts, inference=protocol.inference)
        assert np.array_equal(predict(sample.image), segmenter(sample.image, words).labels)


def test_a_protocol_with_options_leaves_the_method_as_it_was() -> None:
    method = CAT_SEG.compose(random_backbone(resolution=64)).eval()
    pooled = OWN.replace(name="pooled", inference=InferenceConfig(options={"class_pooling": 1}))
    description, words = ModelDescription(method=CAT_SEG), Vocabulary.parse("sky, grass")
    for _ in range(2):
        predictors_for(description, method, (OWN, pooled), words)
        assert method.head.class_pooling == 2


def test_processes_are_counted_from_one(model: Path) -> None:
    with pytest.raises(ProcessCountError, match="processes: 0 is not allowed; give 1 to 256"):
        evaluate_model(EvaluationJob(model=model, data=WORLD, protocols=(OWN,)), processes=0)


def test_two_evaluations_do_not_share_a_journal(model: Path, tmp_path: Path) -> None:
    job = EvaluationJob(model=model, data=WORLD, protocols=(OWN,), journal=tmp_path / "journal")
    with locked(tmp_path / "journal"), pytest.raises(FolderInUseError, match="another run is writing there"):
        evaluate_model(job, progress=False)


def test_texts_are_kept_between_evaluations_unless_told(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    job = EvaluationJob(model=model, data=WORLD.replace(count=1), protocols=(SMALL,), threads=1)
    (without,) = evaluate_model(job.replace(cache=False), progress=False)
    assert not list(tmp_path.rglob("*.safetensors"))
    (first,) = evaluate_model(job, progress=False)
    assert len(list(tmp_path.rglob("*.safetensors"))) >= 1
    monkeypatch.setattr(ClipBackbone, "encode_text", None)
    (second,) = evaluate_model(job, progress=False)
    assert without.counts == first.counts == second.counts


def test_a_type_that_is_not_known_is_an_error_of_the_job(model: Path) -> None:
    with pytest.raises(ConfigError, match="dtype"):
        EvaluationJob.parse({"model": model, "data": WORLD, "protocols": (SMALL,), "dtype": "fp8"}, source="job")
