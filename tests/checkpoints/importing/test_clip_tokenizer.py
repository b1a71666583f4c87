"""CLIP's tokenizer from each form it comes in."""

import gzip
import json
from pathlib import Path

import pytest

from ahs_seg.backbones.tokenizer import ClipTokenizer
from ahs_seg.checkpoints import CheckpointError
from ahs_seg.checkpoints.importing.clip_tokenizer import MAX_MERGES_BYTES, REPOSITORY, find_tokenizer
from tests.support.hub_server import Hub
from tests.support.official import CONTEXT, WORDS, byte_tokenizer_file, merges_file

MERGES = ["c a", "ca t</w>", "d o", "do g</w>"]


def from_merges(directory: Path, merges: list[str] = MERGES) -> ClipTokenizer:
    return find_tokenizer(merges_file(directory, merges), words=512 + len(merges) + 2, context=77)


def test_openais_list_of_merges_gives_openais_ids(tmp_path: Path) -> None:
    words = from_merges(tmp_path)
    start, end = 516, 517
    # In CLIP's vocabulary "!" is 0 and "a" at the end of a word 320; merges follow the 512 letters, in order.
    assert words(["!"]).ids.tolist() == [[start, 256, end]]
    assert words(["a"]).ids.tolist() == [[start, 320, end]]
    assert words(["cat dog"]).ids.tolist() == [[start, 513, 515, end]]
    assert words(["Cat  Dog!"]).ids.tolist() == [[start, 513, 515, 256, end]]
    assert words(["ca do"]).ids.tolist() == [[start, 66, 320, 67, 334, end]]
    assert words(["dogs"]).ids.tolist() == [[start, 514, 70, 338, end]]
    assert words(["é"]).ids.tolist() == [[start, 127, 256 + 102, end]]  # two bytes, 0xC3 0xA9
    assert words.context == 77


def test_apostrophes_and_digits_split_as_in_clip(tmp_path: Path) -> None:
    words = from_merges(tmp_path)
    assert words(["cat's"]).ids.tolist() == [[516, 513, 6, 338, 517]]
    assert words(["12"]).ids.tolist() == [[516, 16 + 256, 17 + 256, 517]]


def test_a_saved_tokenizer_is_found_in_a_directory(tmp_path: Path) -> None:
    (tmp_path / "backbone").mkdir()
    from_merges(tmp_path).save(tmp_path / "backbone")
    again = find_tokenizer(tmp_path, words=518, context=20)
    assert again(["cat dogs"]).ids.tolist() == from_merges(tmp_path)(["cat dogs"]).ids.tolist()


def test_from_the_hub(hub: Hub) -> None:
    words = find_tokenizer(None, words=WORDS, context=CONTEXT)
    assert words(["a"]).ids.shape == (1, 3)
    assert f"GET /{REPOSITORY}/resolve/main/tokenizer.json" in hub.requests


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    path = byte_tokenizer_file(tmp_path)
    with pytest.raises(CheckpointError, match=r"token ids up to 258 .*the checkpoint has 49408 tokens.*openai/clip"):
        find_tokenizer(path, words=49408, context=77)
    values = json.loads(path.read_text())
    for word in ("<|startoftext|>", "<|endoftext|>"):
        del values["model"]["vocab"][word]
    vocabularies: tuple[dict[str, int], ...] = (values["model"]["vocab"], {})
    for vocabulary in vocabularies:
        values["model"]["vocab"] = vocabulary
        path.write_text(json.dumps(values))
        with pytest.raises(CheckpointError, match=r"has no <\|startoftext\|> and <\|endoftext\|>"):
            find_tokenizer(path, words=WORDS, context=77)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", b"{", r"is not readable as JSON.*Give the tokenizer\.json of"),
        ("tokenizer.json", b'{"version": 1}', r"is not a tokenizer\.json"),
        ("bpe_simple_vocab_16e6.txt.gz", b"nothing", "is not a gzipped list of merges"),
        ("other.txt", b"a", r"contains none of tokenizer\.json, backbone/tokenizer\.json, bpe_simple"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        find_tokenizer(tmp_path, words=WORDS, context=77)


def test_a_list_that_is_too_short(tmp_path: Path) -> None:
    path = merges_file(tmp_path, MERGES)
    with pytest.raises(CheckpointError, match=r"ids up to|two parts"):
        find_tokenizer(path, words=600, context=77)


def test_a_damaged_list_of_merges(tmp_path: Path) -> None:
    content = bytearray(merges_file(tmp_path, MERGES).read_bytes())
    messages = []
    for place in range(10, len(content)):  # behind the header of the gzip file
        damaged = content.copy()
        damaged[place] ^= 0xFF
        (path := tmp_path / "damaged.gz").write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"is not a gzipped list of merges .*; give the bpe_simple") as caught:
            find_tokenizer(path, words=518, context=77)
        messages.append(str(caught.value))
    assert any("decompressing" in message for message in messages)


def test_a_list_of_merges_that_unpacks_to_more_than_the_limit(tmp_path: Path) -> None:
    (path := tmp_path / "large.gz").write_bytes(gzip.compress(bytes(MAX_MERGES_BYTES + 1)))
    with pytest.raises(CheckpointError, match=r"unpacks to more than 16,777,216 bytes, the limit; give the bpe_simple"):
        find_tokenizer(path, words=518, context=77)
