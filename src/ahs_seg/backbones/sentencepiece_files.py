"""Models of SentencePiece (`spiece.model`) as tokenizers of the `tokenizers` library, without that package.

The file is a protocol buffer. Only the four fields that decide about the pieces of a text are read: the pieces with
their scores and types, the type of the model, the map of characters, and the number of the unknown piece. Source:
`sentencepiece_model.proto` of google/sentencepiece.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from ahs_seg.backbones.base import BackboneError

MAX_PIECES_BYTES: Final = 64 * 2**20
"""Size of a SentencePiece model; those of 250,000 pieces have 5 MB."""
MAX_PIECE: Final = 256
"""Characters of a piece; trainers of SentencePiece make none of more than 16 unless told."""
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_PIECE, _SCORE, _TYPE = 1, 2, 3
_UNKNOWN: Final = 2
_MODEL_TYPE, _UNIGRAM, _BPE = 3, 1, 2
_CHARACTER_MAP: Final = 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BITS: Final = 63

Field = tuple[int, int | bytes]


def read_pieces(path: Path, *, lower: bool = False) -> Tokenizer:
    """The tokenizer of a SentencePiece model, with a blank before the first word as in its training.

    With `lower` it reads small letters.

    Raises:
        BackboneError: the file is damaged, too large, or its model is neither a unigram model nor one of byte pairs.
    """
    with path.open("rb") as file:
        content = file.read(MAX_PIECES_BYTES + 1)
    if len(content) > MAX_PIECES_BYTES:
        raise BackboneError(f"{path} has more than {MAX_PIECES_BYTES:,} bytes, the limit for such a file")
    try:
        return _built(content, lower=lower)
    except (ValueError, IndexError, struct.error) as error:
        raise BackboneError(f"{path} is not a model of SentencePiece that can be read ({error})") from None
    except Exception as error:  # noqa: BLE001  # the library of the tokenizers has no exception class of its own
        raise BackboneError(f"{path} is not a model of SentencePiece that can be read ({error})") from None


def _built(content: bytes, *, lower: bool) -> Tokenizer:
    pieces: list[tuple[str, float]] = []
    unknown: int | None = None
    model_type: int | bytes = _UNIGRAM
    characters = b""
    for field, value in _fields(content):
        if field == _PIECES:
            piece, score, kind = _piece(_message(value))
            if kind == _UNKNOWN:
                unknown = len(pieces)
            pieces.append((piece, score))
        elif field == _TRAINER:
            model_type = dict(_fields(_message(value))).get(_MODEL_TYPE, _UNIGRAM)
        elif field == _NORMALIZER:
            characters = _message(dict(_fields(_message(value))).get(_CHARACTER_MAP, b""))
    if unknown is None:
        raise ValueError("it has no piece for what is unknown")
    core = Tokenizer(_model(model_type, pieces, unknown))
    small = [normalizers.Lowercase()] if lower else []
    steps = [*small, *([normalizers.Precompiled(characters)] if characters else [])]
    core.normalizer = normalizers.Sequence([*steps, normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()])
    core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    core.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return core


def _model(model_type: object, pieces: list[tuple[str, float]], unknown: int) -> models.Model:
    if model_type == _UNIGRAM:
        return models.Unigram(pieces, unk_id=unknown, byte_fallback=False)
    if model_type != _BPE:
        raise ValueError(f"its model has the type {model_type}; types that can be read are {_UNIGRAM} and {_BPE}")
    places = {piece: index for index, (piece, _) in enumerate(pieces)}
    merges = []
    for piece, score in pieces:
        for cut in range(1, len(piece)):
            one, other = piece[:cut], piece[cut:]
            if one in places and other in places:
                merges.append((-score, places[one], places[other], (one, other)))
    pairs = [pair for *_, pair in sorted(merges)]
    return models.BPE(places, pairs, unk_token=pieces[unknown][0], fuse_unk=True, byte_fallback=True)


def _piece(content: bytes) -> tuple[str, float, int]:
    text, score, kind = "", 0.0, 1
    for field, value in _fields(content):
        if field == _PIECE:
            text = _message(value).decode("utf-8")
            if len(text) > MAX_PIECE:
                raise ValueError(f"a piece has {len(text):,} characters; pieces may have {MAX_PIECE}")
        elif field == _SCORE:
            (score,) = struct.unpack("<f", _message(value))
        elif field == _TYPE and isinstance(value, int):
            kind = value
    return text, score, kind


def _message(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a field has another type than it should")  # about the file, not the caller
    return value


def _fields(content: bytes) -> Iterator[Field]:
    """The fields of a message: number and value."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        field, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            number, place = _varint(content, place)
            yield field, number
            continue
        if wire == _BYTES:
            length, place = _varint(content, place)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"a field is of the type {wire}")
        if place + length > len(content):
            raise ValueError("it ends in the middle of a field")
        yield field, content[place : place + length]
        place += length


def _varint(content: bytes, place: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        byte = content[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
        shift += 7
        if shift > _VARINT_BITS:
            raise ValueError("a number is too long")
