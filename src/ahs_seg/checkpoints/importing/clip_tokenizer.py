"""CLIP's tokenizer for checkpoints without one, from a file or from the hub."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from ahs_seg.backbones.tokenizer import ClipTokenizer
from ahs_seg.documents import MAX_DOCUMENT_BYTES, DocumentError, parse_json, read_text
from ahs_seg.errors import CheckpointError
from ahs_seg.io.hub import HubFile, HubName

START, END = "<|startoftext|>", "<|endoftext|>"
REPOSITORY: Final = "openai/clip-vit-base-patch16"
PLACES: Final = ("tokenizer.json", "backbone/tokenizer.json", "bpe_simple_vocab_16e6.txt.gz")
MAX_MERGES_BYTES: Final = 16 * 2**20
"""Size of the unpacked list of merges; OpenAI's has 3 MB."""
_BYTES: Final = 256
_REMEDY: Final = "then give its path as the tokenizer (`--tokenizer FILE`)"


def find_tokenizer(source: Path | None, *, words: int, context: int) -> ClipTokenizer:
    """The tokenizer of a text tower with `words` token embeddings and `context` positions.

    `source` is a `tokenizer.json`, OpenAI's `bpe_simple_vocab_16e6.txt.gz`, or a directory that contains one of them
    (CLIP's own repository, CAT-Seg's `clip` folder, a model directory). None: it is downloaded from the hub.

    Raises:
        CheckpointError: there is no tokenizer, or its token ids do not fit the token embeddings.
    """
    path = HubFile(HubName(REPOSITORY), "tokenizer.json").fetch(remedy=_REMEDY) if source is None else _file(source)
    core = _from_merges(path, words) if path.suffix == ".gz" else _from_json(path)
    start, end = core.token_to_id(START), core.token_to_id(END)
    if start is None or end is None:
        raise CheckpointError(f"{path} has no {START} and {END}; it is not a tokenizer of CLIP.")
    highest = max(core.get_vocab().values())
    if highest != words - 1 or end != highest:
        raise CheckpointError(
            f"{path} has token ids up to {highest} and the end token {end}, but the checkpoint has {words} tokens, the "
            f"last of which is the end token. Give the tokenizer of {REPOSITORY}, which all CLIPs of OpenAI share."
        )
    return ClipTokenizer(core, context=context, start=start, end=end)


def _file(source: Path) -> Path:
    if source.is_file():
        return source
    for place in PLACES:
        if (source / place).is_file():
            return source / place
    raise CheckpointError(f"{source} is not a file and contains none of {', '.join(PLACES)}; give CLIP's tokenizer.")


def _from_json(path: Path) -> Tokenizer:
    try:
        text = read_text(path, MAX_DOCUMENT_BYTES)
        values = parse_json(text, source=str(path))
    except DocumentError as error:
        raise CheckpointError(f"{error}. Give the tokenizer.json of {REPOSITORY}.") from None
    other = f"{path} is not a tokenizer.json of the tokenizers library"
    if not isinstance(values, dict) or "model" not in values:
        raise CheckpointError(f"{other}; give that of {REPOSITORY}.")
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # noqa: BLE001  # the library raises no narrower class
        raise CheckpointError(f"{other} ({str(error)[:200]}); give that of {REPOSITORY}.") from None


def _from_merges(path: Path, words: int) -> Tokenizer:
    """The tokenizer from OpenAI's list of merges; ids: bytes, bytes at the end of a word, merged pairs, start, end."""
    alphabet = [*_printable_bytes()]
    letters = [*alphabet, *(f"{letter}</w>" for letter in alphabet)]
    other = f"give the {PLACES[-1]} of OpenAI's CLIP"
    try:
        with gzip.open(path) as file:
            content = file.read(MAX_MERGES_BYTES + 1)
        if len(content) > MAX_MERGES_BYTES:
            raise CheckpointError(f"{path} unpacks to more than {MAX_MERGES_BYTES:,} bytes, the limit; {other}.")
        lines = content.decode("utf-8").split("\n")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise CheckpointError(f"{path} is not a gzipped list of merges ({error}); {other}.") from None
    pairs = [tuple(line.split()) for line in lines[1 : words - len(letters) - 1]]
    if any(len(pair) != 2 for pair in pairs):
        raise CheckpointError(f"{path} is not OpenAI's list of merges: a line does not hold two parts.")
    vocabulary = [*letters, *("".join(pair) for pair in pairs), START, END]
    ids = {word: index for index, word in enumerate(vocabulary)}
    from transformers import CLIPTokenizer  # takes seconds, and few checkpoints have a list of merges

    core: Tokenizer = CLIPTokenizer(vocab=ids, merges=pairs).backend_tokenizer
    return core


def _printable_bytes() -> list[str]:
    """The symbols of byte-level BPE in the order of OpenAI's vocabulary: printable bytes, then substitutes."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = range(_BYTES, 2 * _BYTES - len(printable))
    return [chr(code) for code in [*printable, *others]]
