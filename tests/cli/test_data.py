"""The command line, and processes that are killed."""

from __future__ import annotations

import json
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ahs_seg.cli.data import app
from ahs_seg.data.catalog import find_spec
from ahs_seg.data.prepare.index import index_path
from ahs_seg.io import atomic
from ahs_seg.io.drafts import FILE_ENDING
from ahs_seg.io.folder_lock import FolderInUseError
from tests.support import miniature
from tests.support.annotations import exported, save_image
from tests.support.forks import forked
from tests.support.label_folders import discs, label_folder
from tests.support.miniature import ADE150_LABELS, prepare, stored

NAME = "ade20k-150"
SPEC = find_spec(NAME)


def run(*arguments: object, **environment: str):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment or None)


def test_prepare_verify_list(tmp_path):
    root = miniature.ade150(tmp_path)
    assert "ade20k-150             150 classes, 2,000 images        not prepared" in run("list", "--root", root).output
    done = run("prepare", NAME, "--root", root)
    assert done.exit_code == 0
    assert "ADE20K-150: 2 images, 2 label maps made" in done.output
    assert run("verify", NAME, "--root", root).exit_code == 0
    assert "prepared, 2 images" in run("list", DETECTRON2_DATASETS=str(root)).output
    SPEC.label_path(root, "ADE_val_00000001").unlink()
    found = run("verify", NAME, DETECTRON2_DATASETS=str(root))
    assert found.exit_code == 1
    assert "ADE_val_00000001.png: missing" in found.output
    assert run("prepare", NAME, DETECTRON2_DATASETS=str(root)).exit_code == 0
    assert run("verify", NAME, DETECTRON2_DATASETS=str(root)).exit_code == 0


def test_faults_are_an_exit_status(tmp_path):
    root = miniature.ade150(tmp_path)
    miniature.write_image(SPEC.image_path(root, "ADE_val_00000001"), 9, 9)
    done = run("prepare", NAME, "--root", root)
    assert done.exit_code == 1
    assert "faulty: ADE_val_00000001" in done.output


def test_the_error_of_one_benchmark_leaves_the_others(tmp_path):
    root = miniature.ade150(tmp_path)
    done = run("prepare", "pascal-voc-20", NAME, "--root", root)
    assert done.exit_code == 1
    assert "ADE20K-150: 2 images" in done.output
    done = run("verify", "pascal-voc-20", NAME, "--root", root)
    assert done.exit_code == 1
    assert "ADE20K-150: 2 images checked, no faults." in done.output
    index_path(SPEC, root).write_text("{")
    done = run("list", "--root", root)
    assert done.exit_code == 1
    assert "coco-stuff-171-train" in done.output


def test_check_of_a_folder_counts_its_labels(tmp_path):
    label_folder(tmp_path, [discs([0, 1, 255])], "sky, road")
    label_folder(tmp_path, [discs([0, 1])], "sky, road", split="val")
    done = run("check", tmp_path, "--split", "train", "--validation-split", "val")
    assert done.exit_code == 0, done.output
    assert f"{tmp_path.name}/train: 1 label map read" in done.output
    assert f"{tmp_path.name}/val: 1 label map read" in done.output
    assert done.output.endswith("nothing found\n")


def test_check_of_data_that_train_would_refuse(tmp_path):
    label_folder(tmp_path, [discs([0, 255])] * 3, "ground, cat")
    done = run("check", tmp_path, "--limit", 2, "--json")
    assert done.exit_code == 1
    found = json.loads(done.output)
    assert [finding["code"] for finding in found["findings"]] == ["black-and-white"]
    assert (found["training"]["read"], found["training"]["images"]) == (2, 3)
    assert "error: " in run("check", tmp_path).output


def test_check_reads_labels_as_a_training_would(tmp_path):
    for split in ("train", "val"):
        label_folder(tmp_path, [discs([1, 2, 0])], "sky, road", split=split)
    words = ["check", tmp_path, "--split", "train", "--validation-split", "val"]
    done = run(*words)
    assert done.exit_code == 1
    assert "set data.offset=1" in done.output
    done = run(*words, "--set", "data.offset=1")
    assert done.exit_code == 0, done.output
    assert done.output.endswith("nothing found\n")


