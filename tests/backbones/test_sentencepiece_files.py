"""A SentencePiece model is read without its package: the same ids as `SiglipTokenizer` of `transformers` gave.

`data/spiece.model` was trained with sentencepiece 0.2.3 on a hundred words; `data/spiece.json` holds texts and the ids
that `SiglipTokenizer` of transformers 5.23 gave for them.
"""

import json
import struct
from pathlib import Path

import pytest

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.sentencepiece_files import MAX_PIECES_BYTES, read_pieces
from ahs_seg.backbones.tokenizer import canonical

DATA = Path(__file__).parent / "data"


def field(number: int, content: bytes) -> bytes:
    length = bytes([len(content) & 0x7F | 0x80, len(content) >> 7]) if len(content) > 0x7F else bytes([len(content)])
    return bytes([number << 3 | 2]) + length + content


def piece(text: str, score: float, kind: int = 1) -> bytes:
    return field(1, field(1, text.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", score) + bytes([3 << 3, kind]))


WHOLE = piece("<unk>", 0.0, 2) + piece("▁a", -1.0) + piece("b", -2.0) + piece("▁", -3.0)


def written(directory: Path, content: bytes) -> Path:
    path = directory / "spiece.model"
    path.write_bytes(content)
    return path


def test_texts_have_the_recorded_ids() -> None:
    core = read_pieces(DATA / "spiece.model")
    for text, ids in json.loads((DATA / "spiece.json").read_text(encoding="utf-8")).items():
        assert core.encode(canonical(text), add_special_tokens=False).ids == ids[:-1], text
        assert ids[-1] == core.token_to_id("</s>")


def test_a_model_written_by_hand(tmp_path: Path) -> None:
    core = read_pieces(written(tmp_path, WHOLE + bytes([15 << 3 | 1]) + b"8 bytes." + bytes([14 << 3, 0x80, 1])))
    assert core.encode("a ab zb", add_special_tokens=False).ids == [1, 1, 2, 3, 0, 2]
    assert core.get_vocab_size() == 4


def test_pairs_are_joined_in_the_order_of_their_scores(tmp_path: Path) -> None:
    scored = [("<unk>", 0.0), ("▁", -9.0), ("a", -8.0), ("b", -7.0), ("▁a", -3.0), ("ab", -1.0), ("▁ab", -2.0)]
    content = b"".join(piece(text, score, 2 if text == "<unk>" else 1) for text, score in scored)
    core = read_pieces(written(tmp_path, content + field(2, bytes([3 << 3, 2]))))
    assert [core.encode(text, add_special_tokens=False).ids for text in ("ab", "a", "ba")] == [[6], [4], [1, 3, 2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no piece for what is unknown"),
        (piece("a", -1.0), "no piece for what is unknown"),
        (WHOLE + field(2, bytes([3 << 3, 3])), "has the type 3; types that can be read are 1 and 2"),
        (WHOLE + field(3, field(2, b"not a map")), "not a model of SentencePiece"),
        (WHOLE[:-3], "ends in the middle of a field|not a model"),
        (bytes([1 << 3 | 3]), "a field is of the type 3"),
        (bytes([1 << 3, 5]), "another type than it should"),
        (b"\xff" * 20, "a number is too long"),
        (field(1, field(1, b"\xff")), "utf-8"),
        (field(1, bytes([2 << 3 | 1]) + b"8 bytes."), "not a model of SentencePiece"),
        (b"\x80", "not a model of SentencePiece"),
        (WHOLE + piece("a" * 257, -4.0), "a piece has 257 characters; pieces may have 256"),
    ],
)
def test_what_is_no_model_of_sentencepiece_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        read_pieces(written(tmp_path, content))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, b"")
    with path.open("r+b") as file:
        file.truncate(MAX_PIECES_BYTES + 1)
    with pytest.raises(BackboneError, match="the limit for such a file"):
        read_pieces(path)
