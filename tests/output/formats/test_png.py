import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.io.images import read_labels
from ahs_seg.output.formats import Exporter, open_format
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import WORDS, blobs, item, made


def test_label_map_with_unknown_pixels(tmp_path: Path):
    labels = blobs(0, unknown=True)
    exporter = open_format("png", tmp_path, WORDS)
    assert isinstance(exporter, Exporter)
    exporter.start()
    assert not exporter.has(Path("deep/a.b"))
    exporter.add(item("deep/a.b", labels))
    assert exporter.has(Path("deep/a.b"))
    assert exporter.finish() == ()
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["a.b.classes.json", "a.b.png"]
    assert np.array_equal(read_labels(tmp_path / "deep/a.b.png"), np.where(labels == IGNORE, 255, labels))
    names = json.loads((tmp_path / "deep/a.b.classes.json").read_text(encoding="utf-8"))
    assert names["classes"] == WORDS.labels
    assert names["unknown"] == {"value": 255, "pixels": int((labels == IGNORE).sum())}
    assert sum(names["pixels"].values()) + names["unknown"]["pixels"] == labels.size
    with Image.open(tmp_path / "deep/a.b.png") as image:
        shown = np.asarray(image.convert("RGB"))
    assert (shown[labels == IGNORE] == 128).all()


@pytest.mark.parametrize(("classes", "mode", "value"), [(255, "P", 255), (256, "I;16", 65535)])
def test_unknown_never_takes_the_place_of_a_class(classes, mode, value, tmp_path: Path):
    words = Vocabulary.parse([f"thing {index}" for index in range(classes)])
    open_format("png", tmp_path, words).add(item("x", [[classes - 1, IGNORE]], words))
    assert read_labels(tmp_path / "x.png").tolist() == [[classes - 1, value]]
    with Image.open(tmp_path / "x.png") as image:
        assert image.mode == mode


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    exporter = open_format("png", tmp_path, WORDS)
    exporter.add(item("x", [[0, 1]]))

    def fail(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        exporter.add(item("x", [[2, 2]]))
    monkeypatch.undo()
    assert read_labels(tmp_path / "x.png").tolist() == [[0, 1]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.classes.json", "x.png"]


def test_names_of_a_label_map_take_no_other_file_s_place(tmp_path: Path) -> None:
    found = made([[0, 1]])
    coco = found.save(tmp_path / "coco.json").read_bytes()
    found.save(tmp_path / "coco.png")
    assert (tmp_path / "coco.json").read_bytes() == coco
