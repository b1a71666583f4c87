"""How many processes a command may start."""

import pytest

from ahs_seg.io.processes import MAX_PROCESSES, ProcessCountError, check_processes


@pytest.mark.parametrize("count", [0, -1, MAX_PROCESSES + 1, 10**9])
def test_absurd_numbers_are_refused_with_the_range(count: int) -> None:
    with pytest.raises(ProcessCountError, match=rf"--processes: {count} is not allowed; give 1 to 256\."):
        check_processes(count, "--processes")


def test_others_are_given_back() -> None:
    assert [check_processes(count, "--processes") for count in (1, MAX_PROCESSES)] == [1, MAX_PROCESSES]
