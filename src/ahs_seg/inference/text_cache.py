"""Cache of text embeddings with keys by content: every prompt is encoded once per text tower."""

from __future__ import annotations

import copy
import json
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary
from zlib import crc32

import torch
from cachetools import LRUCache
from jaxtyping import Float
from torch import Tensor

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.tokenizer import TextTokenizer, TextTooLongError, Tokens
from ahs_seg.errors import CheckpointError
from ahs_seg.inference.text_store import MAX_BYTES, TextStore
from ahs_seg.io.cache_folder import cache_folder
from ahs_seg.io.digest import labelled, tensor_bytes, weights_digest
from ahs_seg.modules.full_precision import full_precision
from ahs_seg.vocabulary.prompts import PromptTable

logger = logging.getLogger(__name__)

FOLDER: Final = "text"
"""Where text embeddings lie in the cache folder of this package."""

ENCODING: Final = 2
"""Version of the text encoding; increased whenever `encode_text` or the text cleaning changes its results."""


TOLERANCE: Final = 1e-6
"""Bound of the difference of an embedding (of unit length) by the texts that it is encoded together with."""


_CHECKED: Final = 1024
"""Texts whose tokens are in memory at once while their lengths are checked."""


class TextCache:
    """Cache of prompt embeddings in memory (the most recently used, up to `memory_bytes`) and in `directory` if given.

    The key of an embedding is the text and a hash of everything that determines its values: weights of the text tower,
    adapter, tokenizer. Entries are single prompts, so that a class added to a long list costs only its own prompts. May
    be shared between threads and between models.

    Texts that are missing in memory are encoded together, with their common beginning once. The shapes of a batch
    choose the order in which sums are computed, so that an embedding depends on what was in memory before, by less than
    `TOLERANCE`. The same vocabulary, in any order, has bit-equal embeddings from any two caches whose memory was empty:
    the directory keeps the results of whole batches (`TextStore`), so that every result with it is, bit for bit, the
    one without it, whatever earlier runs have stored. A directory holds at most `max_bytes`.
    """

    def __init__(
        self,
        directory: Path | str | None = None,
        *,
        memory_bytes: int = 256 * 2**20,
        batch: int = 256,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.batch = batch
        self._store = None if directory is None else TextStore(Path(directory), max_bytes=max_bytes)
        self._memory: LRUCache[tuple[str, str], Tensor] = LRUCache(memory_bytes, getsizeof=_bytes_of)
        self._digests: WeakKeyDictionary[Backbone, tuple[object, str]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    @classmethod
    def shared(cls) -> TextCache:
        """A cache in `$XDG_CACHE_HOME/ahs-seg/text` (`~/.cache/ahs-seg/text`), which all runs of a user share.

        Without a home folder, it is in memory only.
        """
        try:
            return cls(cache_folder() / FOLDER)
        except CheckpointError as error:
            logger.warning("text embeddings are not kept on disk: %s", error)
            return cls()

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: the embeddings in memory and the directory, without lock and known weights."""
        with self._lock:
            return {"batch": self.batch, "_store": self._store, "_memory": copy.copy(self._memory)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._digests = WeakKeyDictionary()
        self._lock = threading.Lock()

    def encode(self, backbone: Backbone, table: PromptTable) -> Float[Tensor, "t p d"]:
        """Text embeddings of a prompt table, of unit length, on the backbone's device and without gradients.

        Raises:
            TextTooLongError: a prompt has more tokens than the text tower has positions; the message names its class.
        """
        texts = table.texts
        with self._lock, torch.inference_mode(mode=False), torch.no_grad():
            model = self._fingerprint(backbone)
            found = {text: self._memory[model, text] for text in texts if (model, text) in self._memory}
            missing = [text for text in texts if text not in found]
            if missing:
                found |= self._compute(backbone, table, missing, model)
            self._remember(model, {text: found[text] for text in texts})
            device = backbone.device
            return table.assemble(torch.stack([found[text] for text in texts]).to(device))

    def _compute(self, backbone: Backbone, table: PromptTable, texts: Sequence[str], model: str) -> dict[str, Tensor]:
        """Embeddings of texts, read batch by batch if they are stored, else encoded and stored."""
        device, found = backbone.device, dict[str, Tensor]()
        batches = batches_of(texts, self.batch)
        if self._store is not None:
            stored = [(batch, self._store.read(model, batch, device)) for batch in batches]
            batches = [batch for batch, rows in stored if rows is None]
            found = {
                text: row for batch, rows in stored if rows is not None for text, row in zip(batch, rows, strict=True)
            }
        tokens = [tokenize(backbone.tokenizer, table, batch) for batch in batches]
        for batch, read in zip(batches, tokens, strict=True):
            with full_precision(device):
                rows = backbone.encode_text(read).float().cpu()
            if self._store is not None:
                self._store.write(model, batch, device, rows)
            found |= dict(zip(batch, rows, strict=True))
        return found

    def _remember(self, model: str, embeddings: dict[str, Tensor]) -> None:
        for text, embedding in embeddings.items():
            if (model, text) not in self._memory and embedding.nbytes <= self._memory.maxsize:
                self._memory[model, text] = embedding.clone()

    def _fingerprint(self, backbone: Backbone) -> str:
        """`fingerprint` of the backbone, computed again only if a cheap check (`_probe`) finds changed weights."""
        if backbone.adapter is not None:  # its weights may depend on more than tensors: compute them each time
            return fingerprint(backbone)
        probe = _probe(backbone)
        known = self._digests.get(backbone)
        if known is None or known[0] != probe:
            known = self._digests[backbone] = (probe, fingerprint(backbone))
        return known[1]


def batches_of(texts: Iterable[str], size: int) -> list[list[str]]:
    """The texts in sorted order, so that those of a batch have common beginnings, in batches of at most `size`.

    Of more than one batch, the texts decide where a batch ends: a text that is added or removed changes its own batch,
    and seldom the next one, so that the others are found in the store.
    """
    ordered = sorted(texts)
    if len(ordered) <= size:
        return [ordered]
    least = max(1, size // 4)
    batches: list[list[str]] = [[]]
    for text in ordered:
        last = batches[-1]
        last.append(text)
        if len(last) == size or (len(last) >= least and crc32(text.encode(errors="surrogatepass")) % least == 0):
            batches.append([])
    return [batch for batch in batches if batch]


def _bytes_of(embedding: Tensor) -> int:
    return embedding.nbytes


def tokenize(tokenizer: TextTokenizer, table: PromptTable, texts: Sequence[str]) -> Tokens:
    """Tokens of some texts of a prompt table.

    Raises:
        TextTooLongError: a text has too many tokens; the message names its class.
    """
    try:
        return tokenizer(texts)
    except TextTooLongError:
        for text in texts:
            _check_length(tokenizer, table, text)
        raise


def check_lengths(tokenizer: TextTokenizer, table: PromptTable) -> None:
    """Check that a text tower can read every text of a prompt table, without encoding any.

    Raises:
        TextTooLongError: a text has too many tokens; the message names its class.
    """
    for batch in batches_of(table.texts, _CHECKED):
        tokenize(tokenizer, table, batch)


def _check_length(tokenizer: TextTokenizer, table: PromptTable, text: str) -> None:
    try:
        tokenizer([text])
    except TextTooLongError as error:
        raise TextTooLongError(f"class {table.owner(text)!r}: {error}") from None


@torch.no_grad()
def fingerprint(backbone: Backbone) -> str:
    """Hash of the text tower's weights (with the adapter applied), its architecture and its tokenizer."""
    settings = json.dumps([ENCODING, backbone.text_settings()], sort_keys=True, default=str)
    start = (settings + backbone.tokenizer.fingerprint).encode()
    return weights_digest(labelled(_text_tensors(backbone)), start=start)


def _text_tensors(backbone: Backbone) -> Iterator[tuple[str, Tensor]]:
    yield from backbone.text_state()
    if backbone.adapter is not None:
        for index, weights in enumerate(backbone.attention_weights("text")):
            yield from ((f"{index}.{name}", tensor) for name, tensor in weights._asdict().items())


def _probe(backbone: Backbone) -> object:
    """A value that changes when the weights change, and takes a fraction of the time of a hash.

    Address and version counter of a tensor detect ordinary changes. Writes that bypass autograd
    (`weight.data.add_(1)`, as in weight averaging and mixed precision) change neither; the sums of the bits, read as
    integers, detect them.
    """
    tensors = [tensor for _, tensor in _text_tensors(backbone)]
    seen = [(t.data_ptr(), 0 if t.is_inference() else t._version, t.dtype, t.shape) for t in tensors]
    return seen, torch.stack([_bit_sum(tensor) for tensor in tensors]).tolist()


def _bit_sum(tensor: Tensor) -> Tensor:
    data = tensor_bytes(tensor)
    whole = len(data) - len(data) % 8
    return data[:whole].view(torch.int64).sum() + data[whole:].sum(dtype=torch.int64)
