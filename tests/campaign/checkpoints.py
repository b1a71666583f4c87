"""Hostile checkpoint files: pickles that would act, claims without end, damage of every format."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save

from tests.campaign.damage import DAMAGES, Damage
from tests.support.official import archive, plain_clip, tiny_state

RAN: Final = "../ran"
"""What a payload makes: beside the folder of its case, where the witness looks."""

_OLD: Final = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
"""How a file of the older format begins."""


class Payload:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


PAYLOADS: Final = (
    Payload(os.mkdir, RAN),
    Payload(os.system, f"touch {RAN}"),
    Payload(exec, f"import os; os.mkdir({RAN!r})"),
    Payload(eval, f"__import__('os').mkdir({RAN!r})"),
    Payload(subprocess.call, ["touch", RAN]),
    Payload(open, RAN, "w"),
    Payload(torch.load, RAN),
    Payload(__import__, "antigravity"),
)


def bases() -> dict[str, bytes]:
    """A small CLIP in every format that is read, by file name."""
    state, buffer = plain_clip(tiny_state()), io.BytesIO()
    found = {"a.safetensors": save({key: value.contiguous() for key, value in state.items()})}
    for name, zipped in (("zip.pth", True), ("old.pth", False)):
        buffer = io.BytesIO()
        torch.save({"model": state, "iteration": 7}, buffer, _use_new_zipfile_serialization=zipped)
        found[name] = buffer.getvalue()
    return found


def script(path: Path) -> bytes:
    """The same CLIP as a TorchScript archive."""
    return archive(plain_clip(tiny_state()), path).read_bytes()


def damaged(draw: random.Random, files: dict[str, bytes], count: int) -> Iterator[tuple[str, str, bytes]]:
    """Name of a case, name of its file, content: every format with every damage in turn."""
    pairs: list[tuple[str, Damage]] = [(name, damage) for damage in DAMAGES for name in files]
    for number in range(count):
        name, damage = pairs[number % len(pairs)]
        content = bytearray(files[name])
        yield f"{damage.__name__} {name} {number}", name, bytes(damage(draw, content))


def acting() -> Iterator[tuple[str, str, bytes]]:
    """Pickles with a payload: raw, in the older format, in a zip, and in a zip beside honest weights."""
    for number, payload in enumerate(PAYLOADS):
        yield f"raw pickle {number}", "a.pth", pickle.dumps(payload, protocol=number % 6)
        for zipped in (True, False):
            buffer = io.BytesIO()
            torch.save({"model": {"a": torch.zeros(2)}, "x": payload}, buffer, _use_new_zipfile_serialization=zipped)
            yield f"payload {number} in torch.save, zipped {zipped}", "a.pth", buffer.getvalue()
    yield "payload before a magic number", "a.pth", pickle.dumps(PAYLOADS[0]) + _OLD


def endless() -> Iterator[tuple[str, str, bytes]]:
    """Small pickles that describe very much."""
    shared = b"\x80\x02]q\x00" + b"".join(
        b"]" + f"q{chr(n + 1)}".encode("latin1") + b"(" + f"h{chr(n)}".encode("latin1") * 2 + b"e" for n in range(40)
    )
    contents = {
        "lists shared 2^40 times": shared + b".",
        "tuples shared 2^40 times": b"\x80\x02)" + b"2\x86" * 40 + b".",
        "memo of 2^28": b"\x80\x02]r" + struct.pack("<I", 2**28) + b".",
        "memo of 2^31": b"\x80\x02]r" + struct.pack("<I", 2**31 - 1) + b".",
        "text of 4 GB": b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"x.",
        "bytes of 2^62": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
        "number of 2 GB": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"\1.",
        "frame of 2^60": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"].",
        "nested 200,000 deep": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
        "itself": b"\x80\x02}q\0U\1ah\0s.",
        "power of powers": b"\x80\x02cbuiltins\npow\nK\x09J\xff\xff\xff\x7f\x86R.",
        "bytearray of 2^40": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
        "OrderedDict of itself": b"\x80\x02ccollections\nOrderedDict\n)R" + b"2\x85" * 30 + b".",
    }
    for name, content in contents.items():
        yield f"{name}, raw", "a.pth", content
        yield f"{name}, zipped", "a.pth", zipped(content)
        yield (
            f"{name}, older format",
            "a.pth",
            _OLD + content,
        )


def zipped(pickled: bytes, *, compression: int = zipfile.ZIP_STORED, more: dict[str, bytes] | None = None) -> bytes:
    """A zip as `torch.save` writes it, with this pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in {"data.pkl": pickled, "version": b"3\n", "byteorder": b"little", **(more or {})}.items():
            file.writestr(f"archive/{name}", content)
    return buffer.getvalue()


