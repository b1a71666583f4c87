"""Folder of what visitors upload and download: bounded in all and for each client, emptied when its owners leave.

The folder lies in the folder for temporary files. A lock that ends with its process marks it as used, so the next
start removes what a crash has left.
"""

from __future__ import annotations

import atexit
import secrets
import shutil
import stat
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from ahs_seg.demo.web.limits import RefusedError

TOTAL_BYTES: Final = 2 * 2**30
"""Uploads and downloads of all visitors together."""
CLIENT_BYTES: Final = 512 * 2**20
"""Uploads and downloads of one client, a network address."""
MAX_FILES: Final = 1000
KEPT_SECONDS: Final = 3600
"""Age after which a file is removed although its session is open."""
PREFIX: Final = "ahs-seg-page-"
LOCK: Final = "lock"
_HELD: Final[list[object]] = []
"""The folder of the process and its lock. A fork forgets what is to be done at exit (`multiprocessing`, Python 3.13);
what only that held would be freed there, and the folder would be removed under the running page."""
FRESH_SECONDS: Final = 60
GONE: Final = "The image is no longer on this server; upload it again."


@dataclass(slots=True)
class _Kept:
    size: int
    owner: str
    since: float
    sessions: set[str] = field(default_factory=set)


class Spool:
    """Files by path with their owner and the sessions that use them; the oldest are removed to make room.

    `fixed` files belong to the page and stay. Two files of the `largest` size always have room.
    """

    def __init__(
        self,
        root: Path,
        *,
        fixed: Sequence[Path] = (),
        largest: int = 0,
        total_bytes: int = TOTAL_BYTES,
        client_bytes: int = CLIENT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root = root
        self.client_bytes = max(client_bytes, 2 * largest)
        self.total_bytes = max(total_bytes, self.client_bytes)
        self._fixed = set(fixed)
        self._clock = clock
        self._files: dict[Path, _Kept] = {}
        self._reserved: Counter[str] = Counter()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, path: object) -> bool:
        if not isinstance(path, str | Path):
            return False
        return (Path(path) in self._files or Path(path) in self._fixed) and Path(path).is_file()

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(kept.size for kept in list(self._files.values()))

    @contextmanager
    def folder(self, owner: str, *, size: int = 0, session: str | None = None) -> Iterator[Path]:
        """A new folder with room for `size` bytes, whose files are kept unless the block raises.

        Raises:
            RefusedError: the uploads that are still running leave no room.
        """
        with self._lock:
            self._make_room(owner, size)
            self._reserved[owner] += size
        folder = self.root / secrets.token_hex(16)
        try:
            folder.mkdir()
            yield folder
            self._keep(folder, owner, session)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            with self._lock:
                self._reserved[owner] -= size

    def claim(self, path: str, session: str) -> None:
        """Keep a file as long as a session."""
        with self._lock:
            if kept := self._files.get(Path(path)):
                kept.sessions.add(session)

    def release(self, session: str) -> None:
        """Remove the files that only this session used."""
        with self._lock:
            for path, kept in list(self._files.items()):
                if session in kept.sessions:
                    kept.sessions.remove(session)
                    if not kept.sessions:
                        self._remove(path)

    def sweep(self, clients: set[str], *, unclaimed_seconds: int) -> None:
        """Remove old files, and those that no session uses and whose owner is not one of the connected `clients`."""
        with self._lock:
            for path, kept in list(self._files.items()):
                age = self._clock() - kept.since
                left = not kept.sessions and kept.owner not in clients and age > unclaimed_seconds
                if left or age > KEPT_SECONDS:
                    self._remove(path)

    def _keep(self, folder: Path, owner: str, session: str | None) -> None:
        sessions = {session} if session else set()
        with self._lock:
            for path in folder.iterdir():
                self._files[path] = _Kept(path.stat().st_size, owner, self._clock(), set(sessions))
            newest = next(reversed(self._files), None)
            self._trim(owner, keep=newest)

    def _make_room(self, owner: str, size: int) -> None:
        reserved = sum(self._reserved.values())
        if self._reserved[owner] + size > self.client_bytes or reserved + size > self.total_bytes:
            raise RefusedError(503, "Too many uploads are running; try again in a moment.")
        self._trim(owner, size)

    def _trim(self, owner: str, size: int = 0, keep: Path | None = None) -> None:
        own = size + self._reserved[owner] + sum(kept.size for kept in self._files.values() if kept.owner == owner)
        everything = size + sum(self._reserved.values()) + self.bytes
        for path, kept in list(self._files.items()):  # in the order of their arrival
            excess = everything > self.total_bytes or len(self._files) > MAX_FILES
            if path != keep and (excess or (kept.owner == owner and own > self.client_bytes)):
                own -= kept.size if kept.owner == owner else 0
                everything -= kept.size
                self._remove(path)

    def _remove(self, path: Path) -> None:
        del self._files[path]
        shutil.rmtree(path.parent, ignore_errors=True)


@contextmanager
def page_folder() -> Iterator[Path]:
    """A new folder in that of the process, removed when the block ends."""
    with tempfile.TemporaryDirectory(dir=process_folder(), ignore_cleanup_errors=True) as name:
        yield Path(name)


@cache
def process_folder() -> Path:
    """The folder of all pages of this process, locked as long as the process lives and removed at its end.

    Folders of processes that crashed are removed now.
    """
    folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
    root = Path(folder.name).resolve()
    lock = FileLock(root / LOCK)
    lock.acquire()
    _HELD.extend((folder, lock))
    atexit.register(folder.cleanup)
    atexit.register(lock.release)  # the last registered is the first called
    remove_crashed(root)
    return root


def remove_crashed(own: Path) -> None:
    """Remove the folders beside `own` of processes of the same user that ended without doing so."""
    for folder in own.parent.glob(f"{PREFIX}*"):
        try:
            about = folder.lstat()
            fresh = time.time() - about.st_mtime < FRESH_SECONDS  # perhaps not locked yet
            if fresh or not stat.S_ISDIR(about.st_mode) or about.st_uid != own.stat().st_uid:
                continue
            with FileLock(folder / LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):  # in use, or removed meanwhile
            continue
