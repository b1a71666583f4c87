from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.catalog import CatalogError, find_spec
from ahs_seg.data.prepare.index import index_path
from ahs_seg.data.prepare.verification import state, verify
from tests.support import miniature
from tests.support.miniature import prepare

NAME = "ade20k-150"
SPEC = find_spec(NAME)


def check(root):
    return verify(NAME, root, workers=1, progress=False)


def make(root, count):
    miniature.ade150(root, count)
    prepare(NAME, root)
    label = [SPEC.label_path(root, name) for name in SPEC.label_names(root)]
    return label, [SPEC.image_path(root, name) for name in SPEC.label_names(root)]


def test_a_sound_tree(tmp_path):
    make(tmp_path, 3)
    found = check(tmp_path)
    assert (found.checked, found.faults) == (3, ())
    assert found.notes == ("the official split has 2000 images, this one 3.",)
    assert str(found).startswith("ADE20K-150: 3 images checked, no faults.")


def test_every_kind_of_fault_names_its_file(tmp_path):
    label, image = make(tmp_path, 10)
    label[0].unlink()
    label[1].write_bytes(label[1].read_bytes()[:50])
    Image.fromarray(np.full((2, 3), 150, np.uint8)).save(label[2])
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(label[3])
    image[4].unlink()
    image[5].write_bytes(image[5].read_bytes()[:300])
    miniature.write_image(image[6], 3, 2)
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(label[7].with_name("stray.png"))
    faults = check(tmp_path).faults
    for path, words in [
        (label[0], "missing. Prepare again"),
        (label[1], "cut short since it was prepared"),
        (label[1], "damaged or incomplete"),
        (label[2], "label value 150; ADE20K-150 allows 0..149 and 255"),
        (label[2], "since it was prepared"),
        (label[3], "label map is 4x4, its image 3x2"),
        (image[4], "no such file"),
        (image[5], "cut short since it was prepared (300 bytes"),
        (image[5], "damaged or incomplete image"),
        (label[6], "label map is 3x2, its image 2x3"),
        (label[7].with_name("stray.png"), "not in the index"),
    ]:
        assert any(fault.startswith(f"{path}: ") and words in fault for fault in faults), (path, words)
    sound = [label[8], image[8], label[9], image[9], label[7], image[7]]
    assert not [fault for fault in faults if any(fault.startswith(str(path)) for path in sound)]


def test_a_label_map_that_was_changed_for_another_sound_one(tmp_path):
    label, _ = make(tmp_path, 2)
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(label[0])
    assert [fault.partition(" (")[0].partition(": ")[0] for fault in check(tmp_path).faults] == [str(label[0])]


def test_faults_of_the_preparation_are_repeated(tmp_path):
    miniature.ade150(tmp_path)
    miniature.write_image(SPEC.image_path(tmp_path, "ADE_val_00000001"), 9, 9)
    prepare(NAME, tmp_path)
    assert any("ADE_val_00000001: was faulty when it was prepared" in fault for fault in check(tmp_path).faults)
    assert state(SPEC, tmp_path) == "prepared, 1 images, 1 faulty"


def test_without_an_index_everything_is_read_all_the_same(tmp_path):
    label, image = make(tmp_path, 3)
    index_path(SPEC, tmp_path).unlink()
    assert state(SPEC, tmp_path) == "3 images, no index"
    found = check(tmp_path)
    assert found.faults == ()
    assert "made by other scripts" in found.notes[0]
    image[1].write_bytes(image[1].read_bytes()[:300])
    label[2].write_bytes(b"")
    assert [fault.split(": ")[0] for fault in check(tmp_path).faults] == [str(image[1]), str(label[2])]


def test_what_was_left_out_is_a_note(tmp_path):
    miniature.voc(tmp_path, {"2007_000033": [[1, 2]], "2007_000042": [[0, 255]]})
    prepare("pascal-voc-20", tmp_path)
    found = verify("pascal-voc-20", tmp_path, workers=1, progress=False)
    assert found.faults == ()
    assert "2007_000042 is left out: no pixel of it is labelled, as in the original" in found.notes


def test_nothing_there(tmp_path):
    with pytest.raises(CatalogError, match=r"nothing in .*Prepare it: ahs-seg data prepare ade20k-150 --root"):
        check(tmp_path)
    assert state(SPEC, tmp_path) == "not prepared"
