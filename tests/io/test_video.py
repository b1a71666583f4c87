"""The frames of videos, and what is wrong with some."""

import av
import numpy as np
import pytest

from ahs_seg.errors import SampleError
from ahs_seg.io import video
from ahs_seg.io.orientation import Orientation
from ahs_seg.io.video import count_frames, read_frames
from tests.support.drawn_images import drawn
from tests.support.films import cut, film, with_cover_art_first, with_matrix


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


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mpeg4"), ("a.mkv", "mpeg4"), ("a.webm", "libvpx")])
def test_half_a_film_says_how_many_frames_are_missing(tmp_path, name, codec):
    path = cut(film(tmp_path / name, 60, codec=codec), 0.5)
    read: list[int] = []
    with pytest.raises(SampleError, match=r"only \d+ of (about )?60 frames") as raised:
        read.extend(index for index, _ in read_frames(path, every=3))
    assert 1 < len(read) < 15
    assert int(str(raised.value).partition("only ")[2].split()[0]) in range(read[-1] + 1, read[-1] + 4)
    assert count_frames(path, every=3) == 20


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_whole_film_of_varying_rate_misses_nothing(tmp_path, name):
    path = film(tmp_path / name, 8, times=[0, 1, 2, 9, 10, 30, 31, 60])
    assert [index for index, _ in read_frames(path)] == list(range(8))


def test_a_film_with_a_single_frame(tmp_path):
    assert len(list(read_frames(film(tmp_path / "a.mp4", 1)))) == 1


def test_a_film_without_frames_is_named(tmp_path):
    for name in ("a.mp4", "a.mkv"):
        with pytest.raises(SampleError, match=rf"{name}: (the video cannot be opened|.* no frames)"):
            list(read_frames(film(tmp_path / name, 0)))
        assert count_frames(tmp_path / name) == 0


def test_cover_art_before_the_film_is_not_the_film(tmp_path):
    path = with_cover_art_first(tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        assert [stream.codec_context.name for stream in container.streams.video] == ["png", "mpeg4"]
    frames = [pixels for _, pixels in read_frames(path)]
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 7
    assert count_frames(path) == 7


@pytest.mark.parametrize(
    ("matrix", "value"),
    [
        *[((1, 0, 0, 1), 1), ((-1, 0, 0, 1), 2), ((-1, 0, 0, -1), 3), ((1, 0, 0, -1), 4)],
        *[((0, 1, 1, 0), 5), ((0, 1, -1, 0), 6), ((0, -1, -1, 0), 7), ((0, -1, 1, 0), 8)],
    ],
)
def test_frames_are_rotated_and_mirrored_as_the_file_says(tmp_path, matrix, value):
    path = film(tmp_path / "a.mp4", 2, image=drawn(48, 64))
    plain = [pixels for _, pixels in read_frames(path)]
    turned = [pixels for _, pixels in read_frames(with_matrix(path, matrix))]
    for before, after in zip(plain, turned, strict=True):
        assert np.array_equal(after, Orientation.of_exif(value).upright(before))


def test_tags_that_are_not_text_do_not_matter(tmp_path):
    path = film(tmp_path / "a.mp4", tags={"title": "Zuerich"})
    content = path.read_bytes()
    assert b"Zuerich" in content
    path.write_bytes(content.replace(b"Zuerich", b"Z\xfcrich."))
    assert len(list(read_frames(path))) == 7
    assert count_frames(path) == 7


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        ("png", "only 0 of 2 frames .* If its frames have more than 50 pixels, shrink it"),
        ("mpeg4", "only 0 of 2 frames .* If its frames have more than 50 pixels, shrink it"),
        pytest.param(
            "libx264",
            "frames of 64x48; at most 50 pixels are decoded. Shrink the video",
            marks=pytest.mark.skipif("libx264" not in av.codecs_available, reason="PyAV without this encoder"),
        ),
    ],
)
def test_frames_above_the_limit_are_not_decoded(tmp_path, monkeypatch, codec, message):
    path = film(tmp_path / "a.mov", 2, codec=codec)
    assert len(list(read_frames(path))) == 2
    monkeypatch.setattr(video, "MAX_FRAME_PIXELS", 50)
    monkeypatch.setitem(video._OPTIONS, "max_pixels", "50")
    with pytest.raises(SampleError, match=rf"a\.mov: .*{message}"):
        list(read_frames(path))
