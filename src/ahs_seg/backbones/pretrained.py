"""The files of a pre-trained network in the format of `transformers`, from a directory or from the hub."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor

from ahs_seg.backbones.base import BackboneError
from ahs_seg.documents import DocumentError, read_mapping
from ahs_seg.errors import CheckpointError
from ahs_seg.io.hub import UNREACHABLE, HubName, fetch_if_present, reason
from ahs_seg.io.pickles import DAMAGED, read_pickle
from ahs_seg.io.weight_files import StoredTensor, in_memory, listed, stored_tensors

CONFIG: Final = "config.json"
_INDEX: Final = ".index.json"
_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
_OTHERS: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "tokenizer.model",
    "preprocessor_config.json",
    "processor_config.json",
)


def find_files(source: str) -> Path:
    """The directory with the files of a network: `source` itself, or that of `owner/name@revision` in the hub's cache.

    All files are of one commit, even if the repository changes while they are downloaded.

    Raises:
        BackboneError: `source` is neither a directory nor a repository that can be reached.
    """
    if Path(source).is_dir():
        return Path(source)
    name = HubName.parse(source)
    if name is None:
        raise BackboneError(f"{source!r} is neither a directory nor a name on the hub (owner/name@revision)")
    try:
        config = fetch_if_present(name, CONFIG)
        if config is None:
            raise BackboneError(f"{name} on the hub has no {CONFIG}; it is not in the format of transformers")
        commit = HubName(name.repository, config.parent.name)
        for filename in _OTHERS:
            fetch_if_present(commit, filename)
        _fetch_weights(commit, config.parent)
    except UNREACHABLE as error:
        raise BackboneError(
            f"{source!r} is no directory and cannot be downloaded from the hub ({reason(error)})"
        ) from None
    return config.parent


def _fetch_weights(commit: HubName, directory: Path) -> None:
    for weights in _WEIGHTS:
        if fetch_if_present(commit, weights) is not None:
            return
        if fetch_if_present(commit, weights + _INDEX) is not None:
            for shard in _shards(directory / (weights + _INDEX)):
                fetch_if_present(commit, shard)
            return


def read_settings(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file of a pre-trained network.

    Raises:
        BackboneError: there is no such file, or it is not a JSON mapping.
    """
    try:
        return read_mapping(path)
    except FileNotFoundError:
        raise BackboneError(f"{path.parent} has no {path.name}") from None
    except (OSError, DocumentError) as error:
        raise BackboneError(str(error)) from None


def stored_weights(directory: Path) -> dict[str, StoredTensor]:
    """The tensors of the weight file of a directory, or of its shards, without their values.

    Raises:
        BackboneError: there is none, or it is damaged.
    """
    for weights in _WEIGHTS:
        whole, index = directory / weights, directory / (weights + _INDEX)
        try:
            if whole.is_file():
                return _tensors_of(whole)
            if index.is_file():
                parts = [_tensors_of(directory / shard) for shard in _shards(index)]
                return {name: tensor for part in parts for name, tensor in part.items()}
        except FileNotFoundError as error:
            raise BackboneError(f"{directory} is incomplete: {error.filename} is missing") from None
        except CheckpointError as error:
            raise BackboneError(str(error)) from None
    raise BackboneError(f"{directory} has no weights; allowed are {' and '.join(_WEIGHTS)}")


def _tensors_of(path: Path) -> dict[str, StoredTensor]:
    if path.suffix == ".safetensors":
        return stored_tensors(path)
    try:
        content = read_pickle(path)
    except DAMAGED as error:
        raise (
            error
            if isinstance(error, CheckpointError | FileNotFoundError)
            else CheckpointError(f"{path} is damaged ({error}); copy or download it again.")
        ) from None
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path} is not a state dict of tensors.")
    return in_memory(cast("dict[str, Tensor]", content))


def load_network(network: type[Any], source: str, config: Any, *, without: Collection[str] = ()) -> Any:
    """A network of `transformers` in float32 with the weights of `source`, each of which is used.

    `without` are parts of keys that the network has and the weights need not have.

    Raises:
        BackboneError: weights are missing or have other shapes; they are named.
    """
    directory = find_files(source)
    stored_weights(directory)  # a damaged file is said to be one
    try:
        built, report = network.from_pretrained(directory, config=config, dtype=torch.float32, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise BackboneError(f"cannot load the weights of {source!r}: {error}") from None
    missing = sorted(key for key in report["missing_keys"] if not any(part in key for part in without))
    if missing:
        raise BackboneError(
            f"cannot load the weights of {source!r}: {len(missing)} missing: {listed(missing)}. Give a network of the "
            f"type {config.model_type!r} with the sizes of the config"
        )
    broken = sorted(key for key, value in built.state_dict().items() if not bool(value.isfinite().all()))
    if broken:
        raise BackboneError(f"{source!r}: {len(broken)} weights hold NaN or infinity: {listed(broken)}")
    return built


def _shards(index: Path) -> Iterator[str]:
    """The file names in an index of shards, each once; they lie beside the index."""
    table = read_settings(index).get("weight_map")
    if not isinstance(table, dict):
        raise BackboneError(f"{index} has no weight_map; it is not the index of a network in several files")
    for shard in sorted({str(name) for name in table.values()}):
        if Path(shard).name != shard:
            raise BackboneError(f"{index} names {shard!r}; the files of a network lie beside their index")
        yield shard
