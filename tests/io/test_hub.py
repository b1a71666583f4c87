"""Names on the hub, with the revision that people write behind them."""

import hashlib
import time

import pytest

from ahs_seg.errors import CheckpointError
from ahs_seg.io.hub import HubFile, HubName
from tests.support.hub_server import LARGE, Hub


@pytest.mark.parametrize(
    ("text", "repository", "revision"),
    [
        ("owner/name", "owner/name", None),
        ("owner/name@v1.0", "owner/name", "v1.0"),
        ("owner/name@refs/pr/3", "owner/name", "refs/pr/3"),
        ("gpt2@0123abc", "gpt2", "0123abc"),
    ],
)
def test_the_parts_of_a_name(text: str, repository: str, revision: str | None) -> None:
    name = HubName.parse(text)
    assert name == (repository, revision)
    assert str(name) == text


@pytest.mark.parametrize("text", ["", "/absolute/path", "a/b/c", "a b/c", "owner/name@", "@v1", "owner/name@v 1"])
def test_what_is_no_name(text: str) -> None:
    assert HubName.parse(text) is None


class Always(set[str]):
    """A set from which nothing is taken away."""

    def discard(self, element: object, /) -> None: ...


def test_a_file_that_is_never_sent_whole_is_no_download(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    hub.repositories["me/model"] = {"small.bin": bytes(5000), "large.bin": bytes(LARGE)}
    hub.cut_once = Always(["small.bin", f"/storage/{hashlib.sha256(bytes(LARGE)).hexdigest()}"])
    for name in ("small.bin", "large.bin"):
        with pytest.raises(CheckpointError, match=rf"{name} is not in the cache and could not be downloaded"):
            HubFile(HubName("me/model"), name).fetch(remedy="and give its path")
        hub.cut_once, kept = set(), hub.cut_once
        assert HubFile(HubName("me/model"), name).fetch(remedy="").read_bytes() == hub.repositories["me/model"][name]
        hub.cut_once = kept
