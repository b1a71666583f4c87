from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ahs_seg.io.film import film_writer, h264_encoder
from ahs_seg.io.video import read_timed_frames
from tests.support.memory import peak_bytes

SIZE = (64, 96)


def grey(value: int) -> np.ndarray:
    return np.full((*SIZE, 3), value, np.uint8)


def test_frames_come_back_at_their_times_in_h264(tmp_path: Path) -> None:
    starts = [Fraction(0), Fraction(1, 30), Fraction(1, 2)]
    with film_writer(tmp_path / "a.mp4", SIZE, step=Fraction(1, 30)) as film:
        for index, start in enumerate(starts):
            film.write(grey(60 * index), start, Fraction(1, 4))
        assert not (tmp_path / "a.mp4").exists()
    frames = list(read_timed_frames(tmp_path / "a.mp4"))
    assert [frame.start for frame in frames] == starts
    assert [round(float(frame.pixels.mean()) / 60) for frame in frames] == [0, 1, 2]
    with av.open(str(tmp_path / "a.mp4")) as file:
        stream = file.streams.video[0]
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt, codec.colorspace, codec.color_range) == ("h264", "yuv420p", 6, 1)
        assert stream.duration * stream.time_base == Fraction(3, 4)


def test_a_film_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def failing() -> None:
        with film_writer(path, SIZE, step=Fraction(1, 25)) as film:
            film.write(grey(9), Fraction(0), Fraction(1, 25))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_times_that_do_not_advance_are_moved_on(tmp_path: Path) -> None:
    with film_writer(tmp_path / "a.mp4", SIZE, step=Fraction(1, 10), clock=Fraction(1, 10)) as film:
        for _ in range(3):
            film.write(grey(50), Fraction(0), Fraction(1, 10))
    assert [frame.start for frame in read_timed_frames(tmp_path / "a.mp4")] == [0, Fraction(1, 10), Fraction(1, 5)]


def test_a_long_film_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    def written(count: int) -> None:
        with film_writer(tmp_path / f"{count}.mp4", SIZE, step=Fraction(1, 25)) as film:
            for index in range(count):
                film.write(grey(index % 256), Fraction(index, 25), Fraction(1, 25))

    written(10)
    assert peak_bytes(lambda: written(600)) < 20_000_000


def test_the_encoder_is_the_first_of_the_list_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ahs_seg.io.film.ENCODERS", ("none", "mpeg4", "libx264"))
    assert h264_encoder() == "mpeg4"
