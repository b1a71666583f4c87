"""Results of a run: what is missing is found."""

import pytest

from ahs_seg.batch import BatchConfig
from ahs_seg.batch.journal import JournalError
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.io.folder_lock import FOLDER
from ahs_seg.segmenter import Segmenter
from tests.support.batch_runs import run
from tests.support.drawn_images import WORDS
from tests.support.tiny_models import ColourMethod


def test_a_line_that_was_cut_off_does_not_count(segmenter, photos, tmp_path):
    out = tmp_path / "out"
    run(segmenter, photos, out)
    part = next((out / FOLDER).glob("done-*.jsonl"))
    part.write_bytes(part.read_bytes()[:-10])
    again = run(segmenter, photos, out, resume=True)
    assert (again.done, again.skipped) == (1, 6)
    assert run(segmenter, photos, out, resume=True).skipped == 7


@pytest.mark.parametrize(
    ("words", "seed", "differs"), [("cat, sofa, bed", 0, "classes"), (WORDS, 1, "model"), (WORDS, 0, None)]
)
def test_other_words_or_another_model_are_refused(segmenter, photos, tmp_path, words, seed, differs):
    out = tmp_path / "out"
    run(segmenter, photos, out)
    other = Segmenter(ColourMethod(seed=seed), prompts=segmenter.prompts)
    if differs is None:
        assert run(other, photos, out, words, resume=True).skipped == 7
        return
    for resume in (True, False):
        with pytest.raises(
            JournalError, match=f"made with other {differs}. Give another output folder, or delete this"
        ):
            run(other, photos, out, words, resume=resume)


def test_another_tokenizer_or_image_statistics_are_refused(segmenter, photos, tmp_path):
    run(segmenter, photos, tmp_path / "out")
    other = Segmenter(ColourMethod(), prompts=segmenter.prompts)
    other.method.backbone.mean = (0.1, 0.1, 0.1)
    with pytest.raises(JournalError, match="made with other tokenizer or image statistics"):
        run(other, photos, tmp_path / "out", resume=True)


def test_another_type_is_refused(segmenter, photos, tmp_path):
    run(segmenter, photos, tmp_path / "out")
    other = Segmenter(ColourMethod(), prompts=segmenter.prompts).to(dtype="bf16")
    with pytest.raises(JournalError, match="made with other dtype"):
        run(other, photos, tmp_path / "out", resume=True)


def test_another_batch_or_format_does_not_hinder_resuming(segmenter, photos, tmp_path):
    out = tmp_path / "out"
    run(segmenter, photos, out, config=BatchConfig(formats=("png",)))
    more = Segmenter(ColourMethod(), prompts=segmenter.prompts, inference=InferenceConfig(batch=4, memory_mb=99))
    assert run(more, photos, out, config=BatchConfig(formats=("png",)), resume=True).skipped == 7
    assert run(more, photos, out, config=BatchConfig(formats=("png", "overlay")), resume=True).done == 7
