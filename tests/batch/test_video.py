"""Videos: their frames, and what is wrong with some."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from ahs_seg.batch import BatchConfig, segment_files
from ahs_seg.io.errors import SampleError
from ahs_seg.io.video import count_frames, read_frames
from tests.batch.conftest import WORDS


def film(path: Path, count: int = 7) -> Path:
    """Frame k is grey of 30 k."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 * index, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_every_nth_frame(tmp_path, suffix):
    path = film(tmp_path / f"film{suffix}")
    for every, expected in {1: range(7), 3: (0, 3, 6)}.items():
        frames = dict(read_frames(path, every=every))
        assert list(frames) == list(expected)
        assert count_frames(path, every=every) == len(frames)
        for index, pixels in frames.items():
            assert pixels.shape == (48, 64, 3)
            assert abs(float(pixels.mean()) - 30 * index) < 4


def test_frames_are_pictures_of_the_run(segmenter, tmp_path):
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


def test_videos_that_cannot_be_read(segmenter, tmp_path):
    whole = film(tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[:200])
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n")
    for name in ("cut.avi", "list.mp4"):
        with pytest.raises(SampleError, match=name):
            list(read_frames(tmp_path / name))
    summary = segment_files(segmenter, [tmp_path], WORDS, tmp_path / "out", progress=False)
    assert summary.done == 7
    assert len(summary.failures) == 2


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(SampleError, match="holds no video"):
        list(read_frames(path))


def test_without_the_decoder(segmenter, tmp_path, monkeypatch):
    path = film(tmp_path / "film.mp4")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ValueError, match=r"pip install 'ahs-seg\[video\]'"):
        segment_files(segmenter, [path], WORDS, tmp_path / "out", progress=False)
