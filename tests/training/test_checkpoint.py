import json
import shutil
from pathlib import Path

import pytest
import torch

from ahs_seg.io import atomic
from ahs_seg.training import checkpoint
from ahs_seg.training.checkpoint import Checkpoint, TrainingCheckpointError


def example(step: int, score: float | None = None) -> Checkpoint:
    tensors = {"weight/a": torch.full((3, 2), float(step)), "count": torch.tensor(step), "none": torch.zeros(0)}
    return Checkpoint(step, tensors, {"seed": 1, "third": 1 / 3, "words": ["größer", None]}, score)


def write_all(root: Path, scores: dict[int, float | None]) -> None:
    for step, score in scores.items():
        checkpoint.write(root, example(step, score))


def steps_in(root: Path) -> list[int]:
    return [checkpoint.read(path).step for path in checkpoint.find(root)]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = example(7, 0.25)
    path = checkpoint.write(tmp_path / "new" / "root", written)
    found = checkpoint.read(path)
    assert path.name == "step-00000007"
    assert (found.step, found.state, found.score) == (7, written.state, 0.25)
    assert found.tensors.keys() == written.tensors.keys()
    assert all(torch.equal(found.tensors[key], value) for key, value in written.tensors.items())
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_step_written_again_is_replaced(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, example(7, 0.25))
    checkpoint.write(tmp_path, example(7, 0.75))
    assert [checkpoint.read(path).score for path in checkpoint.find(tmp_path)] == [0.75]


@pytest.mark.parametrize("file", [checkpoint.TENSORS, checkpoint.STATE])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "appended"])
def test_damage_is_found_named_and_skipped(tmp_path: Path, file: str, damage: str) -> None:
    write_all(tmp_path, {1: None, 2: None})
    path = tmp_path / "step-00000002" / file
    content = path.read_bytes()
    middle = len(content) // 2
    changed = {
        "empty": b"",
        "cut": content[:middle],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "appended": content + b" x",
    }
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(changed[damage])
    with pytest.raises(TrainingCheckpointError, match=file):
        checkpoint.read(path.parent)
    found, faults = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.name == "step-00000001"
    assert len(faults) == 1
    assert str(path) in faults[0]
    assert steps_in(tmp_path) == [1]
    assert (tmp_path / "damaged-step-00000002").is_dir()


def test_valid_json_that_is_no_checkpoint(tmp_path: Path) -> None:
    path = checkpoint.write(tmp_path, example(1))
    (path / checkpoint.STATE).write_text(json.dumps([1, 2]))
    with pytest.raises(TrainingCheckpointError, match="not the state of a checkpoint"):
        checkpoint.read(path)


def test_the_last_and_the_best_are_kept(tmp_path: Path) -> None:
    write_all(tmp_path, {1: 0.3, 2: 0.9, 3: None, 4: 0.9, 5: 0.1, 6: None, 7: None})
    (tmp_path / ".step-00000008.abc").mkdir()
    assert checkpoint.best(tmp_path) == tmp_path / "step-00000002"
    checkpoint.prune(tmp_path, keep_last=2, keep_best=3)
    assert steps_in(tmp_path) == [1, 2, 4, 6, 7]
    checkpoint.prune(tmp_path, keep_last=1, keep_best=0)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000007"]
    assert checkpoint.last(tmp_path) == tmp_path / "step-00000007"


def test_nothing_there(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "none") == (None, [])
    assert checkpoint.best(tmp_path) is None
    assert checkpoint.last(tmp_path) is None


def test_an_interrupted_write_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop before each operation that reaches the disk; the newest readable checkpoint is the old or the new one."""
    operations = [(checkpoint, "save_file"), (atomic, "sync"), (Path, "replace")]
    seen = []
    for stop in range(100):
        root = tmp_path / str(stop)
        write_all(root, {1: None, 2: None})
        count = 0

        def interrupted(original, stop=stop):
            def operation(*arguments):
                nonlocal count
                count += 1
                if count > stop:
                    raise KeyboardInterrupt
                return original(*arguments)

            return operation

        with monkeypatch.context() as patch:
            for owner, name in operations:
                patch.setattr(owner, name, interrupted(getattr(owner, name)))
            try:
                checkpoint.write(root, example(3))
            except KeyboardInterrupt:
                finished = False
            else:
                finished = True
        found, faults = checkpoint.newest(root)
        assert faults == []
        assert found is not None
        seen.append(checkpoint.read(found).step)
        checkpoint.prune(root, keep_last=9, keep_best=0)
        assert not list(root.glob(".*"))
        shutil.rmtree(root)
        if finished:
            break
    assert seen == [2] * (len(seen) - 2) + [3, 3]  # the last interruption comes after the renaming
    assert len(seen) >= 6
