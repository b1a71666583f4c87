"""The index of a prepared data set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.catalog import open_benchmark
from ahs_seg.data.prepare import MissingSourceError, PrepareError
from ahs_seg.data.prepare.index import Index, index_path
from tests.support import miniature
from tests.support.miniature import ADE150_LABELS, FOLDER, NAME, SPEC, prepare, times


def test_the_index_counts_and_holds_checksums(tmp_path):
    root = miniature.ade150(tmp_path)
    prepare(NAME, root)
    index = json.loads(index_path(SPEC, root).read_text())
    assert index_path(SPEC, root) == root / FOLDER / "annotations_detectron2/validation.index.json"
    assert (index["dataset"], index["count"], index["official_count"]) == (NAME, 2, 2000)
    height, width, image_bytes, label_bytes, checksum = index["files"]["ADE_val_00000001"]
    assert (height, width) == (2, 3)
    assert image_bytes == SPEC.image_path(root, "ADE_val_00000001").stat().st_size
    assert label_bytes == SPEC.label_path(root, "ADE_val_00000001").stat().st_size
    assert len(checksum) == 32
    index_path(SPEC, root).write_text('{"format": 9}')
    with pytest.raises(PrepareError, match="format 9, this version reads 1"):
        prepare(NAME, root)


def by_the_original(root: Path) -> None:
    """The tree that the original script leaves, its sources removed."""
    miniature.ade150(root)
    for name in ("ADE_val_00000001", "ADE_val_00000002"):
        path = SPEC.label_path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array(ADE150_LABELS, np.uint8)).save(path)


def test_a_tree_of_the_original_scripts_is_read_and_indexed_as_it_is(tmp_path):
    by_the_original(tmp_path)
    assert open_benchmark(NAME, tmp_path)[0].labels.tolist() == [[-1, 0, 1], [149, 74, -1]]
    before = times(tmp_path)
    assert (prepare(NAME, tmp_path).kept, times(tmp_path)) == (2, before)
    index_path(SPEC, tmp_path).unlink()
    shutil.rmtree(tmp_path / FOLDER / "annotations")
    assert (prepare(NAME, tmp_path).kept, times(tmp_path)) == (2, before)
    with pytest.raises(MissingSourceError):
        prepare(NAME, tmp_path, again=True)
    assert times(tmp_path) == before


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 100_000, "[]", "9" * 5000, '{"format": 1, "files": []}'),
        *(
            f'{{"format": 1, "dataset": "x", "left_out": {{}}, "faulty": {{}}, "files": {{"a": {row}}}}}'
            for row in (
                "[]",
                '["1", 2, 3, 4, "c"]',
                '[1, 2, true, 4, "c"]',
                '[1, 2, -3, 4, "c"]',
                "[1, 2, 3, 4, 5]",
                "7",
            )
        ),
        '{"format": 1, "dataset": "x", "left_out": [], "faulty": {}, "files": {}}',
    ],
)
def test_an_index_with_other_values_is_a_message(tmp_path, text):
    path = index_path(SPEC, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(PrepareError, match="not an index"):
        Index.read(SPEC, tmp_path)
