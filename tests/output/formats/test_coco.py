import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from ahs_seg.output.formats import FormatError, open_format
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import WORDS, blobs, item, made

LABELS = {"b/two": blobs(1, unknown=True), "a": blobs(2, size=(9, 40)), "c": np.full((3, 5), IGNORE)}


def run(folder: Path, names: list[str], words: Vocabulary = WORDS, *, resume: bool = False) -> Path:
    exporter = open_format("coco", folder, words)
    exporter.start(resume=resume)
    for name in names:
        assert not exporter.has(Path(name))
        exporter.add(item(name, LABELS[name], words, Path(f"photos/{name}.JPG")))
        assert exporter.has(Path(name))
    (path,) = exporter.finish()
    return path


def test_pycocotools_reads_every_mask(tmp_path: Path):
    path = run(tmp_path, list(LABELS))
    coco = COCO(path)
    assert [image["file_name"] for image in coco.imgs.values()] == ["a.JPG", "b/two.JPG", "c.JPG"]
    assert [category["name"] for category in coco.cats.values()] == WORDS.labels
    for image in coco.imgs.values():
        labels = LABELS[image["file_name"].removesuffix(".JPG")]
        assert (image["height"], image["width"]) == labels.shape
        found = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        assert sorted(one["category_id"] - 1 for one in found) == sorted(set(labels.ravel().tolist()) - {IGNORE})
        for one in found:
            mask = labels == one["category_id"] - 1
            assert np.array_equal(coco.annToMask(one).astype(bool), mask)
            assert one["area"] == mask.sum()
            x, y, width, height = one["bbox"]
            assert mask[y : y + height, x : x + width].sum() == mask.sum()
            assert mask[:, [x, x + width - 1]].any(0).all()
            assert mask[[y, y + height - 1]].any(1).all()
            assert one["score"] == 0.75


def test_ids_are_unique_and_the_file_does_not_depend_on_the_order(tmp_path: Path):
    one, other = run(tmp_path / "1", list(LABELS)), run(tmp_path / "2", list(LABELS)[::-1])
    assert one.read_bytes() == other.read_bytes()
    ids = [annotation["id"] for annotation in json.loads(one.read_text(encoding="utf-8"))["annotations"]]
    assert ids == list(range(1, len(ids) + 1))


def test_a_killed_run_goes_on(tmp_path: Path):
    whole = run(tmp_path / "whole", list(LABELS))
    folder = tmp_path / "killed"
    exporter = open_format("coco", folder, WORDS)
    exporter.start()
    exporter.add(item("a", LABELS["a"], source=Path("photos/a.JPG")))
    (folder / ".parts/coco/items/.b.json.draft").write_text("half of a pa")  # what a kill may leave
    assert not list(folder.glob("*.json"))
    assert open_format("coco", folder, WORDS).has(Path("a"))
    assert run(folder, ["b/two", "c"], resume=True).read_bytes() == whole.read_bytes()


def test_a_new_run_forgets_the_old_one(tmp_path: Path):
    run(tmp_path, list(LABELS))
    assert len(COCO(run(tmp_path, ["a"])).imgs) == 1


def test_resuming_with_other_classes_is_refused(tmp_path: Path):
    run(tmp_path, ["a"])
    with pytest.raises(FormatError, match="other classes"):
        open_format("coco", tmp_path, Vocabulary.parse("cat, dog, sky")).start(resume=True)


def test_background_is_what_no_annotation_covers(tmp_path: Path):
    words = Vocabulary.parse("cat, dog").with_background(["wall", "floor"])
    coco = COCO(run(tmp_path, ["a"], words))
    assert [category["name"] for category in coco.cats.values()] == ["cat", "dog"]
    assert {one["category_id"] for one in coco.anns.values()} == {1, 2}


def test_a_run_without_images_is_valid(tmp_path: Path):
    assert COCO(run(tmp_path, [])).imgs == {}


def test_one_result_alone(tmp_path: Path):
    found = made(LABELS["a"])
    document = found.to_coco(file_name="street.jpg")
    assert document["images"] == [{"id": 1, "file_name": "street.jpg", "width": 40, "height": 9}]
    found.save(tmp_path / "one.json")
    coco = COCO(tmp_path / "one.json")
    assert np.array_equal(
        coco.annToMask(coco.anns[1]).astype(bool), found.masks()[WORDS.labels[coco.anns[1]["category_id"] - 1]]
    )
