"""Results of an earlier run are taken up only if all that they depend on is the same."""

import json

import pytest

from ahs_seg.batch import BatchConfig
from ahs_seg.batch.journal import JournalError
from ahs_seg.checkpoints.model_dir import ModelDescription
from ahs_seg.io.folder_lock import FOLDER
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.output.calibration import IDENTITY_CALIBRATION, Calibration
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.seen_classes import SoftOverlap
from tests.support.batch_runs import run
from tests.support.drawn_images import WORDS
from tests.support.tiny_models import ColourMethod


@pytest.mark.parametrize(
    ("words", "seed", "differs"), [("cat, sofa, bed", 0, "classes"), (WORDS, 1, "model"), (WORDS, 0, None)]
)
def test_other_words_or_another_model_are_refused(segmenter, photos, tmp_path, words, seed, differs):
    out = tmp_path / "out"
    run(segmenter, photos, out)
    other = Segmenter(ColourMethod(seed=seed), prompts=segmenter.prompts)
    if differs is None:
        assert run(other, photos, out, words, resume=True).skipped == 7
        return
    for resume in (True, False):
        with pytest.raises(
            JournalError, match=f"made with other {differs}. Give another output folder, or delete this"
        ):
            run(other, photos, out, words, resume=resume)


def test_another_tokenizer_or_image_statistics_are_refused(segmenter, photos, tmp_path):
    run(segmenter, photos, tmp_path / "out")
    other = Segmenter(ColourMethod(), prompts=segmenter.prompts)
    other.method.backbone.mean = (0.1, 0.1, 0.1)
    with pytest.raises(JournalError, match="made with other tokenizer or image statistics"):
        run(other, photos, tmp_path / "out", resume=True)


def test_another_type_is_refused(segmenter, photos, tmp_path):
    run(segmenter, photos, tmp_path / "out")
    other = Segmenter(ColourMethod(), prompts=segmenter.prompts).to(dtype="bf16")
    with pytest.raises(JournalError, match="made with other dtype"):
        run(other, photos, tmp_path / "out", resume=True)


def test_another_runtime_is_refused(segmenter, photos, tmp_path):
    plain, out = tmp_path / "plain", tmp_path / "out"
    run(segmenter, photos, plain)
    assert "runtime" not in json.loads((plain / FOLDER / "run.json").read_text())
    runtime = {"name": "onnxruntime", "weights": "fp32", "fixed": {}}
    others = [Segmenter(ColourMethod(), prompts=segmenter.prompts) for _ in range(3)]
    others[0].method.runtime = runtime
    others[1].method.runtime = runtime | {"weights": "int8"}
    run(others[0], photos, out)
    assert run(others[0], photos, out, resume=True).skipped == 7
    for folder, other in [(plain, others[0]), (out, others[1]), (out, others[2])]:
        with pytest.raises(JournalError, match="made with other runtime"):
            run(other, photos, folder, resume=True)


def test_another_map_of_seen_classes_is_refused(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(ColourMethod, "uses_seen", True)
    plain, told = (Segmenter(ColourMethod(), prompts=PromptConfig(templates=("a {}",))) for _ in range(2))
    told.with_seen({"Cat": True, "tram": False})
    run(plain, photos, tmp_path / "plain")
    run(told, photos, tmp_path / "told")
    told.with_seen({"cat": True})  # there is no tram
    assert run(told, photos, tmp_path / "told", resume=True).skipped == 7
    for folder, other in [("plain", told), ("told", plain), ("told", told.with_seen({"cat": False}))]:
        with pytest.raises(JournalError, match="made with other seen classes"):
            run(other, photos, tmp_path / folder, resume=True)


def test_other_classes_of_the_training_are_refused_where_labels_depend_on_them(photos, tmp_path, monkeypatch):
    """Seen classes by the names of the training count as those that the caller has given."""
    cat, tram = (ModelDescription(method=ZeroShotConfig(), trained_on=(name,)) for name in ("cat", "tram"))
    prompts = PromptConfig(templates=("a {}",))
    segmenters = [Segmenter(ColourMethod(), prompts=prompts, description=told) for told in (cat, tram)]
    run(segmenters[0], photos, tmp_path / "alike")
    assert run(segmenters[1], photos, tmp_path / "alike", resume=True).skipped == 7  # it treats all classes alike
    monkeypatch.setattr(ColourMethod, "uses_seen", True)
    run(segmenters[0], photos, tmp_path / "seen")
    assert run(segmenters[0], photos, tmp_path / "seen", resume=True).skipped == 7
    with pytest.raises(JournalError, match="made with other seen classes"):
        run(segmenters[1], photos, tmp_path / "seen", resume=True)
    monkeypatch.setattr(ColourMethod, "soft_overlap", SoftOverlap(low=0.0, high=0.5))
    run(segmenters[1], photos, tmp_path / "soft")
    bus = Segmenter(ColourMethod(), prompts=prompts, description=tram.replace(trained_on=("tram", "bus")))
    with pytest.raises(JournalError, match="made with other names of the training"):
        run(bus, photos, tmp_path / "soft", resume=True)


def test_another_calibration_is_refused_where_it_decides_which_pixels_are_unknown(segmenter, photos, tmp_path):
    out, some = tmp_path / "out", BatchConfig(unknown_below=0.3)
    segmenter.calibration = IDENTITY_CALIBRATION
    run(segmenter, photos, out, config=some)
    run(segmenter, photos, tmp_path / "all")
    segmenter.calibration = IDENTITY_CALIBRATION.replace(source="other photographs")
    assert run(segmenter, photos, out, config=some, resume=True).skipped == 7  # the same confidences
    segmenter.calibration = Calibration(scores=(0.0, 1.0), accuracies=(0.5, 1.0), source="here")
    assert run(segmenter, photos, tmp_path / "all", resume=True).skipped == 7  # no result depends on it
    with pytest.raises(JournalError, match="made with other calibration"):
        run(segmenter, photos, out, config=some, resume=True)


def test_another_style_of_overlays_is_refused(segmenter, photos, tmp_path):
    out, styled = tmp_path / "out", BatchConfig.model_validate({"overlay": {"strength": 0.3}})
    run(segmenter, photos, out)
    assert "style of overlays" not in json.loads((out / FOLDER / "run.json").read_text())
    with pytest.raises(JournalError, match="made with other style of overlays"):
        run(segmenter, photos, out, config=styled, resume=True)
    other = BatchConfig.model_validate({"overlay": {"file_format": "jpg"}})
    assert run(segmenter, photos, out, config=other, resume=True).done == 7  # the files have other names
    labels = tmp_path / "labels"
    run(segmenter, photos, labels, config=BatchConfig(formats=("png",)))
    assert run(segmenter, photos, labels, config=styled.replace(formats=("png",)), resume=True).skipped == 7


def test_results_of_another_type_are_refused_by_the_usual_one(segmenter, photos, tmp_path):
    other = Segmenter(ColourMethod(), prompts=segmenter.prompts).to(dtype="bf16")
    run(other, photos, tmp_path / "out")
    with pytest.raises(JournalError, match="made with other dtype"):
        run(segmenter, photos, tmp_path / "out", resume=True)
