"""The driver and its witness see what they must see."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ahs_seg.errors import AhsSegError
from tests.campaign.driver import Limits, command, judge

pytestmark = pytest.mark.xdist_group("campaign")
SHORT = Limits(seconds=1, peak_mib=50)


def runs_a_program() -> None:
    os.system("true")


def starts_a_process() -> None:
    subprocess.run(["true"], check=True)


def connects() -> None:
    with socket.socket() as each:
        each.connect_ex(("127.0.0.1", 9))


def writes_beside() -> None:
    Path("../bystander").write_text("changed")


def makes_a_folder() -> None:
    Path("../../new").mkdir()


def never_ends() -> None:
    while True:
        pass


def eats() -> None:
    time.sleep(len(bytearray(80 * 2**20)) * 0)


def breaks() -> None:
    raise ZeroDivisionError


def dies() -> None:
    os._exit(3)


def refuses() -> None:
    raise AhsSegError("no")


def behaves() -> None:
    Path("tmp/file").write_text("mine")


FAULTS: dict[Callable[[], None], str] = {
    runs_a_program: "executes: os.system",
    starts_a_process: "executes: subprocess.Popen",
    connects: "connects: ",
    writes_beside: "writes outside: open",
    makes_a_folder: "writes outside: os.mkdir",
    never_ends: "hang",
    eats: "where 50 are allowed",
    breaks: "ZeroDivisionError",
    dies: "crash",
}


@pytest.mark.parametrize("call", FAULTS, ids=lambda call: call.__name__)
def test_a_misdeed_is_seen(tmp_path: Path, call: Callable[[], None]) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "bystander").write_text("as it was")
    found = judge("case", tmp_path / "case", call, limits=SHORT)
    assert FAULTS[call] in " ".join(found.faults)


@pytest.mark.parametrize(("call", "kind"), [(behaves, "done"), (refuses, "refused")])
def test_what_is_allowed_is_no_fault(tmp_path: Path, call: Callable[[], None], kind: str) -> None:
    found = judge("case", tmp_path / "case", call, limits=SHORT)
    assert (found.kind, found.faults) == (kind, [])


def test_a_command_is_judged_by_its_status(tmp_path: Path) -> None:
    assert judge("version", tmp_path / "a", command, "--version").kind == "done"
    assert judge("unknown", tmp_path / "b", command, "fly").kind == "refused"
