"""The frames of videos, and what is wrong with some."""

import av
import numpy as np
import pytest

from ahs_seg.errors import SampleError
from ahs_seg.io.video import count_frames, read_frames
from tests.support.films import film


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


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(SampleError, match="has no video stream"):
        list(read_frames(path))


def test_videos_that_cannot_be_read_are_named(tmp_path):
    whole = film(tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[:200])
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n")
    for name in ("cut.avi", "list.mp4"):
        with pytest.raises(SampleError, match=name):
            list(read_frames(tmp_path / name))
