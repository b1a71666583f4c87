"""Overlay films, opened in OpenCV, whose decoder is another than the one that wrote them."""

from __future__ import annotations

import errno
import os
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from ahs_seg.io import film as film_writing
from ahs_seg.io.video import read_timed_frames
from ahs_seg.output.colours import ClassColours
from ahs_seg.output.formats import Exporter, ExportItem, FormatError, open_format
from ahs_seg.output.formats.base import VideoFrame
from ahs_seg.output.formats.video import check_film_encoder
from ahs_seg.output.legend import OverlayStyle
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.films import film

NAMES = [f"kind {index}" for index in range(150)]
WORDS = Vocabulary.parse(NAMES)
BARE = OverlayStyle(names=False, legend=False, strength=1.0)


def exported(source: Path, output: Path, frames: list[int], *, style: OverlayStyle | None = None) -> tuple[Path, ...]:
    """The films of a run in which these frames were done, in this order; frame k shows class k beside class 140."""
    exporter = open_format("video", output, WORDS, style)
    exporter.start()
    pixels = {one.index: one.pixels for one in read_timed_frames(source)}
    for index in frames:
        labels: np.ndarray = np.full(pixels[index].shape[:2], 140, np.int32)
        labels[:, : labels.shape[1] // 2] = index % 7
        result = Segmentation(pixels[index], labels, np.ones(labels.shape, np.float32), WORDS)
        exporter.add(ExportItem(Path(f"film/{index:06d}"), result, frame=VideoFrame("film.mp4", index, source)))
        assert exporter.has(Path(f"film/{index:06d}"))
    return exporter.finish()


def opened(path: Path) -> tuple[list[np.ndarray], float]:
    """The frames, in RGB, and frames in a second, that OpenCV finds."""
    video, frames = cv2.VideoCapture(str(path)), []
    rate = video.get(cv2.CAP_PROP_FPS)
    while (read := video.read())[0]:
        frames.append(read[1][..., ::-1])
    video.release()
    return frames, rate


def seconds(path: Path) -> float:
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        return float(stream.duration * stream.time_base)


def test_a_film_has_the_rate_the_duration_and_the_frames_of_its_source(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", 14)
    (path,) = exported(source, tmp_path / "out", [3, 0, 1, 2, *range(4, 14)])
    assert path == tmp_path / "out" / "film.overlay.mp4"
    frames, rate = opened(path)
    assert len(frames) == 14
    assert rate == pytest.approx(10)
    assert seconds(path) == pytest.approx(seconds(source)) == pytest.approx(1.4)
    assert len({frame.shape for frame in frames}) == 1
    assert all(side % 2 == 0 for side in frames[0].shape[:2])


def test_a_class_has_one_colour_in_all_frames(tmp_path: Path) -> None:
    (path,) = exported(film(tmp_path / "film.mp4", 14), tmp_path / "out", list(range(14)), style=BARE)
    frames, _ = opened(path)
    pairs = [np.repeat([[label, 140]], 8, 0).repeat(8, 1) for label in range(7)]
    expected = np.array(ClassColours(NAMES).for_images(pairs)[140])
    for frame in frames:
        right = frame[8:-8, 3 * frame.shape[1] // 4 :].reshape(-1, 3).mean(0)
        assert np.abs(right - expected).max() < 12


@pytest.mark.parametrize("times", [[0, 1, 2, 9, 10, 17, 30]])
def test_frames_at_uneven_times_stay_at_theirs(tmp_path: Path, times: list[int]) -> None:
    source = film(tmp_path / "film.mkv", len(times), times=times)
    (path,) = exported(source, tmp_path / "out", list(range(len(times))))
    found = [float(one.start) for one in read_timed_frames(path)]
    assert found == pytest.approx([time / 10 for time in times], abs=0.002)


def test_every_third_frame_is_shown_until_the_next(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", 14)
    (path,) = exported(source, tmp_path / "out", [0, 3, 6, 9, 12])
    starts = [float(one.start) for one in read_timed_frames(path)]
    assert [after - before for before, after in pairwise(starts)] == pytest.approx([0.3] * 4)
    assert seconds(path) == pytest.approx(1.4)


def added(exporter: Exporter, source: Path, index: int = 0, size: tuple[int, int] = (48, 64)) -> None:
    """A frame of a video is done; all its pixels are of class 0."""
    one = Segmentation(np.full((*size, 3), 90, np.uint8), np.zeros(size, np.int32), np.ones(size, np.float32), WORDS)
    name = f"{source.stem}/{index:06d}"
    exporter.add(ExportItem(Path(name), one, frame=VideoFrame(source.name, index, source)))


def test_images_have_no_film(tmp_path: Path) -> None:
    exporter = open_format("video", tmp_path / "out", WORDS)
    exporter.start()
    grey = np.full((8, 8, 3), 90, np.uint8)
    one = Segmentation(grey, np.zeros((8, 8), np.int32), np.ones((8, 8), np.float32), WORDS)
    exporter.add(ExportItem(Path("image"), one))
    assert exporter.has(Path("image"))
    assert exporter.finish() == ()


def test_a_video_that_has_changed_or_is_gone_costs_its_own_film(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = open_format("video", tmp_path / "out", WORDS)
    exporter.start()
    good, changed, gone = (film(tmp_path / f"{name}.mp4") for name in ("good", "changed", "gone"))
    added(exporter, good)
    added(exporter, changed, size=(8, 8))
    added(exporter, gone)
    gone.unlink()
    (earlier := tmp_path / "out" / "gone.overlay.mp4").write_bytes(b"earlier")
    assert exporter.finish() == (tmp_path / "out" / "good.overlay.mp4",)
    assert earlier.read_bytes() == b"earlier"
    assert not (tmp_path / "out" / "changed.overlay.mp4").exists()
    assert "changed.overlay.mp4 is not written; " in caplog.text
    assert f"{changed}: has changed since it was segmented. Segment it again, without resume." in caplog.text
    assert f"gone.overlay.mp4 stays as it is; {gone}: has no frame any more that was segmented. Put" in caplog.text


def test_what_ends_a_run_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = open_format("video", tmp_path / "out", WORDS)
    exporter.start()
    added(exporter, film(tmp_path / "film.mp4"))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(film_writing.FilmWriter, "write", full)
    with pytest.raises(OSError, match="No space left"):
        exporter.finish()


def test_a_video_is_found_from_another_folder_and_where_it_was_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = open_format("video", tmp_path / "out", WORDS)
    exporter.start()
    film(tmp_path / "film.mp4")
    monkeypatch.chdir(tmp_path)
    added(exporter, Path("film.mp4"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(exporter.finish()) == 1
    moved = (tmp_path / "film.mp4").rename(tmp_path / "elsewhere" / "film.mp4")
    first = next((tmp_path / "out").rglob("000000.json"))
    os.utime(first, (1, 1))
    added(exporter, moved, 1)
    (path,) = exporter.finish()
    assert len(opened(path)[0]) == 2


def test_without_an_encoder_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    check_film_encoder()
    monkeypatch.setattr(film_writing, "ENCODERS", ("no such encoder",))
    with pytest.raises(FormatError, match=r"no encoder of H\.264.*pip install"):
        check_film_encoder()
