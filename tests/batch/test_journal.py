"""Results of a run: what is missing is found."""

import pytest

from ahs_seg.batch import BatchConfig
from ahs_seg.batch.journal import JournalError
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.io.folder_lock import FOLDER
from ahs_seg.segmenter import Segmenter
from tests.support.batch_runs import run
from tests.support.tiny_models import ColourMethod


def test_a_line_that_was_cut_off_does_not_count(segmenter, photos, tmp_path):
    out = tmp_path / "out"
    run(segmenter, photos, out)
    part = next((out / FOLDER).glob("done-*.jsonl"))
    part.write_bytes(part.read_bytes()[:-10])
    again = run(segmenter, photos, out, resume=True)
    assert (again.done, again.skipped) == (1, 6)
    assert run(segmenter, photos, out, resume=True).skipped == 7


def test_what_a_format_alone_depends_on_is_kept_while_others_are_written(segmenter, photos, tmp_path):
    out = tmp_path / "out"
    config = BatchConfig.model_validate({"formats": ("npz", "overlay"), "top_k": 2, "overlay": {"legend": False}})
    run(segmenter, photos, out, config=config)
    assert run(segmenter, photos, out, config=BatchConfig(formats=("png",)), resume=True).done == 7
    others = {"top_k": BatchConfig(formats=("npz",)), "style of overlays": BatchConfig(formats=("overlay",))}
    for differs, other in others.items():
        with pytest.raises(JournalError, match=f"made with other {differs}"):
            run(segmenter, photos, out, config=other, resume=True)
    assert run(segmenter, photos, out, config=config, resume=True).skipped == 7


def test_another_batch_or_format_does_not_hinder_resuming(segmenter, photos, tmp_path):
    out = tmp_path / "out"
    run(segmenter, photos, out, config=BatchConfig(formats=("png",)))
    more = Segmenter(ColourMethod(), prompts=segmenter.prompts, inference=InferenceConfig(batch=4, memory_mb=99))
    assert run(more, photos, out, config=BatchConfig(formats=("png",)), resume=True).skipped == 7
    assert run(more, photos, out, config=BatchConfig(formats=("png", "overlay")), resume=True).done == 7
