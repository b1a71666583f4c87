"""Addresses and standard input become files for the time of a run."""

import io
from pathlib import Path
from urllib.parse import quote

import pytest

from ahs_seg.batch import addresses
from ahs_seg.batch.addresses import fetched
from ahs_seg.batch.jobs import Stamp, stamp_of
from ahs_seg.batch.sources import InputSource, MissingInputError, list_sources
from ahs_seg.io import urls
from tests.support.drawn_images import drawn, save
from tests.support.pages import pages


@pytest.fixture
def site(tmp_path: Path):
    for name in ("photos/a b.png", "more/a b.png", "plain"):
        save(tmp_path / "site" / f"{name.removesuffix('.png')}.png", drawn(8, 8, 0))
    (tmp_path / "site" / "plain.png").rename(tmp_path / "site" / "plain")
    with pages(tmp_path / "site") as address:
        yield address


def test_addresses_are_files_with_their_names(site: str) -> None:
    given = [
        f"{site}/photos/a%20b.png?size=1",
        f"{site}/more/a%20b.png",
        f"{site}/plain",
        f"{site}/nowhere.png",
        "x.jpg",
    ]
    with fetched(given) as (files, failed):
        paths = [one.path for one in files if isinstance(one, InputSource)]
        assert [path.name for path in paths] == ["a b.png", "a b-2.png", "plain.png"]
        assert files[-1] == "x.jpg"
        assert [one.name for one in list_sources(files[:-1])] == ["a b", "a b-2", "plain"]
    assert [address for address, _ in failed] == [f"{site}/nowhere.png"]
    assert "404" in failed[0][1]
    assert not any(path.exists() for path in paths)


@pytest.mark.parametrize("word", ["画", "é", "a", ".a"])
def test_names_of_every_length_fit_and_keep_their_ending(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setattr(addresses, "fetch", lambda _: b"\x89PNG")
    given = [f"http://a.b/{quote(word * count)}.png" for count in (1, 60, 85, 300)]
    with fetched(given) as (files, failed):
        paths = [one.path for one in files if isinstance(one, InputSource)]
        assert failed == []
        assert len({path.name for path in paths}) == len(given)
        assert all(path.suffix == ".png" and len(path.name.encode()) < 210 for path in paths)
        assert not any(path.name.startswith(".") for path in paths)
        assert paths[0].stem == word.lstrip(".")


def test_names_differ_if_case_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "fetch", lambda _: b"\x89PNG")
    with fetched([f"http://a.b/{name}" for name in ("IMG.jpg", "img.jpg", "x/Img.JPG")]) as (files, _):
        names = [one.path.name for one in files if isinstance(one, InputSource)]
    assert names == ["IMG.jpg", "img-2.jpg", "Img-3.JPG"]


def test_nothing_is_fetched_for_files() -> None:
    with fetched(["a.jpg", "photos"]) as (files, failed):
        assert (files, failed) == (["a.jpg", "photos"], [])


def test_addresses_that_all_fail_end_the_run(site: str) -> None:
    with pytest.raises(MissingInputError, match="404"), fetched([f"{site}/nowhere.png"]):
        pass


def test_standard_input_is_one_image(tmp_path: Path) -> None:
    content = save(tmp_path / "a.png", drawn(8, 8, 0)).read_bytes()
    with fetched(["-"], io.BytesIO(content)) as (files, _):
        (source,) = files
        assert isinstance(source, InputSource)
        assert (source.name, source.path.name) == ("stdin", "stdin.png")
        assert source.path.read_bytes() == content


def test_another_image_of_the_same_size_has_changed() -> None:
    def stamp(content: bytes) -> Stamp:
        with fetched(["-"], io.BytesIO(content)) as ((source,), _):
            assert isinstance(source, InputSource)
            return stamp_of(source.path)

    first, again, other = (stamp(b"BM" + bytes([value])) for value in (0, 0, 1))
    assert first == again != other
    assert first[0] == other[0]
    assert all(0 < time < 2**31 * 10**9 and time % (2 * 10**9) == 0 for _, time in (first, other))


@pytest.mark.parametrize(
    ("stream", "message"), [(None, "nothing is piped"), (io.BytesIO(), "standard input has no bytes")]
)
def test_no_standard_input_is_told(stream: io.BytesIO | None, message: str) -> None:
    with pytest.raises(MissingInputError, match=message), fetched(["-"], stream):
        pass


def test_standard_input_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ahs_seg.batch.addresses.MAX_BYTES", 10)
    assert urls.MAX_BYTES > 10
    with pytest.raises(MissingInputError, match="more than 10 bytes"), fetched(["-"], io.BytesIO(bytes(11))):
        pass
