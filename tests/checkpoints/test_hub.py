"""Models go to the hub and come back."""

from pathlib import Path

import pytest

from ahs_seg.checkpoints import CheckpointError, ModelDescription, load_model, save_model
from ahs_seg.checkpoints.hub import push_to_hub
from ahs_seg.checkpoints.zoo import find_model
from tests.support.builders import random_backbone
from tests.support.hub_server import Hub
from tests.support.small_methods import CAT_SEG


def test_a_model_goes_to_the_hub_and_comes_back(hub: Hub, tmp_path: Path) -> None:
    hub.token = "secret"
    description = ModelDescription(method=CAT_SEG, trained_on=("cat", "dog"))
    directory = save_model(CAT_SEG.compose(random_backbone()), description, tmp_path / "model")
    (directory / "notes.txt").write_text("private")
    address = push_to_hub(directory, "me/model", token="secret", licence="mit")
    assert address.startswith(f"{hub.address}/me/model/commit/")
    assert any(request.startswith("PUT /storage/") for request in hub.requests)  # the weights are a large file
    files = hub.repositories["me/model"]
    assert "notes.txt" not in files
    assert b"license: mit" in files["README.md"]
    assert b"from ahs_seg import AhsSegModel" in files["modeling_ahs_seg.py"]
    assert b'"auto_map"' in files["config.json"]
    hub.token = None
    found = find_model("me/model")
    assert {path.name for path in found.iterdir()} == {"config.json", "model.safetensors", "backbone"}
    for file in ("config.json", "model.safetensors", "backbone/tokenizer.json"):
        assert (found / file).read_bytes() == (directory / file).read_bytes()
    assert load_model(found)[0] == description
    push_to_hub(directory, "me/model", message="again")  # the repository is there already


def test_the_hub_refuses(hub: Hub, tmp_path: Path) -> None:
    hub.token = "secret"
    directory = save_model(CAT_SEG.compose(random_backbone()), ModelDescription(method=CAT_SEG), tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"could not be uploaded to 'me/model' .*hf auth login"):
        push_to_hub(directory, "me/model", token="wrong")
    with pytest.raises(CheckpointError, match="could not be uploaded to 'not a name'"):
        push_to_hub(directory, "not a name")


@pytest.mark.parametrize("name", ["nowhere/nothing", "cat-seg-vitx", "a/b/c"])
def test_what_is_no_model(hub: Hub, name: str) -> None:
    with pytest.raises(CheckpointError, match="known checkpoint"):
        find_model(name)


def test_a_gated_model_says_where_its_terms_are(hub: Hub) -> None:
    hub.repositories["me/model"] = {}
    hub.gated.add("me/model")
    with pytest.raises(CheckpointError, match=rf"log in .* accept the terms at {hub.address}/me/model\)"):
        find_model("me/model")