def large() -> Iterator[tuple[str, str, bytes]]:
    """Files that unpack to very much, and tensors that claim more than their values."""
    zeros = bytes(2**27)
    yield "a data.pkl of 128 MB, compressed", "a.pth", zipped(b"\x80\x02" + zeros, compression=zipfile.ZIP_DEFLATED)
    yield (
        "values of 128 MB, compressed",
        "a.pth",
        zipped(b"\x80\x02}.", compression=zipfile.ZIP_DEFLATED, more={"data/0": zeros}),
    )
    for name, shape, stride in (
        ("huge", (2**31, 2**31), (1, 1)),
        ("spread", (2**40,), (0,)),
        ("behind", (4,), (2**50,)),
    ):
        buffer = io.BytesIO()
        torch.save({"model": {"a": torch.zeros(4)}}, buffer)
        content = buffer.getvalue()
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            pickled = file.read("archive/data.pkl")
            values = file.read("archive/data/0")
        sizes = b"".join(b"\x8a\x08" + struct.pack("<q", size) for size in shape)
        steps = b"".join(b"\x8a\x08" + struct.pack("<q", step) for step in stride)
        pickled = pickled.replace(b"K\x04\x85", b"(" + sizes + b"t").replace(b"K\x01\x85", b"(" + steps + b"t")
        yield f"a tensor that is {name}", "a.pth", zipped(pickled, more={"data/0": values})


def other_weights() -> Iterator[tuple[str, str, bytes]]:
    """State dicts of a CLIP in which something is other than it seems."""
    state = plain_clip(tiny_state())
    bias = "visual.transformer.resblocks.0.mlp.c_fc.bias"
    block = "transformer.resblocks.{}.attn.in_proj_weight"
    shared = torch.ones(3000, 1000)
    sizes = ("input_resolution", "context_length", "vocab_size")
    changed: dict[str, dict[str, Any]] = {
        "NaN": {bias: torch.full_like(state[bias], torch.nan)},
        "infinity after float32": {bias: torch.full_like(state[bias], 1e300, dtype=torch.float64)},
        "quantised": {bias: torch.ones(len(state[bias]), dtype=torch.int8)},
        "complex": {bias: torch.ones(len(state[bias]), dtype=torch.complex64)},
        "no axes": {bias: torch.tensor(1.0)},
        "spread over 2^40": {bias: torch.zeros(1).expand(2**40)},
        "an embedding of 2^40 words": {"token_embedding.weight": torch.zeros(1).expand(2**40, 128)},
        "5,000 layers of one tensor": {block.format(index): shared for index in range(5000)},
        "a layer of 2^60": {block.format(2**60): shared},
        "a patch of no pixels": {"visual.conv1.weight": torch.zeros(256, 3, 0, 0)},
        "no positions": {"visual.positional_embedding": torch.zeros(0, 256)},
    }
    for name, change in changed.items():
        for prefix in ("", "module."):
            buffer = io.BytesIO()
            torch.save({"state_dict": {prefix + key: value for key, value in (state | change).items()}}, buffer)
            yield f"{name}, prefix {prefix!r}", "a.pth", buffer.getvalue()
    buffer = io.BytesIO()
    torch.save({key: value for key, value in state.items() if key not in sizes}, buffer)
    yield "open_clip", "a.pth", buffer.getvalue()


def safetensors() -> Iterator[tuple[str, str, bytes]]:
    """Headers of safetensors that lie."""
    one = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    headers: dict[str, Any] = {
        "offsets beyond the end": {"a": {**one, "data_offsets": [0, 2**62]}},
        "offsets that overlap": {"a": one, "b": one},
        "offsets that run back": {"a": {**one, "data_offsets": [16, 0]}},
        "a shape of 2^80": {"a": {**one, "shape": [2**40, 2**40]}},
        "a negative shape": {"a": {**one, "shape": [-4]}},
        "a kind that does not exist": {"a": {**one, "dtype": "F77"}},
        "no kind": {"a": {"shape": [4], "data_offsets": [0, 16]}},
        "nothing": {},
        "a list": [],
        "100,000 names": {f"{number}": {**one, "shape": [0], "data_offsets": [0, 0]} for number in range(100_000)},
        "no number": {"a": {**one, "shape": [float("nan")]}},
    }
    for name, header in headers.items():
        text = json.dumps(header).encode()
        yield f"safetensors with {name}", "a.safetensors", struct.pack("<Q", len(text)) + text + bytes(16)
    deep = b"[" * 100_000 + b"]" * 100_000
    yield "safetensors, nested", "a.safetensors", struct.pack("<Q", len(deep)) + deep
    for size in (2**63, 2**40, 10**8, 0):
        yield f"safetensors with a header of {size}", "a.safetensors", struct.pack("<Q", size) + b"{}" + bytes(16)
