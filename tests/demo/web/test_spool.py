"""Files of visitors are bounded in all and for each client, and removed when nobody wants them or a crash left them."""

from __future__ import annotations

import atexit
import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from ahs_seg.demo.web import spool as module
from ahs_seg.demo.web.limits import RefusedError
from ahs_seg.demo.web.spool import LOCK, PREFIX, Spool, page_folder, process_folder, remove_crashed
from tests.support.forks import forked
from tests.support.page_calls import Clock


def put(spool: Spool, owner: str, size: int, session: str | None = None) -> Path:
    with spool.folder(owner, session=session) as folder:
        path = folder / "file"
        path.write_bytes(bytes(size))
    return path


def on_disk(spool: Spool) -> int:
    return sum(path.stat().st_size for path in spool.root.rglob("*") if path.is_file())


def test_the_oldest_files_of_a_client_make_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, total_bytes=1000, client_bytes=250)
    first, other, second, third = (put(spool, owner, 100) for owner in ("a", "b", "a", "a"))
    assert first not in spool
    assert not first.parent.exists()
    assert all(path in spool for path in (other, second, third))
    assert spool.bytes == on_disk(spool) == 300


def test_the_oldest_files_of_all_make_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, total_bytes=300, client_bytes=300)
    paths = [put(spool, f"client {number}", 100) for number in range(5)]
    assert [path in spool for path in paths] == [False, False, True, True, True]
    assert on_disk(spool) == 300


def test_many_tiny_files_make_room_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 3)
    spool = Spool(tmp_path)
    paths = [put(spool, "a", 0) for _ in range(5)]
    assert len(spool) == 3
    assert paths[0] not in spool


def test_running_uploads_count(tmp_path: Path) -> None:
    spool = Spool(tmp_path, total_bytes=300, client_bytes=200)
    old = put(spool, "b", 150)
    with spool.folder("a", size=100), spool.folder("a", size=100):
        assert old not in spool, "made room before anything arrives"
        with pytest.raises(RefusedError, match="Too many uploads"), spool.folder("a", size=1):
            pass
    with spool.folder("a", size=200):
        pass


def test_a_failed_upload_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)

    def fail() -> None:
        with spool.folder("a", size=10) as folder:
            (folder / "part").write_bytes(b"x")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []
    assert len(spool) == 0


def test_an_upload_that_finds_no_place_leaves_its_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "removed", total_bytes=300, client_bytes=300)
    for _ in range(4):
        with pytest.raises(FileNotFoundError), spool.folder("client", size=100):
            pass


def test_files_end_with_their_last_session(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    shared, own = put(spool, "a", 1, session="one"), put(spool, "a", 1, session="one")
    spool.claim(str(shared), "two")
    spool.claim("/nowhere", "two")
    spool.release("one")
    assert shared in spool
    assert own not in spool
    spool.release("two")
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_removes_what_is_old_or_unwanted(tmp_path: Path) -> None:
    clock = Clock()
    spool = Spool(tmp_path, clock=clock)
    left, here, used = put(spool, "left", 1), put(spool, "here", 1), put(spool, "left", 1, session="one")
    clock.now = 121
    spool.sweep({"here"}, unclaimed_seconds=120)
    assert [path in spool for path in (left, here, used)] == [False, True, True]
    clock.now = 3601
    spool.sweep({"here"}, unclaimed_seconds=120)
    assert len(spool) == 0


def test_only_known_files_are_in_it(tmp_path: Path) -> None:
    example = tmp_path / "example.png"
    example.touch()
    spool = Spool(tmp_path, fixed=[example], client_bytes=0, total_bytes=0)
    kept = put(spool, "a", 5)
    assert kept in spool, "the newest stays until others come"
    put(spool, "a", 5)
    assert kept not in spool
    assert str(example) in spool
    assert str(tmp_path / "x" / ".." / "example.png") not in spool
    assert "/etc/passwd" not in spool
    assert None not in spool


def test_two_of_the_largest_uploads_always_have_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, largest=100, client_bytes=10, total_bytes=10)
    with spool.folder("a", size=100), spool.folder("a", size=100):
        pass


def test_what_a_crash_left_is_removed_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    crashed, running, fresh = (tmp_path / f"{PREFIX}{name}" for name in ("crashed", "running", "fresh"))
    own, foreign = tmp_path / f"{PREFIX}own", tmp_path / "foreign"
    for folder in (crashed, running, fresh, own, foreign):
        folder.mkdir()
        (folder / "image.png").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(foreign)
    for folder in (crashed, running, foreign):
        os.utime(folder, (time.time() - 3600,) * 2)
    lock = FileLock(running / LOCK)
    with lock:
        os.utime(running, (time.time() - 3600,) * 2)
        remove_crashed(own)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*(f"{PREFIX}{name}" for name in ("running", "fresh", "own", "link")), "foreign"]
    )
    assert (foreign / "image.png").exists()


def test_a_page_has_a_private_folder_as_long_as_it_runs() -> None:
    with page_folder() as one, page_folder() as two:
        assert one.parent == two.parent == process_folder()
        assert process_folder().stat().st_mode & 0o077 == 0
    assert not one.exists()
    assert not two.exists()


def test_a_fork_that_forgets_what_is_done_at_exit_leaves_the_folder_alone() -> None:
    """As children of `multiprocessing` do from Python 3.13 on."""
    with page_folder() as page:
        child = forked(atexit._clear)
        child.join(60)
        assert child.exitcode == 0
        assert page.exists()
