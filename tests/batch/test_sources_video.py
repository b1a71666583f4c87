"""Videos as sources of a run."""

import numpy as np
import pytest
from PIL import Image

from ahs_seg.batch import BatchConfig, segment_files
from ahs_seg.errors import MissingPackageError
from ahs_seg.io.video import read_frames
from tests.support.drawn_images import WORDS
from tests.support.films import cut, film


def test_frames_are_images_of_the_run(segmenter, tmp_path):
    path, out = film(tmp_path / "film.mp4"), tmp_path / "out"
    config = BatchConfig(every=2)
    summary = segment_files(segmenter, [path], WORDS, out, config=config, progress=False)
    assert summary.done == 4
    assert sorted(file.name for file in (out / "film").glob("*[0-9].png")) == [f"{k:06d}.png" for k in (0, 2, 4, 6)]
    frames = dict(read_frames(path))
    assert np.array_equal(np.asarray(Image.open(out / "film/000004.png")), segmenter(frames[4], WORDS).labels)
    (out / "film/000002.png").unlink()
    again = segment_files(segmenter, [path], WORDS, out, config=config, progress=False, resume=True)
    assert (again.done, again.skipped) == (1, 3)
    finer = segment_files(segmenter, [path], WORDS, out, progress=False, resume=True)
    assert (finer.done, finer.skipped) == (3, 4)


def test_videos_that_cannot_be_read_cost_themselves(segmenter, tmp_path):
    whole = film(tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[:200])
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n")
    summary = segment_files(segmenter, [tmp_path], WORDS, tmp_path / "out", progress=False)
    assert summary.done == 7
    assert len(summary.failures) == 2


def test_without_the_decoder(segmenter, tmp_path, monkeypatch):
    path = film(tmp_path / "film.mp4")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'ahs-seg\[video\]'"):
        segment_files(segmenter, [path], WORDS, tmp_path / "out", progress=False)


def test_the_summary_says_that_frames_are_missing(segmenter, tmp_path):
    path = cut(film(tmp_path / "film.mp4", 12), 0.6)
    summary = segment_files(segmenter, [path], WORDS, tmp_path / "out", progress=False)
    assert 0 < summary.done < 12
    assert f"film.mp4: only {summary.done} of 12 frames that the file announces" in "\n".join(summary.lines())
