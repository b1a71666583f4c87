"""What pickles ask for is found without running them."""

import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from ahs_seg.checkpoints import CheckpointError
from ahs_seg.io.pickles import read_pickle, requested
from tests.support.hostile import Hostile


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_names_are_found_in_every_protocol(protocol: int, tmp_path: Path) -> None:
    victim = tmp_path / "made"
    content = pickle.dumps([Hostile(victim), OrderedDict(a=1)], protocol)
    assert set(requested(content)) >= {"posix.mkdir", "collections.OrderedDict"}
    assert not victim.exists()


def test_plain_values_ask_for_nothing() -> None:
    assert list(requested(pickle.dumps({"a": [1, 2.5, "text", None, True]}))) == []
    assert list(requested(b"")) == []
    assert list(requested(b"no pickle at all")) == []


@pytest.mark.parametrize("zipped", [True, False])
def test_plain_checkpoints_come_back(tmp_path: Path, zipped: bool) -> None:
    content = {"model": OrderedDict(a=torch.arange(3)), "step": 7, "name": "x"}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    found = read_pickle(tmp_path / "a.pth")
    assert isinstance(found, dict)
    assert found["model"]["a"].tolist() == [0, 1, 2]
    assert (found["step"], found["name"]) == (7, "x")


def test_a_refusal_names_what_was_asked_for_and_the_remedy(tmp_path: Path) -> None:
    victim = tmp_path / "made"
    torch.save({"model": Hostile(victim)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"refers to posix\.mkdir\..*save only the state dict"):
        read_pickle(tmp_path / "a.pth")
    assert not victim.exists()
