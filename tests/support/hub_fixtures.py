"""A hub on this machine and caches of its own, for tests that ask for them (see `tests/conftest.py`)."""

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from tests.support.hub_server import Hub, serving
from tests.support.official import byte_tokenizer_file


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Empty caches of the hub and of this package (`cache/ahs-seg`)."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    for name in ("HF_HUB_CACHE", "HF_ASSETS_CACHE"):
        monkeypatch.setattr(huggingface_hub.constants, name, str(cache / name))
    return cache


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, offline: Path, tmp_path: Path) -> Iterator[Hub]:
    """A hub that has the tokenizer of CLIP (a small one); `huggingface_hub` talks to it and to nothing else."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)  # the older way of large files
    tokenizer = byte_tokenizer_file(tmp_path).read_bytes()
    with serving(Hub({"openai/clip-vit-base-patch16": {"tokenizer.json": tokenizer}})) as server:
        template = huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE
        template = template.replace(huggingface_hub.constants.ENDPOINT, server.address)
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.address)
        yield server
    huggingface_hub.close_session()
