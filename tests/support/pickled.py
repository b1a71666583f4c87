"""Files of PyTorch's two formats around a pickle written by hand."""

import io
import pickle
import zipfile
from collections.abc import Mapping

_OLDER = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)


def zipped(content: bytes, more: Mapping[str, bytes] | None = None) -> bytes:
    """A zip archive as `torch.save` writes it, with this pickle and more files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, member in {"data.pkl": content, "version": b"3\n", **(more or {})}.items():
            file.writestr(f"archive/{name}", member)
    return buffer.getvalue()


def older(content: bytes) -> bytes:
    """A file of the format before the zip archive, with this pickle and no values."""
    return _OLDER + content + pickle.dumps([], 2)
