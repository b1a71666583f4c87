"""Runs over folders: what is written, what is left out, what is done again."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.batch import BatchConfig
from ahs_seg.io.folder_lock import FOLDER
from ahs_seg.output.calibration import IDENTITY_CALIBRATION, CalibrationError
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.batch_runs import run
from tests.support.drawn_images import WORDS, drawn, save


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


def test_one_bad_file_costs_itself(segmenter, photos, tmp_path):
    whole = (photos / "0.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[:80])
    (photos / "text.jpg").write_text("no image")
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
    save(photos / "2.png", drawn(24, 32, 77))  # another image
    os.utime(photos / "2.png", (1, 1))
    save(photos / "new.png", drawn(24, 32, 5))
    third = run(segmenter, photos, out, resume=True)
    assert (third.done, third.skipped) == (3, 5)
    assert np.array_equal(labels(out / "2.png"), segmenter(photos / "2.png", WORDS).labels)
    assert sum(area.pixels for area in third.areas) == 6 * 24 * 32 + 2 * 20 * 20


def test_an_interrupted_run_goes_on(segmenter, photos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    real, calls = segmenter.segment_many, []

    def killed(images, vocabulary, *rest):
        calls.append(len(images))
        if len(calls) == 7:  # at most three are unfinished then
            raise KeyboardInterrupt
        return real(images, vocabulary, *rest)

    monkeypatch.setattr(segmenter, "segment_many", killed)
    with pytest.raises(KeyboardInterrupt):
        run(segmenter, photos, out)
    monkeypatch.setattr(segmenter, "segment_many", real)
    segmenter.method.seen.clear()
    rest = run(segmenter, photos, out, resume=True)
    assert rest.done + rest.skipped == 7
    assert len(segmenter.method.seen) == rest.done < 7


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


def test_a_threshold_needs_a_calibration_before_anything_is_written(segmenter, photos, tmp_path):
    with pytest.raises(CalibrationError, match="no calibration"):
        run(segmenter, photos, tmp_path / "out", config=BatchConfig(unknown_below=0.5))
    assert not (tmp_path / "out").exists()
    segmenter.calibration = IDENTITY_CALIBRATION
    summary = run(segmenter, photos, tmp_path / "out", config=BatchConfig(unknown_below=1.0))
    assert [area.label for area in summary.areas] == ["(unknown)"]
