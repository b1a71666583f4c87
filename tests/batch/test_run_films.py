"""Runs that write the overlays of videos as films."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from PIL import Image

from ahs_seg.batch import BatchConfig, segment_files
from ahs_seg.output.formats import FormatError
from ahs_seg.segmenter import Segmenter
from tests.support.batch_runs import run
from tests.support.drawn_images import WORDS
from tests.support.films import cut, film

CONFIG = BatchConfig.model_validate({"formats": ("overlay", "video"), "overlay": {"legend": False}})


def test_a_run_writes_a_film_and_resumes(segmenter: Segmenter, tmp_path: Path) -> None:
    folder, out = tmp_path / "in" / "deep", tmp_path / "out"
    folder.mkdir(parents=True)
    source = film(folder / "film.mp4", 5)
    Image.new("RGB", (40, 30)).save(folder / "still.png")
    summary = run(segmenter, tmp_path / "in", out, config=CONFIG)
    path = out / "deep" / "film.overlay.mp4"
    assert (summary.done, summary.files) == (6, (path,))
    video = cv2.VideoCapture(str(path))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    size = [video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)]
    with Image.open(out / "deep" / "film" / "000000.overlay.png") as frame:
        assert size == list(frame.size)
    path.unlink()
    again = run(segmenter, tmp_path / "in", out, config=CONFIG, resume=True)
    assert (again.done, again.skipped, again.files) == (0, 6, (path,))
    assert source.exists()


def test_the_film_of_a_damaged_video_has_the_frames_that_are_there(segmenter: Segmenter, tmp_path: Path) -> None:
    source = cut(film(tmp_path / "film.mp4", 40), 0.5)
    summary = run(segmenter, source, tmp_path / "out", config=CONFIG)
    assert 1 < summary.done < 40
    assert [failure.path for failure in summary.failures] == [str(source)]
    assert cv2.VideoCapture(str(summary.files[0])).get(cv2.CAP_PROP_FRAME_COUNT) == summary.done


def test_a_video_that_is_gone_costs_its_own_film(segmenter: Segmenter, tmp_path: Path) -> None:
    out, config = tmp_path / "out", CONFIG.replace(formats=("video", "coco"))
    first, second = film(tmp_path / "a.mp4", 3), film(tmp_path / "b.mp4", 3)
    segment_files(segmenter, [first, second], WORDS, out, config=config, progress=False)
    first.unlink()
    earlier = (out / "a.overlay.mp4").read_bytes()
    (out / "b.overlay.mp4").unlink()
    (out / "coco.json").unlink()
    again = run(segmenter, second, out, config=config, resume=True)
    assert again.files == (out / "b.overlay.mp4", out / "coco.json")
    assert all(path.exists() for path in again.files)
    assert (out / "a.overlay.mp4").read_bytes() == earlier


def test_films_of_images_only_are_refused_before_any_work(segmenter: Segmenter, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "still.png")
    with pytest.raises(FormatError, match="none of the inputs is one"):
        run(segmenter, tmp_path / "still.png", tmp_path / "out", config=CONFIG)
    assert not (tmp_path / "out").exists()