def test_check_says_what_train_would_say_of_one_damaged_image(tmp_path):
    label_folder(tmp_path / "folder", [discs([0, 1])] * 3, "sky, road")
    image = tmp_path / "folder/images/train/001.png"
    image.write_bytes(image.read_bytes()[:-20])
    done = run("check", tmp_path / "folder", "--split", "train", "--limit", 1, "--json")
    assert done.exit_code == 1
    assert str(image) in json.loads(done.output)["refused"][0]
    file, images = exported("coco", tmp_path)
    (images / "b.png").write_bytes(b"junk")
    done = run("check", file.rename(tmp_path / "labels.json"))
    assert done.exit_code == 0, done.output
    assert "1 of 2 samples read cannot be used" in done.output


def test_check_of_coloured_label_maps_lists_their_faults(tmp_path):
    save_image(tmp_path / "JPEGImages/a.png", np.zeros((2, 2, 3), np.uint8))
    save_image(tmp_path / "SegmentationClass/a.png", np.full((2, 2, 3), 7, np.uint8))
    (tmp_path / "labelmap.txt").write_text("road:0,0,0::\n")
    done = run("check", tmp_path, "--json")
    assert done.exit_code == 1
    assert "colours that are not in" in json.loads(done.output)["refused"][0]


def wait_for_labels(process: BaseProcess, root: Path, count: int) -> None:
    for _ in range(6000):
        if len(SPEC.label_names(root)) >= count:
            return
        assert process.is_alive(), "ended before it could be killed"
        time.sleep(0.005)
    raise AssertionError("made nothing for 30 seconds")


def test_killed_and_run_again(tmp_path):
    root = miniature.ade150(tmp_path / "root", count=120)
    process = forked(lambda: app(["prepare", NAME, "--root", str(root), "--workers", "1"]))
    wait_for_labels(process, root, 20)
    process.kill()
    process.join()
    made = len(SPEC.label_names(root))
    assert 20 <= made < 120
    assert not index_path(SPEC, root).exists()
    assert set(map(str, stored(NAME, root).values())) == {str(ADE150_LABELS)}
    summary = prepare(NAME, root)
    assert (summary.kept, summary.made) == (made, 120 - made)
    whole = miniature.ade150(tmp_path / "whole", count=120)
    prepare(NAME, whole)
    assert index_path(SPEC, root).read_bytes() == index_path(SPEC, whole).read_bytes()


def prepare_until(count: int, sent: signal.Signals, arguments: list[str]) -> BaseProcess:
    """A command that sends itself a signal while it writes a file, when `count` are finished; the first is its lock."""

    def work() -> None:
        left = count

        def sync(path: Path) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), sent)

        atomic.sync = sync
        app(arguments)

    return forked(work)


def test_what_a_killed_run_leaves_is_gone_after_the_next_one(tmp_path):
    root, whole = miniature.ade150(tmp_path / "root", count=9), miniature.ade150(tmp_path / "whole", count=9)
    prepare(NAME, whole)
    arguments = ["prepare", NAME, "--root", str(root), "--workers", "1"]
    dying = prepare_until(5, signal.SIGKILL, arguments)
    dying.join()
    assert dying.exitcode == -signal.SIGKILL
    assert len(SPEC.label_names(root)) == 4
    assert len(list(root.rglob(f"*{FILE_ENDING}"))) == 1
    assert run(*arguments).exit_code == 0
    assert files(root) == files(whole)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_second_run_at_the_same_time_is_one_message(tmp_path):
    root = miniature.ade150(tmp_path, count=9)
    process = prepare_until(3, signal.SIGSTOP, ["prepare", NAME, "--root", str(root), "--workers", "1"])
    assert process.pid is not None
    os.waitpid(process.pid, os.WUNTRACED)
    for command in (["prepare", NAME], ["prepare", NAME, "--again"]):
        second = run(*command, "--root", root)
        assert isinstance(second.exception, FolderInUseError)
        assert f"ADEChallengeData2016: another run is writing there (process {process.pid} on" in str(second.exception)
    process.kill()
    process.join()
    assert prepare(NAME, root).made > 0


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_processes_of_a_killed_run_end(tmp_path):
    root = miniature.ade150(tmp_path, count=500)
    process = forked(lambda: app(["prepare", NAME, "--root", str(root), "--workers", "2"]))
    wait_for_labels(process, root, 1)
    assert process.pid is not None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    process.kill()
    process.join()
    deadline = time.monotonic() + 15
    while [child for child in children if _runs(child)] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [child for child in children if _runs(child)]


def _runs(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
