"""Names on the hub, with the revision that people write behind them."""

import pytest

from ahs_seg.io.hub import HubName


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
