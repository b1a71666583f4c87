"""What travels through a run: names, stamps, images that cannot be read, pixels per label."""

from pathlib import Path

import numpy as np
import pytest

from ahs_seg.batch.jobs import (
    BatchConfig,
    Failed,
    LoadedImage,
    SourceTask,
    count_labels,
    frame_name,
    images_of,
    read,
    stamp_of,
)
from ahs_seg.batch.sources import InputSource
from ahs_seg.config import ConfigError
from ahs_seg.inference.tiling import TileConfig
from ahs_seg.types import IGNORE
from tests.support.drawn_images import drawn, save
from tests.support.films import film


def task(path: Path, name: str = "a", skip: frozenset[int] = frozenset()) -> SourceTask:
    return SourceTask(InputSource(path, name), stamp_of(path), skip)


def test_images_of_files_are_read_late_and_frames_at_once(tmp_path: Path) -> None:
    photo, clip = save(tmp_path / "a.png", drawn(6, 8)), film(tmp_path / "b.mp4", 5)
    found = list(images_of([task(photo), task(clip, "b", frozenset([2]))], every=2))
    assert [one.name for one in found if isinstance(one, LoadedImage)] == ["a", "b/000000", "b/000004"]
    assert [one.pixels is None for one in found if isinstance(one, LoadedImage)] == [True, False, False]
    first = read(found[0])
    assert isinstance(first, LoadedImage)
    assert np.array_equal(np.asarray(first.pixels), drawn(6, 8))
    assert read(found[1]) is found[1]  # it has its pixels already


def test_what_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "text.mp4").write_text("no film")
    still = list(images_of([task(tmp_path / "text.png"), task(tmp_path / "text.mp4", "b")], every=1))
    found = [read(one) for one in still]
    assert [Path(one.path).name for one in found if isinstance(one, Failed)] == ["text.png", "text.mp4"]
    assert read(found[0]) is found[0]


def test_stamps_follow_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert stamp_of(path) == (0, 0)
    path.write_bytes(b"abc")
    before = stamp_of(path)
    assert before[0] == 3
    path.write_bytes(b"abcd")
    assert stamp_of(path) != before


def test_frames_sort_as_they_come() -> None:
    source = InputSource(Path("film.mp4"), "film")
    names = [frame_name(source, number) for number in (0, 9, 10, 123456)]
    assert names == sorted(names) == ["film/000000", "film/000009", "film/000010", "film/123456"]


def test_labels_are_counted_and_add_up() -> None:
    labels = np.array([[2, 2, IGNORE], [0, 2, IGNORE]], np.int32)
    assert count_labels(labels) == {2: 3, 0: 1, IGNORE: 2}
    assert count_labels(np.zeros((2, 3), np.int32)) == {0: 6}


@pytest.mark.parametrize("wrong", ["every=0", "readers=0", "formats=[gif]", "tiles={size: 0}"])
def test_wrong_settings_name_their_key(wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong.partition("=")[0]):
        BatchConfig.parse({}, [wrong])


def test_unknown_pixels_need_whole_images() -> None:
    assert BatchConfig(unknown_below=0.5).unknown_below == 0.5
    with pytest.raises(ConfigError, match="unknown_below is for whole images"):
        BatchConfig(unknown_below=0.5, tiles=TileConfig())
    with pytest.raises(ConfigError, match="unknown_below"):
        BatchConfig(unknown_below=1.5)
