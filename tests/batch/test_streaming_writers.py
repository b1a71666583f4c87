"""Label maps and overlays written in bands: the same files however an image is cut into bands."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from ahs_seg.batch.jobs import count_labels
from ahs_seg.batch.streaming_writers import RowBuffer, open_sinks
from ahs_seg.inference.tiling import Band
from ahs_seg.output.formats.base import ExportItem
from ahs_seg.output.formats.overlay import write_overlay
from ahs_seg.output.formats.png import write_label_map
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.drawn_images import drawn
from tests.support.geotiffs import PLACE, geotiff
from tests.support.results import blobs

FIVE = Vocabulary.parse("a, b, c, d, e")


def result(labels: np.ndarray, vocabulary: Vocabulary) -> Segmentation:
    return Segmentation(drawn(*labels.shape), labels, np.full(labels.shape, 0.5, np.float32), vocabulary)


def write(whole: Segmentation, paths: dict[str, Path], source: Path, heights: Iterable[int]) -> None:
    """Write a result in bands of these heights."""
    size = whole.labels.shape[0], whole.labels.shape[1]
    top, pixels = 0, Counter[int]()
    with open_sinks(paths, source, size, whole.vocabulary) as sinks:
        for height in heights:
            rows = slice(top, top + height)
            band = Band(top, whole.labels[rows], whole.scores[rows], whole.image[rows])
            pixels.update(count_labels(band.labels))
            for sink in sinks:
                sink.write(band)
            top += height
        assert top == size[0]
        for sink in sinks:
            sink.finish(pixels)


@pytest.mark.parametrize("heights", [(23,), (1,) * 23, (5, 11, 7)])
@pytest.mark.parametrize(("classes", "mode"), [(5, "P"), (256, "P"), (257, "I;16")])
def test_a_label_map_in_bands_is_that_of_the_whole_image(
    classes: int, mode: str, heights: tuple[int, ...], tmp_path: Path
) -> None:
    whole = result(blobs(1, classes=classes), Vocabulary.parse([f"thing {index}" for index in range(classes)]))
    write(whole, {"png": tmp_path / "bands.png"}, tmp_path / "source.png", heights)
    write_label_map(ExportItem(Path("whole"), whole), tmp_path / "whole.png")
    with Image.open(tmp_path / "bands.png") as bands, Image.open(tmp_path / "whole.png") as expected:
        assert bands.mode == expected.mode == mode
        assert np.array_equal(np.asarray(bands), whole.labels)
        assert bands.getpalette() == expected.getpalette()
    names = [(tmp_path / f"{name}.classes.json").read_text() for name in ("bands", "whole")]
    assert names[0] == names[1]


def test_a_buffer_gives_rows_in_multiples_and_the_rest_at_the_end() -> None:
    buffer = RowBuffer(3)
    given = [buffer.add(np.array(rows)).tolist() for rows in ([1, 2], [3, 4], [5], [6, 7, 8, 9, 10])]
    assert given == [[], [1, 2, 3], [], [4, 5, 6, 7, 8, 9]]
    assert buffer.rest().tolist() == [10]


def test_a_geotiff_in_bands_keeps_labels_and_place(tmp_path: Path) -> None:
    whole = result(blobs(2, size=(530, 40), classes=5), FIVE)
    source = geotiff(tmp_path / "field.tif", np.moveaxis(whole.image, -1, 0))
    write(whole, {"geotiff": tmp_path / "out.tif"}, source, (100, 300, 130))  # blocks have 256 rows
    with rasterio.open(tmp_path / "out.tif") as found:
        assert (found.crs.to_epsg(), found.transform) == (32632, PLACE)
        assert np.array_equal(found.read(1), whole.labels)


@pytest.mark.parametrize("heights", [(60,), (7, 50, 3)])
def test_an_overlay_in_bands_is_that_of_the_whole_image(heights: tuple[int, ...], tmp_path: Path) -> None:
    whole = result(blobs(3, size=(60, 40), classes=5), FIVE)
    write(whole, {"overlay": tmp_path / "bands.png"}, tmp_path / "source.png", heights)
    write_overlay(ExportItem(Path("whole"), whole), tmp_path / "whole.png")
    with Image.open(tmp_path / "bands.png") as bands, Image.open(tmp_path / "whole.png") as expected:
        assert np.array_equal(np.asarray(bands), np.asarray(expected))


def test_overlays_of_large_images_are_reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The middle label of each block of 5x5 pixels, the mean of its colours, without the rows and columns left over."""
    monkeypatch.setattr("ahs_seg.batch.streaming_writers.LONGEST", 50)
    whole = result(blobs(4, size=(132, 204), classes=5), FIVE)
    write(whole, {"overlay": tmp_path / "bands.png"}, tmp_path / "source.png", (31, 101))
    small = Segmentation(
        whole.image[:130, :200].reshape(26, 5, 40, 5, 3).mean((1, 3)).astype(np.uint8),
        whole.labels[2:130:5, 2:200:5],
        whole.scores[2:130:5, 2:200:5],
        FIVE,
    )
    write_overlay(ExportItem(Path("small"), small), tmp_path / "small.png")
    with Image.open(tmp_path / "bands.png") as bands, Image.open(tmp_path / "small.png") as expected:
        assert np.array_equal(np.asarray(bands), np.asarray(expected))


def test_nothing_stays_behind_after_an_error(tmp_path: Path) -> None:
    whole = result(blobs(5, size=(20, 30)), FIVE)
    source = geotiff(tmp_path / "field.tif", np.moveaxis(whole.image, -1, 0))
    paths = {"png": tmp_path / "out/a.png", "overlay": tmp_path / "out/b.png", "geotiff": tmp_path / "out/c.tif"}
    (tmp_path / "out").mkdir()

    def interrupted() -> Iterator[int]:
        yield 8
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        write(whole, paths, source, interrupted())
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("size", [(1, 9000), (9000, 1), (3, 9000), (9000, 4)])
def test_the_overlay_of_a_strip_in_bands(size: tuple[int, int], tmp_path: Path) -> None:
    whole = result(np.zeros(size, np.int32), FIVE)
    write(
        whole,
        {"overlay": tmp_path / "strip.png"},
        tmp_path / "source.png",
        [min(size)] if size[0] < 9000 else [900] * 10,
    )
    with Image.open(tmp_path / "strip.png") as overlay:
        assert max(overlay.size) > 1500
