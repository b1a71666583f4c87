"""Arrays for numpy: what is read back is what was found, and needs no pickles."""

from pathlib import Path

import numpy as np

from ahs_seg.output.formats import ExportItem, open_format
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.types import IGNORE
from tests.support.results import WORDS, blobs, item


def test_arrays_come_back_without_pickles(tmp_path: Path) -> None:
    labels = blobs(1, unknown=True)
    open_format("npz", tmp_path, WORDS).add(item("deep/a.b", labels))
    with np.load(tmp_path / "deep/a.b.npz", allow_pickle=False) as stored:
        assert set(stored.files) == {"labels", "scores", "classes"}
        assert stored["labels"].dtype == np.int32
        assert np.array_equal(stored["labels"], labels)
        assert (stored["labels"] == IGNORE).any()
        assert stored["scores"].dtype == np.float16
        assert (stored["scores"] == 0.75).all()
        assert stored["classes"].tolist() == WORDS.labels


def test_the_best_classes_of_every_pixel_are_stored(tmp_path: Path) -> None:
    labels, scores = np.array([[[0, 1]], [[2, 2]]], np.int32), np.array([[[0.5, 0.5]], [[0.25, 0.125]]], np.float32)
    image = np.zeros((1, 2, 3), np.uint8)
    result = Segmentation(image, labels[0], scores[0], WORDS, top_labels=labels, top_scores=scores)
    open_format("npz", tmp_path, WORDS).add(ExportItem(Path("a"), result))
    with np.load(tmp_path / "a.npz") as stored:
        assert np.array_equal(stored["top_labels"], labels)
        assert stored["top_scores"].dtype == stored["scores"].dtype == np.float16
        assert np.array_equal(stored["top_scores"], scores)


def test_a_second_result_takes_the_place_of_the_first(tmp_path: Path) -> None:
    exporter = open_format("npz", tmp_path, WORDS)
    for values in ([[0, 1]], [[2, 2]]):
        exporter.add(item("a", values))
    with np.load(tmp_path / "a.npz") as stored:
        assert stored["labels"].tolist() == [[2, 2]]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
