"""The worker of a run: images of one size together, a bounded number held, and what fails costs itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.batch.jobs import BatchConfig, BatchJob, Done, Failed, LoadedImage, SourceTask, stamp_of
from ahs_seg.batch.sources import InputSource
from ahs_seg.batch.worker import HELD, Worker, exporters_of
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.output.formats import ExportItem, FormatError
from ahs_seg.output.formats.base import SingleFiles
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.batch_runs import run
from tests.support.drawn_images import WORDS, drawn, save
from tests.support.tiny_models import ColourMethod

VOCABULARY = Vocabulary.parse(WORDS)
QUICK = PromptConfig(templates=("a {}",))


def tasks(paths: Sequence[Path]) -> list[SourceTask]:
    return [SourceTask(InputSource(path, path.stem), stamp_of(path)) for path in paths]


def job(output: Path, **settings: object) -> BatchJob:
    return BatchJob(VOCABULARY, output, BatchConfig.model_validate({"formats": ("png",), "readers": 1, **settings}))


@pytest.mark.parametrize("batch", [2, 3, 16])
def test_images_of_one_size_share_a_forward(photos: Path, tmp_path: Path, batch: int) -> None:
    method = ColourMethod()
    segmenter = Segmenter(method, prompts=QUICK, inference=InferenceConfig(batch=batch))
    run(segmenter, photos, tmp_path / "out")
    plain = Segmenter(ColourMethod(), prompts=QUICK)
    counts = {(24, 32): 5, (20, 20): 2}
    for size, count in counts.items():
        shapes = [shape[0] for shape in method.seen if shape[2:] == size]
        assert sum(shapes) == count
        assert max(shapes) == min(batch, count)
    for path in photos.rglob("*.png"):
        found = np.asarray(Image.open(tmp_path / "out" / path.relative_to(photos)))
        assert (found == plain(path, WORDS).labels).mean() > 0.999


def test_an_outcome_tells_name_size_and_pixels_of_every_label(tmp_path: Path) -> None:
    segmenter = Segmenter(ColourMethod(), prompts=QUICK)
    path = save(tmp_path / "a.png", drawn(24, 32))
    (done,) = Worker(segmenter, job(tmp_path / "out"))(tasks([path]))
    assert isinstance(done, Done)
    labels = segmenter(path, WORDS).labels
    assert done.pixels == {int(label): int((labels == label).sum()) for label in np.unique(labels)}
    assert (done.name, done.path, done.size, done.stamp[0]) == ("a", str(path), (24, 32), path.stat().st_size)


def test_a_file_that_cannot_be_read_is_an_outcome_too(tmp_path: Path) -> None:
    good = save(tmp_path / "good.png", drawn(8, 8))
    (tmp_path / "text.png").write_text("text")
    worker = Worker(Segmenter(ColourMethod(), prompts=QUICK), job(tmp_path / "out"))
    outcomes = {Path(one.path).name: one for one in worker(tasks([good, tmp_path / "text.png", tmp_path / "gone.png"]))}
    failed = {name: one.reason for name, one in outcomes.items() if isinstance(one, Failed)}
    assert failed.keys() == {"text.png", "gone.png"}
    assert "not in a supported format" in failed["text.png"]
    assert "no such file" in failed["gone.png"]


def test_images_wait_for_others_of_their_size_in_bounded_number(tmp_path: Path) -> None:
    batch = 2
    worker = Worker(
        Segmenter(ColourMethod(), prompts=QUICK, inference=InferenceConfig(batch=batch)), job(tmp_path / "out")
    )
    widths = [8, 9, 8, *range(10, 40), 10]
    taken: list[LoadedImage] = []

    def ready() -> Iterator[LoadedImage]:
        for task, width in zip(tasks([tmp_path / f"{index}.png" for index in range(len(widths))]), widths, strict=True):
            taken.append(LoadedImage(task, None, drawn(8, width)))
            yield taken[-1]

    shown: list[LoadedImage] = []
    for number, group in enumerate(worker._grouped(ready(), batch)):
        assert len({image.pixels.shape for image in group}) == 1
        if number == 0:
            assert ([image.name for image in group], len(taken)) == (["0", "2"], 3), "as soon as there are enough"
        shown += group
        assert len(taken) - len(shown) < HELD * batch
    assert sorted(map(id, shown)) == sorted(map(id, taken))


def test_a_format_that_cannot_store_a_result_costs_that_image(tmp_path: Path) -> None:
    def refuse_wide(item: ExportItem, path: Path) -> None:
        if item.result.labels.shape[1] > 10:
            raise FormatError(f"{path}: too wide")
        path.write_text("written")

    def own(output: Path, vocabulary: Vocabulary) -> SingleFiles:
        return SingleFiles(output, vocabulary, ".own", refuse_wide)

    (tmp_path / "out").mkdir()
    paths = [save(tmp_path / f"{width}.png", drawn(8, width)) for width in (8, 16)]
    mine = BatchJob(VOCABULARY, tmp_path / "out", BatchConfig(formats=()), (own,))
    outcomes = {
        Path(one.path).stem: one for one in Worker(Segmenter(ColourMethod(), prompts=QUICK), mine)(tasks(paths))
    }
    assert isinstance(outcomes["8"], Done)
    assert outcomes["16"] == Failed(str(paths[1]), f"{paths[1]}: {tmp_path / 'out' / '16.own'}: too wide")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["8.own"]


def test_exporters_are_those_named_then_the_callers_own(tmp_path: Path) -> None:
    given: list[tuple[Path, Vocabulary]] = []

    def own(output: Path, vocabulary: Vocabulary) -> SingleFiles:
        given.append((output, vocabulary))
        return SingleFiles(output, vocabulary, ".own", lambda item, path: None)

    found = exporters_of(BatchJob(VOCABULARY, tmp_path, BatchConfig(formats=("png", "overlay")), (own,)))
    suffixes = [one.suffix for one in found if isinstance(one, SingleFiles)]
    assert suffixes == [".png", ".overlay.png", ".own"]
    assert given == [(tmp_path, VOCABULARY)]
