"""Checkpoints in the layout of the original code, with the official names at small sizes and generated weights."""

import gzip
import re
from collections import OrderedDict
from itertools import product
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from torch import Tensor, nn

from tests.parity.recording import recording
from tests.support.builders import byte_tokenizer

DEPTH, VISION, TEXT, DIM, WORDS, CONTEXT, PATCH, GRID = 3, 256, 128, 64, 259, 40, 8, 4
PREDICTOR = "sem_seg_head.predictor."
CLIP = PREDICTOR + "clip_model."
COPY = CLIP + "visual.transformer.resblocks.0.attn_q_proj_oft_layer_R"

_SIZES = {
    CLIP + "visual.conv1.weight": (VISION, 3, PATCH, PATCH),
    CLIP + "visual.positional_embedding": (GRID**2 + 1, VISION),
    CLIP + "visual.proj": (VISION, DIM),
    CLIP + "positional_embedding": (CONTEXT, TEXT),
    CLIP + "text_projection": (TEXT, DIM),
    CLIP + "token_embedding.weight": (WORDS, TEXT),
    PREDICTOR + "transformer.guidance_projection.0.weight": (128, DIM, 3, 3),
    PREDICTOR + "transformer.text_guidance_projection.0.weight": (128, DIM),
    "upsample1.weight": (VISION, 256, 2, 2),
    "upsample2.weight": (VISION, 128, 4, 4),
}


def tiny_state(name: str = "catseg_vitb") -> dict[str, Tensor]:
    """The official state dict of a recording's network, small: 3 blocks, 256 and 128 wide, 192 pixels on 24 patches."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = OrderedDict()
    for entry in recording(name).manifest["state_dict"]:
        key = entry["name"]
        block = re.search(r"resblocks\.(\d+)|relation_m_R\.(\d+)", key)
        if (block and int(block[1] or block[2]) >= DEPTH) or re.search(r"relation_m_R\.([3-9]|1\d)\.", key):
            continue
        if entry.get("alias_of"):
            state[key] = state[entry["alias_of"]]
        elif entry.get("dtype") == "int64":
            state[key] = torch.tensor(VISION)
        else:
            state[key] = _drawn(key, _size(key, entry["shape"]), generator)
    return state


def _size(key: str, shape: list[int]) -> tuple[int, ...]:
    if key in _SIZES:
        return _SIZES[key]
    if "oft" in key:
        slots, rows = (VISION + TEXT) // 128, 4 * DEPTH
        return {4: (128, 128, rows, slots), 2: (rows, rows) if "_l_R" in key else (slots, slots)}[len(shape)]
    if key.startswith(CLIP):
        old, new = (768, VISION) if "visual" in key else (512, TEXT)
        return tuple(new * side // old for side in shape)
    return tuple(shape)


def _drawn(key: str, size: tuple[int, ...], generator: torch.Generator) -> Tensor:
    noise = torch.randn(size, generator=generator)
    if "oft" in key:
        eye = torch.eye(size[0]).view(size[0], size[0], *[1] * (len(size) - 2))
        return eye + 0.02 * noise
    if len(size) > 1:
        return noise / (noise[0].numel() ** 0.5)
    return 1 + 0.1 * noise if re.search(r"(norm\d?|ln_\w+|conv\.[14])\.weight", key) else 0.1 * noise


def save_original(state: dict[str, Tensor], path: Path, *, legacy: bool = False) -> Path:
    """What detectron2's checkpointer writes during training."""
    optimizer = {"state": {0: {"step": torch.tensor(80000.0)}}, "param_groups": [{"lr": 2e-4, "params": [0]}]}
    content = {"model": state, "optimizer": optimizer, "scheduler": {"last_epoch": 80000}, "iteration": 79999}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def byte_tokenizer_file(directory: Path) -> Path:
    """A `tokenizer.json` for `WORDS` words."""
    byte_tokenizer(CONTEXT).save(directory)
    return directory / "tokenizer.json"


def merges_file(directory: Path, merges: list[str]) -> Path:
    """A list of merges in the form of OpenAI's, with lines after those that are used."""
    path = directory / "bpe_simple_vocab_16e6.txt.gz"
    path.write_bytes(gzip.compress("\n".join(['"bpe_simple_vocab_16e6.txt#version: 0.2', *merges, "x y"]).encode()))
    return path


def archive(state: dict[str, Tensor], path: Path) -> Path:
    """A TorchScript archive of modules that hold these weights, in half precision as OpenAI's."""
    root = _Holder()
    for key, value in state.items():
        *parents, name = key.split(".")
        module: nn.Module = root
        for parent in parents:
            if parent not in module._modules:
                module.add_module(parent, _Holder())
            module = module.get_submodule(parent)
        module.register_buffer(name, value.half() if value.is_floating_point() else value)
    torch.jit.save(torch.jit.script(root), path)
    return path


class _Holder(nn.Module):
    def forward(self) -> None:
        return None


def plain_clip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The CLIP inside a CAT-Seg checkpoint under OpenAI's names, its attention matrices fused."""
    clip = {key.removeprefix(CLIP): value for key, value in state.items() if key.startswith(CLIP)}
    for key in [key for key in clip if key.endswith("q_proj_weight")]:
        parts = [clip.pop(key.replace("q_proj", f"{letter}_proj")) for letter in "qkv"]
        clip[key.replace("q_proj", "in_proj")] = torch.cat(parts)
    sizes = {"input_resolution": GRID * PATCH, "context_length": CONTEXT, "vocab_size": WORDS}
    return clip | {key: torch.tensor(size) for key, size in sizes.items()}


def open_clip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same CLIP as open_clip stores it: without OpenAI's entries of sizes."""
    return {key: value for key, value in plain_clip(state).items() if value.is_floating_point()}


def byte_letters() -> set[str]:
    return set(pre_tokenizers.ByteLevel.alphabet())


def full_tokenizer(directory: Path) -> Path:
    """As many words as OpenAI's; which, does not matter here."""
    letters = sorted(byte_letters())
    pairs = [f"{first} {last}</w>" for first, last in product(letters, letters)]
    return merges_file(directory, pairs[: 49408 - 514])
