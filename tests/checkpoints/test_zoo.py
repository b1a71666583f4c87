"""From a name to a model directory, over a hub on this machine."""

import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from ahs_seg.checkpoints import CheckpointError, load_model
from ahs_seg.checkpoints.zoo import KNOWN_CHECKPOINTS, find_model
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.hub_server import Hub
from tests.support.official import CLIP, save_original, tiny_state

SPACE = "spaces/hamacojr/CAT-Seg-weights"


@pytest.fixture
def weights(hub: Hub, tmp_path: Path) -> Hub:
    """The hub with a small CAT-Seg in the place of the published one."""
    content = save_original(tiny_state(), tmp_path / "small.pth").read_bytes()
    hub.repositories[SPACE] = {"model_base.pth": content}
    return hub


def test_the_names_are_those_of_the_authors() -> None:
    places = {
        name: (known.repository, known.repository_kind, known.filename) for name, known in KNOWN_CHECKPOINTS.items()
    }
    assert places == {
        "cat-seg-vitb": ("hamacojr/CAT-Seg-weights", "space", "model_base.pth"),
        "cat-seg-vitl": ("hamacojr/CAT-Seg-weights", "space", "model_large.pth"),
        "ebseg-vitb": ("slonetime/EBSeg", "model", "EBSeg_base.pth"),
        "ebseg-vitl": ("slonetime/EBSeg", "model", "EBSeg_large.pth"),
    }


def test_a_name_downloads_imports_and_segments(weights: Hub, tmp_path: Path, offline: Path) -> None:
    segmenter = Segmenter.from_pretrained("cat-seg-vitb")
    assert f"HEAD /{SPACE}/resolve/main/model_base.pth" in weights.requests
    patches = segmenter.method.backbone.model.vision_model.embeddings.patch_embedding.weight
    assert torch.equal(patches, tiny_state()[CLIP + "visual.conv1.weight"])
    image = (torch.rand(20, 30, 3) * 255).byte().numpy()
    assert segmenter(image, "cat, dog").labels.shape == (20, 30)
    description, _ = load_model(find_model("cat-seg-vitb"))
    assert description.trained_on == tuple(Vocabulary.known("coco-stuff-171").labels)


def test_the_second_time_needs_no_network(weights: Hub) -> None:
    first = find_model("cat-seg-vitb")
    asked = len(weights.requests)
    assert find_model("cat-seg-vitb") == first
    assert len(weights.requests) == asked
    assert [path.name for path in first.parent.iterdir() if not path.name.startswith(".")] == ["cat-seg-vitb"]


def test_a_download_that_breaks_off_is_resumed(weights: Hub) -> None:
    content = weights.repositories[SPACE]["model_base.pth"]
    path = f"/storage/{hashlib.sha256(content).hexdigest()}"
    weights.cut_once.add(path)
    with suppress(CheckpointError):  # huggingface_hub 2 resumes by itself
        find_model("cat-seg-vitb")
    find_model("cat-seg-vitb")
    assert weights.requests.count(f"GET {path}") == 2


def test_what_is_wrong_with_the_download_leaves_nothing(hub: Hub, tmp_path: Path, offline: Path) -> None:
    state = tiny_state()
    del state["upsample1.bias"]
    hub.repositories[SPACE] = {"model_base.pth": save_original(state, tmp_path / "a.pth").read_bytes()}
    with pytest.raises(CheckpointError, match="1 missing: pyramid"):
        find_model("cat-seg-vitb")
    kept = [path for path in (offline / "HF_ASSETS_CACHE").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert kept == []


def test_offline_says_what_to_fetch_and_what_to_do(offline: Path) -> None:
    with pytest.raises(
        CheckpointError,
        match=r"(?s)offline.*Download https://huggingface\.co/spaces/hamacojr/CAT-Seg-weigh"
        r"ts/resolve/main/model_base\.pth on a machine.*`ahs-seg import model_base\.pth --as cat_seg -o DIRECTORY`",
    ):
        find_model("cat-seg-vitb")


def test_a_file_that_the_hub_does_not_have(hub: Hub) -> None:
    hub.repositories[SPACE] = {}
    with pytest.raises(CheckpointError, match=r"model_large\.pth is not in the cache and could not be downloaded"):
        find_model("cat-seg-vitl")


def test_without_a_tokenizer_the_error_says_so(weights: Hub) -> None:
    weights.repositories.pop("openai/clip-vit-base-patch16")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is not in the cache.*--tokenizer FILE"):
        find_model("cat-seg-vitb")


@pytest.mark.slow
def test_a_process_of_its_own_obeys_the_hubs_environment(weights: Hub, tmp_path: Path) -> None:
    code = "import numpy as np; from ahs_seg.segmenter import Segmenter; "
    code += "print(Segmenter.from_pretrained('cat-seg-vitb')(np.zeros((20, 30, 3), np.uint8), 'cat').labels.shape)"
    environment = {**os.environ, "HF_ENDPOINT": weights.address, "HF_HOME": str(tmp_path / "home")}
    environment |= {"HF_HUB_OFFLINE": "0", "HF_HUB_CACHE": "", "HF_ASSETS_CACHE": ""}
    environment = {key: value for key, value in environment.items() if value}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "(20, 30)"
    assert (tmp_path / "home/assets/ahs-seg/imported-1/models/cat-seg-vitb/config.json").is_file()
