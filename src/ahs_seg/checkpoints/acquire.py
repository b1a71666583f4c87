"""Published checkpoints on this machine: downloaded at the first request, imported once, kept in a cache."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from ahs_seg.checkpoints.importing.clip_tokenizer import PLACES as TOKENIZER_FILES
from ahs_seg.checkpoints.importing.clip_tokenizer import REPOSITORY as TOKENIZER
from ahs_seg.checkpoints.known import KNOWN_CHECKPOINTS, KnownCheckpoint
from ahs_seg.checkpoints.local import local_models
from ahs_seg.errors import CheckpointError
from ahs_seg.io.cache_folder import cache_folder
from ahs_seg.io.hub import HubDownloadError, HubFile, HubName
from ahs_seg.io.progress import ProgressBar

logger = logging.getLogger(__name__)

_MOST_NAMED: Final = 4


def imported(name: HubName) -> Path:
    """The model directory of a known checkpoint in the cache (`cache_folder`); later calls need no network.

    At the first call it is downloaded, which one line on standard error announces, and imported. Files in the folder
    `downloads/NAME` of the cache are taken instead of a download. Two processes do not import at the same time.

    Raises:
        CheckpointError: it cannot be downloaded (the message has the ways on), or the file cannot be imported; nothing
            is left in the cache then.
    """
    known = KNOWN_CHECKPOINTS[name.repository]
    target = cache_folder() / "models" / _folder_name(name)
    if target.exists():
        return target
    with _locked(target):
        if not target.exists():
            from ahs_seg.checkpoints.importing.run import import_checkpoint  # takes seconds, once per checkpoint

            files = _files(name, known, target)
            report = import_checkpoint(
                files[0], known.method, target, description=known.description(), tokenizer=files[1]
            )
            logger.info("%s\nstored in %s", report, target)
    return target


def fetch_known(name: str) -> Path:
    """Path of the file of a known checkpoint as published by its authors, downloaded if needed.

    `name` may end in `@revision`, with a branch, a tag or a commit of the authors' repository.

    Raises:
        CheckpointError: it cannot be downloaded; the message has the ways on.
    """
    parsed = HubName.parse(name)
    assert parsed is not None
    known = KNOWN_CHECKPOINTS[parsed.repository]
    wanted = known.file(parsed.revision)
    if (there := _present(parsed, wanted)) is not None:
        return there
    with _ways_on(parsed, [wanted]):
        _announce(parsed, wanted, known, "the hub's cache")
        return wanted.fetch(remedy="")


def _files(name: HubName, known: KnownCheckpoint, target: Path) -> tuple[Path, Path]:
    """Paths of the checkpoint and of CLIP's tokenizer: put into the cache by hand, or downloaded."""
    wanted, words = known.file(name.revision), HubFile(HubName(TOKENIZER), TOKENIZER_FILES[0])
    weights, tokenizer = _present(name, wanted), _present(name, words, *TOKENIZER_FILES)
    missing = [file for file, path in ((wanted, weights), (words, tokenizer)) if path is None]
    with _ways_on(name, missing):
        if weights is None:
            _announce(name, wanted, known, str(target))
        tokenizer = tokenizer or words.fetch(remedy="")  # first: it is small, and without it the other one is no use
        return weights or wanted.fetch(remedy=""), tokenizer


def _present(name: HubName, file: HubFile, *others: str) -> Path | None:
    """The path of a file that was put there by hand, perhaps in another form, or is in the hub's cache; None: no."""
    places = (_by_hand(name) / filename for filename in (file.filename, *others))
    return next((place for place in places if place.is_file()), None) or file.cached()


def _announce(name: HubName, file: HubFile, known: KnownCheckpoint, kept: str) -> None:
    """Say in one line what is downloaded, how large it is, whose licence it has and where it is kept."""
    size = file.size(remedy="")
    amount = f"{known.megabytes} MB" if size is None else f"{size / 1e6:.0f} MB"
    ProgressBar("download").say(
        f"{name}: downloading {file.filename} ({known.method}, {known.backbone}; {amount}; {known.licence_in_words}) "
        f"from {file.page}; kept in {kept}"
    )


@contextmanager
def _ways_on(name: HubName, files: list[HubFile]) -> Iterator[None]:
    """Context that turns a failed download into one message with what can be done instead."""
    try:
        yield
    except HubDownloadError as error:
        here = [one.name for one in local_models() if one.fault is None]
        others = ", ".join(here[:_MOST_NAMED]) + (" ..." if len(here) > _MOST_NAMED else "") if here else "none yet"
        wanted = " and ".join(file.url for file in files)
        raise CheckpointError(
            f"{name} is not on this machine and cannot be downloaded ({error.why}). Three ways on:\n"
            f"1. on a machine with network access download {wanted}, put {'it' if len(files) == 1 else 'both'} into "
            f"{_by_hand(name)} and do the same again;\n"
            f"2. give --model (in Python: from_pretrained) a model of this machine, see `ahs-seg models`: {others};\n"
            "3. `ahs-seg quickstart` trains a small model of drawn scenes, without a network."
        ) from None


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock of an entry of the cache; another process that imports it is waited for."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.parent / f".{target.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        ProgressBar("waiting").say(f"{target.name}: another process imports it; waiting until it has ended")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _by_hand(name: HubName) -> Path:
    return cache_folder() / "downloads" / _folder_name(name)


def _folder_name(name: HubName) -> str:
    return str(name).replace("/", "--")
