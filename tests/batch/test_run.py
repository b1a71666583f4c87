"""Runs over folders: what is written, what is left out, what is done again."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.batch import BatchConfig, segment_files
from ahs_seg.batch.journal import FOLDER, JournalError
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.batch.conftest import WORDS, drawn, save
from tests.support.tiny_models import ColourMethod


def run(segmenter, photos, out, words=WORDS, **settings):
    return segment_files(segmenter, [photos], words, out, progress=False, **settings)


def labels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def written(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file() and FOLDER not in path.parts}


def test_results_are_those_of_single_calls(segmenter, photos, tmp_path):
    out = tmp_path / "out"
    summary = run(segmenter, photos, out)
    assert (summary.done, summary.skipped, summary.failures) == (7, 0, [])
    names = [*"01234", "more/0", "more/1"]
    assert written(out) == {f"{name}{end}" for name in names for end in (".png", ".classes.json", ".overlay.png")}
    for name in names:
        alone = segmenter(photos / f"{name}.png", WORDS)
        assert np.array_equal(labels(out / f"{name}.png"), alone.labels)
        assert json.loads((out / f"{name}.classes.json").read_text())["pixels"] == alone.areas()


def test_the_summary_adds_up_areas(segmenter, photos, tmp_path):
    summary = run(segmenter, photos, tmp_path / "out")
    alone = [segmenter(path, WORDS).areas() for path in photos.rglob("*.png")]
    for area in summary.areas:
        assert area.pixels == sum(areas.get(area.label, 0) for areas in alone)
        assert area.images == sum(area.label in areas for areas in alone)
        assert area.share == area.pixels / (5 * 24 * 32 + 2 * 20 * 20)
    assert json.loads(json.dumps(summary.to_dict()))["done"] == 7
    assert summary.areas == sorted(summary.areas, key=lambda area: -area.pixels)


@pytest.mark.parametrize("batch", [2, 3, 16])
def test_pictures_of_one_size_share_a_forward(photos, tmp_path, batch):
    method = ColourMethod()
    quick = PromptConfig(templates=("a {}",))
    segmenter = Segmenter(method, prompts=quick, inference=InferenceConfig(batch=batch))
    run(segmenter, photos, tmp_path / "out")
    plain = Segmenter(ColourMethod(), prompts=quick)
    counts = {(24, 32): 5, (20, 20): 2}
    for size, count in counts.items():
        shapes = [shape[0] for shape in method.seen if shape[2:] == size]
        assert sum(shapes) == count
        assert max(shapes) == min(batch, count)
    for path in photos.rglob("*.png"):
        found = labels(tmp_path / "out" / path.relative_to(photos))
        assert (found == plain(path, WORDS).labels).mean() > 0.999


def test_one_bad_file_costs_itself(segmenter, photos, tmp_path):
    whole = (photos / "0.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[:80])
    (photos / "text.jpg").write_text("no picture")
    summary = run(segmenter, photos, tmp_path / "out")
    assert summary.done == 7
    assert sorted(Path(one.path).name for one in summary.failures) == ["cut.png", "text.jpg"]
    assert all(one.path in one.reason for one in summary.failures)
    assert not any("cut" in name or "text" in name for name in written(tmp_path / "out"))


def test_resume_does_what_is_missing_changed_or_damaged(segmenter, photos, tmp_path):
    out = tmp_path / "out"
    first = run(segmenter, photos, out)
    method = segmenter.method
    method.seen.clear()
    second = run(segmenter, photos, out, resume=True)
    assert (second.done, second.skipped, method.seen) == (0, 7, [])
    assert second.areas == first.areas
    (out / "1.png").unlink()  # removed by somebody
    save(photos / "2.png", drawn(24, 32, 77))  # another picture
    os.utime(photos / "2.png", (1, 1))
    save(photos / "new.png", drawn(24, 32, 5))
    third = run(segmenter, photos, out, resume=True)
    assert (third.done, third.skipped) == (3, 5)
    assert np.array_equal(labels(out / "2.png"), segmenter(photos / "2.png", WORDS).labels)
    assert sum(area.pixels for area in third.areas) == 6 * 24 * 32 + 2 * 20 * 20


def test_a_line_that_was_cut_off_does_not_count(segmenter, photos, tmp_path):
    out = tmp_path / "out"
    run(segmenter, photos, out)
    part = next((out / FOLDER).glob("done-*.jsonl"))
    part.write_bytes(part.read_bytes()[:-10])
    again = run(segmenter, photos, out, resume=True)
    assert (again.done, again.skipped) == (1, 6)
    assert run(segmenter, photos, out, resume=True).skipped == 7


def test_an_interrupted_run_goes_on(segmenter, photos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    real, calls = segmenter.segment_many, []

    def killed(images, vocabulary):
        calls.append(len(images))
        if len(calls) == 7:  # at most three are unfinished then
            raise KeyboardInterrupt
        return real(images, vocabulary)

    monkeypatch.setattr(segmenter, "segment_many", killed)
    with pytest.raises(KeyboardInterrupt):
        run(segmenter, photos, out)
    monkeypatch.setattr(segmenter, "segment_many", real)
    segmenter.method.seen.clear()
    rest = run(segmenter, photos, out, resume=True)
    assert rest.done + rest.skipped == 7
    assert len(segmenter.method.seen) == rest.done < 7


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
    with pytest.raises(JournalError, match=f"made with other {differs}. Give another output folder, or leave out"):
        run(other, photos, out, words, resume=True)
    assert run(other, photos, out, words).done == 7


def test_another_batch_or_format_does_not_hinder_resuming(segmenter, photos, tmp_path):
    out = tmp_path / "out"
    run(segmenter, photos, out, config=BatchConfig(formats=("png",)))
    more = Segmenter(ColourMethod(), prompts=segmenter.prompts, inference=InferenceConfig(batch=4))
    assert run(more, photos, out, config=BatchConfig(formats=("png",)), resume=True).skipped == 7
    assert run(more, photos, out, config=BatchConfig(formats=("png", "overlay")), resume=True).done == 7


def test_a_disk_that_cannot_be_written_ends_the_run(segmenter, photos, tmp_path, monkeypatch):
    def full(item, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ahs_seg.output.formats.write_label_map", full)
    with pytest.raises(OSError, match="No space"):
        run(segmenter, photos, tmp_path / "out")


def test_words_are_checked_before_anything_is_written(segmenter, photos, tmp_path):
    with pytest.raises(ValueError, match="class list is empty"):
        run(segmenter, photos, tmp_path / "out", words="")
    with pytest.raises(ValueError, match="xxxxxxxx"):
        run(segmenter, photos, tmp_path / "out", words=["x" * 300])
    assert not (tmp_path / "out").exists()
    assert len(Vocabulary.parse(WORDS)) == 3
