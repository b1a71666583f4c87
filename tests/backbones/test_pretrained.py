"""The files of a network: from a directory, in one piece or in several, or from the hub at a chosen revision."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.pretrained import find_files, stored_weights
from tests.support.clip_directories import change_json, change_weights, clip_directory
from tests.support.hub_server import Hub

NAME = "someone/clip"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return clip_directory(tmp_path / "clip")


def test_a_name_on_the_hub_is_read_as_its_directory_is(hub: Hub, directory: Path) -> None:
    change_json(directory / "preprocessor_config.json", image_mean=[0.5, 0.4, 0.3], image_std=[0.5, 0.4, 0.3])
    hub.repositories[NAME] = contents(directory)
    local, remote = (ClipConfig(source=source).build() for source in (str(directory), NAME))
    assert (remote.mean, remote.std) == (local.mean, local.std) == ((0.5, 0.4, 0.3), (0.5, 0.4, 0.3))
    assert remote.tokenizer.fingerprint == local.tokenizer.fingerprint
    assert all(torch.equal(value, remote.network_state()[key]) for key, value in local.network_state().items())


def test_the_tokenizers_of_all_kinds_come_along(hub: Hub, directory: Path) -> None:
    others = dict.fromkeys(("vocab.txt", "spiece.model", "tokenizer.model", "tokenizer_config.json"), b"{}")
    hub.repositories[NAME] = contents(directory) | others | {"README.md": b"is not needed"}
    assert {path.name for path in find_files(NAME).iterdir()} == contents(directory).keys() | others.keys()


def test_a_revision_is_what_the_repository_was_then(hub: Hub, directory: Path) -> None:
    hub.repositories[f"{NAME}@v1"] = contents(directory)
    change_weights(directory, lambda state: state | {"logit_scale": torch.tensor(1.5)})
    hub.repositories[NAME] = contents(directory)
    newest, tagged = (ClipConfig(source=source).build().network_state() for source in (NAME, f"{NAME}@v1"))
    commit = hub.commit(f"{NAME}@v1")
    pinned = ClipConfig(source=f"{NAME}@{commit}").build().network_state()
    assert newest["logit_scale"] == 1.5
    assert tagged["logit_scale"] == pinned["logit_scale"] != 1.5


def test_what_was_downloaded_needs_no_network(hub: Hub, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories[NAME] = contents(directory)
    ClipConfig(source=NAME).build()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    ClipConfig(source=NAME).build()
    assert len(hub.requests) == asked


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ("config.json", r"has no config\.json"),
        ("model.safetensors", r"has no weights; allowed are model\.safetensors"),
        ("tokenizer.json", r"has no tokenizer\.json"),
    ],
)
def test_a_repository_without_a_file(hub: Hub, directory: Path, left_out: str, message: str) -> None:
    hub.repositories[NAME] = {name: content for name, content in contents(directory).items() if name != left_out}
    with pytest.raises(BackboneError, match=message):
        ClipConfig(source=NAME).build()


def test_a_repository_that_does_not_exist(hub: Hub) -> None:
    with pytest.raises(BackboneError, match="cannot be downloaded from the hub"):
        find_files("nobody/nothing")


def test_weights_in_several_files_are_all_read(directory: Path) -> None:
    state = load_file(directory / "model.safetensors")
    names = sorted(state)
    for number, part in enumerate((names[:5], names[5:])):
        save_file({name: state[name] for name in part}, directory / f"part-{number}.safetensors")
    table = {name: f"part-{int(name not in names[:5])}.safetensors" for name in names}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    (directory / "model.safetensors").unlink()
    assert stored_weights(directory).keys() == state.keys()
    (directory / "part-1.safetensors").unlink()
    with pytest.raises(BackboneError, match=r"part-1\.safetensors is missing"):
        stored_weights(directory)


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/etc/passwd"])
def test_an_index_names_no_file_elsewhere(directory: Path, shard: str) -> None:
    (directory / "model.safetensors").unlink()
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(BackboneError, match="lie beside their index"):
        stored_weights(directory)


def test_pickled_weights_are_read_as_data(directory: Path) -> None:
    state = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    torch.save(state, directory / "pytorch_model.bin")
    built = ClipConfig(source=str(directory)).build().network_state()
    assert all(torch.equal(built[key], value) for key, value in state.items())


@pytest.mark.parametrize("cut", [0, 4, 8, 100, -1])
def test_damaged_weights_are_said_to_be(directory: Path, cut: int) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BackboneError, match="damaged"):
        stored_weights(directory)
