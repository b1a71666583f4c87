"""What ends a run is a short list; everything else costs one item."""

import errno
from concurrent.futures.process import BrokenProcessPool

import pytest
import torch

from ahs_seg.errors import MissingPackageError, RunEndedError, SampleError
from ahs_seg.io.failures import ends_run, failure_of, reason_of


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EROFS, "Read-only file system"),
        OSError(errno.EMFILE, "Too many open files"),
        MissingPackageError("install it"),
        RunEndedError("gone"),
        BrokenProcessPool("a worker was killed"),
        KeyboardInterrupt(),
        SystemExit(1),
    ],
)
def test_what_concerns_all_further_items_ends_a_run(error: BaseException) -> None:
    assert ends_run(error)
    wrapped = SampleError("cannot be read")
    wrapped.__context__ = error  # as by `raise ... from None`
    assert ends_run(wrapped)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Failed to decode image"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RecursionError(),
        UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
        AssertionError(),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "a.png"),
        PermissionError(errno.EACCES, "Permission denied"),
        OSError(errno.ENAMETOOLONG, "File name too long"),
        OSError(errno.EIO, "Input/output error"),
        OSError("broken data stream"),
    ],
)
def test_every_other_error_costs_its_item(error: Exception) -> None:
    assert not ends_run(error)


@pytest.mark.skipif(not hasattr(torch, "AcceleratorError"), reason="needs a newer torch")
def test_a_lost_device_ends_a_run() -> None:
    class Lost(torch.AcceleratorError):
        def __init__(self) -> None:
            RuntimeError.__init__(self, "CUDA error: device-side assert triggered")

    assert ends_run(Lost())


def test_errors_that_lead_to_each_other_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert not ends_run(first)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SampleError("a.png: damaged"), "a.png: damaged"),
        (SampleError("damaged"), "a.png: damaged"),
        (RuntimeError("odd\n  thing"), "a.png: RuntimeError: odd thing"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "out/b"), "a.png: out/b: File name too long"),
        (MemoryError(), "a.png: not enough memory for this image."),
    ],
)
def test_a_reason_is_one_line_that_names_the_item(error: Exception, text: str) -> None:
    assert reason_of(error, "a.png").startswith(text)
    assert "\n" not in reason_of(error, "a.png")


def test_a_failure_is_an_error_of_the_item_unless_it_ends_the_run() -> None:
    known, full = SampleError("a.png: damaged"), OSError(errno.ENOSPC, "No space left on device")
    assert failure_of(known, "image 3") is known
    assert str(failure_of(KeyError("x"), "image 3")) == "image 3: KeyError: 'x'"
    with pytest.raises(OSError, match="No space"):
        failure_of(full, "image 3")
