from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.folder import FolderDataset
from ahs_seg.evaluation import EvaluationError, EvaluationReport, evaluate
from ahs_seg.evaluation.journal import journal_folder, recorded
from ahs_seg.metrics import Measures
from tests.support.datasets import Pictures, always_sky, oracle
from tests.support.forks import forked
from tests.support.label_folders import label_folder


def run(journal: Path | str | None = None, predict=always_sky, **options) -> EvaluationReport:
    settings: dict[str, Any] = {
        "method": "constant",
        "name": "pictures",
        "protocol": "whole image",
        "progress": False,
    } | options
    return evaluate(predict, settings.pop("dataset", Pictures()), journal=journal, **settings)


def lines(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) - 1 for path in folder.rglob("*.jsonl"))


def test_what_is_in_the_journal_is_not_predicted_again(tmp_path):
    asked = []

    def watched(image):
        asked.append(image.shape)
        return always_sky(image)

    whole = run(measures=Measures(boundary=True, pairs=True))
    run(tmp_path, watched, indices=[0, 3], measures=Measures(boundary=True))
    assert len(asked) == 2
    report = run(tmp_path, watched, measures=Measures(boundary=True, pairs=True))
    assert len(asked) == 6
    assert (report.counts, report.images, report.scores) == (whole.counts, whole.images, whole.scores)
    run(str(tmp_path), watched, measures=Measures(boundary=True))
    assert len(asked) == 6


def test_a_line_that_was_cut_off_is_not_read(tmp_path):
    whole = run(tmp_path)
    path = next(tmp_path.rglob("*.jsonl"))
    for size in range(1, path.stat().st_size, 17):
        cut = tmp_path / f"cut-{size}"
        copy = journal_folder(cut, "whole image") / "a.jsonl"
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes()[:size])
        assert run(cut).counts == whole.counts


def test_an_image_that_failed_is_tried_again(tmp_path):
    assert run(tmp_path, dataset=Pictures(broken=(2,))).images == 5
    assert run(tmp_path).counts == run().counts


def test_images_whose_files_have_changed_are_counted_anew(tmp_path):
    maps = [np.full((4, 4), value, np.uint8) for value in (0, 1, 0)]
    asked = []

    def watched(image):
        asked.append(1)
        return always_sky(image)

    def again() -> EvaluationReport:
        return run(tmp_path / "journal", watched, dataset=FolderDataset(root, split="train"))

    root = tmp_path / "streets"
    label_folder(root, maps, "sky, road")
    assert again().scores.pacc == pytest.approx(2 / 3)
    Image.fromarray(maps[0]).save(root / "annotations/train/001.png")
    assert again().scores.pacc == 1
    assert again().counts == run(dataset=FolderDataset(root, split="train")).counts
    assert len(asked) == 4
    newest = dict(recorded(journal_folder(tmp_path / "journal", "whole image")))
    assert [newest[index].pairs[0][0] for index in range(3)] == [0, 0, 0]
    (root / "annotations/train/000.png").replace(root / "annotations/train/003.png")
    (root / "images/train/000.png").replace(root / "images/train/003.png")
    assert again().counts == run(dataset=FolderDataset(root, split="train")).counts
    assert len(asked) == 7


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"method": "other"}, "method"),
        ({"name": "n"}, "dataset"),
        ({"identity": "w2"}, "identity"),
        ({"measures": Measures(boundary=True)}, "boundary"),
    ],
)
def test_a_journal_of_something_else_is_refused(tmp_path, change, named):
    run(tmp_path)
    with pytest.raises(EvaluationError, match=rf"another evaluation:\n  {named}: was "):
        run(tmp_path, **change)


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    options: dict[str, Any] = {"method": "m", "name": "n", "protocol": "p", "progress": False}

    def slow(image):
        time.sleep(0.05)
        return oracle(image)

    process = forked(lambda: evaluate(slow, Pictures(150), journal=tmp_path, **options))
    deadline = time.monotonic() + 90
    while lines(tmp_path) < 8 and time.monotonic() < deadline and process.is_alive():
        time.sleep(0.05)
    process.kill()
    process.join()
    kept = lines(tmp_path)
    assert 8 <= kept < 150
    asked = []

    def watched(image):
        asked.append(1)
        return oracle(image)

    report = evaluate(watched, Pictures(150), journal=tmp_path, **options)
    assert len(asked) in (150 - kept, 150 - kept + 1)  # the last line may have been cut off
    plain = evaluate(oracle, Pictures(150), **options)
    assert (report.counts, report.images) == (plain.counts, 150)
    assert json.loads(next(tmp_path.rglob("*.jsonl")).read_text().splitlines()[0])["images"] == 150
