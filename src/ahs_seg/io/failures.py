"""What an error costs: the image that it happened to, or the whole run.

Every loop over many items (files of a batch run, tiles, video frames, samples of an evaluation or a training, visitors
of the web page) catches `Exception` at one item and asks `failure_of` or `ends_run`. Lists of the exceptions that
decoders and writers raise do not hold; the list of what concerns all further items is short:

- no space, quota or write permission of the file system, or no more open files (`RUN_ENDING_ERRNOS`);
- an optional package is missing (`MissingPackageError`), or the output folder is gone (`RunEndedError`);
- the device of the model is lost (an error of the accelerator), or a pool of workers is broken;
- everything that is not an `Exception`, such as Ctrl+C.

Running out of memory costs the item: the next one may be smaller.
"""

from __future__ import annotations

import errno
from concurrent.futures import BrokenExecutor
from typing import Final

import torch

from ahs_seg.errors import AhsSegError, MissingPackageError, RunEndedError, SampleError, chain_of

RUN_ENDING_ERRNOS: Final = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE])
"""Codes of `OSError` that hold for all further items."""

_RUN_ENDING: Final = (MissingPackageError, RunEndedError, BrokenExecutor)
_LOST_DEVICE: Final = getattr(torch, "AcceleratorError", ())


def ends_run(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, concerns all further items of a run as well."""
    return any(
        not isinstance(one, Exception)
        or isinstance(one, _RUN_ENDING)
        or (isinstance(one, OSError) and one.errno in RUN_ENDING_ERRNOS)
        or (isinstance(one, _LOST_DEVICE) and not isinstance(one, torch.OutOfMemoryError))
        for one in chain_of(error)
    )


def reason_of(error: Exception, item: object = None) -> str:
    """The error in one line, with the item in front unless the message names it."""
    if isinstance(error, AhsSegError):
        text = str(error)
    elif isinstance(error, MemoryError | torch.OutOfMemoryError):
        text = "not enough memory for this image. Shrink it, segment it in tiles, or close other programs."
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    else:
        text = " ".join(f"{type(error).__name__}: {error}".split())
    named = item is None or str(item) in text
    return text if named else f"{item}: {text}"


def failure_of(error: Exception, item: object) -> SampleError:
    """The failure of one item, whatever its error; an error that ends the run is raised again."""
    if ends_run(error):
        raise error
    return error if isinstance(error, SampleError) else SampleError(reason_of(error, item))
