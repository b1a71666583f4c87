"""Published checkpoints from a hub on this machine, in the layouts of the real one."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import huggingface_hub
import pytest
import torch
from filelock import FileLock

from ahs_seg.checkpoints import CheckpointError, load_model
from ahs_seg.checkpoints.acquire import fetch_known
from ahs_seg.checkpoints.known import KNOWN_CHECKPOINTS
from ahs_seg.checkpoints.zoo import find_model
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.hub_server import Hub
from tests.support.official import CLIP, byte_tokenizer_file, save_original, tiny_state

SPACE = "spaces/hamacojr/CAT-Seg-weights"
MODEL = "slonetime/EBSeg"
TOKENIZER = "openai/clip-vit-base-patch16"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small CAT-Seg in the layout of the published one."""
    return save_original(tiny_state(), tmp_path_factory.mktemp("original") / "small.pth").read_bytes()


@pytest.fixture
def weights(hub: Hub, checkpoint: bytes) -> Hub:
    hub.repositories[SPACE] = {"model_base.pth": checkpoint}
    return hub


@pytest.fixture
def cache(offline: Path) -> Path:
    return offline / "ahs-seg"


def left_in(cache: Path) -> list[Path]:
    return [path for path in (cache / "models").rglob("*") if path.is_file() and path.suffix != ".lock"]


def unreachable(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens where the hub is said to be."""
    for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_TEMPLATE"):
        old = getattr(huggingface_hub.constants, name)
        monkeypatch.setattr(huggingface_hub.constants, name, old.replace(hub.address, "http://127.0.0.1:9"))


def test_without_a_name_the_published_cat_seg_is_downloaded_imported_and_segments(
    weights: Hub, cache: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TQDM_POSITION", "-1")  # a bar although this is no terminal
    segmenter = Segmenter.from_pretrained()
    assert f"HEAD /{SPACE}/resolve/main/model_base.pth" in weights.requests
    patches = segmenter.method.backbone.model.vision_model.embeddings.patch_embedding.weight
    assert torch.equal(patches, tiny_state()[CLIP + "visual.conv1.weight"])
    image = (torch.rand(20, 30, 3) * 255).byte().numpy()
    assert segmenter(image, "cat, dog").labels.shape == (20, 30)
    description, _ = load_model(find_model("cat-seg-vitb"))
    assert description.trained_on == tuple(Vocabulary.known("coco-stuff-171").labels)
    assert description.training == KNOWN_CHECKPOINTS["cat-seg-vitb"].training
    said = capfd.readouterr().err
    size = len(weights.repositories[SPACE]["model_base.pth"])
    assert said.startswith(
        f"cat-seg-vitb: downloading model_base.pth (cat_seg, ViT-B/16; {size / 1e6:.0f} MB; licence unknown (the "
        "code of the authors is under MIT; none is known for the weights, which contain those of a CLIP)) "
        f"from {weights.address}/{SPACE}; kept in {cache / 'models' / 'cat-seg-vitb'}\n"
    )
    assert "100%|" in said  # the bar


def test_the_second_time_needs_no_network_and_says_nothing(
    weights: Hub, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = find_model("cat-seg-vitb")
    assert first == cache / "models" / "cat-seg-vitb"
    asked = len(weights.requests)
    capfd.readouterr()
    assert find_model("cat-seg-vitb") == first
    assert len(weights.requests) == asked
    assert capfd.readouterr().err == ""
    shutil.rmtree(first)
    assert find_model("cat-seg-vitb") == first  # from the hub's cache
    assert len(weights.requests) == asked


def test_a_revision_is_a_model_of_its_own(weights: Hub, cache: Path) -> None:
    weights.repositories[f"{SPACE}@v1"] = dict(weights.repositories[SPACE])
    assert find_model("cat-seg-vitb@v1") == cache / "models" / "cat-seg-vitb@v1"
    assert f"GET /{SPACE}/resolve/v1/model_base.pth" in weights.requests or (
        f"HEAD /{SPACE}/resolve/v1/model_base.pth" in weights.requests
    )


def test_a_repository_of_models(hub: Hub) -> None:
    hub.repositories[MODEL] = {"EBSeg_base.pth": b"small"}
    assert fetch_known("ebseg-vitb").read_bytes() == b"small"
    assert f"GET /{MODEL}/resolve/main/EBSeg_base.pth" in hub.requests


def test_a_download_that_breaks_off_is_resumed(weights: Hub) -> None:
    content = weights.repositories[SPACE]["model_base.pth"]
    path = f"/storage/{hashlib.sha256(content).hexdigest()}"
    weights.cut_once.add(path)
    with suppress(CheckpointError):  # huggingface_hub 2 resumes by itself
        find_model("cat-seg-vitb")
    find_model("cat-seg-vitb")
    assert weights.requests.count(f"GET {path}") == 2


def test_a_download_that_is_too_short_is_no_model(weights: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    content = weights.repositories[SPACE]["model_base.pth"]
    weights.short.add(f"/storage/{hashlib.sha256(content).hexdigest()}")
    with pytest.raises(CheckpointError, match=r"cat-seg-vitb is not on this machine and cannot be downloaded"):
        find_model("cat-seg-vitb")
    assert left_in(cache) == []


def test_what_is_wrong_with_the_download_leaves_nothing(hub: Hub, tmp_path: Path, cache: Path) -> None:
    state = tiny_state()
    del state["upsample1.bias"]
    hub.repositories[SPACE] = {"model_base.pth": save_original(state, tmp_path / "a.pth").read_bytes()}
    with pytest.raises(CheckpointError, match="1 missing: pyramid"):
        find_model("cat-seg-vitb")
    assert left_in(cache) == []


@pytest.mark.parametrize("logged_in", [False, True])
@pytest.mark.parametrize("gated", [SPACE, TOKENIZER])
def test_a_gated_repository_says_where_its_terms_are(
    weights: Hub, monkeypatch: pytest.MonkeyPatch, gated: str, *, logged_in: bool
) -> None:
    if logged_in:
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
    weights.gated.add(gated)
    with pytest.raises(CheckpointError) as caught:
        find_model("cat-seg-vitb")
    assert f"log in with `hf auth login` and accept the terms at {weights.address}/{gated})" in str(caught.value)


def test_a_repository_that_is_hidden(weights: Hub) -> None:
    weights.private.add(SPACE)
    with pytest.raises(CheckpointError, match=r"there is no http://\S+, or it is private: .*`hf auth login`"):
        find_model("cat-seg-vitb")


def test_offline_there_is_one_message_with_three_ways_on(
    offline: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        find_model("cat-seg-vitb")
    assert str(caught.value) == (
        "cat-seg-vitb is not on this machine and cannot be downloaded (offline: HF_HUB_OFFLINE is set). Three ways on:"
        "\n1. on a machine with network access download https://huggingface.co/spaces/hamacojr/CAT-Seg-weights/resolve/main"
        "/model_base.pth and https://huggingface.co/openai/clip-vit-base-patch16/resolve/main/tokenizer.json, put both "
        f"into {cache / 'downloads' / 'cat-seg-vitb'} and do the same again;\n"
        "2. give --model (in Python: from_pretrained) a model of this machine, see `ahs-seg models`: none yet;\n"
        "3. `ahs-seg quickstart` trains a small model of drawn scenes, without a network."
    )


def test_no_network_is_the_same_message(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable(hub, monkeypatch)
    with pytest.raises(CheckpointError, match=r"(?s)cannot be downloaded \(.+\)\. Three ways on:\n1.*\n2.*\n3"):
        find_model("cat-seg-vitb")


def test_the_first_way_on_works(offline: Path, cache: Path, checkpoint: bytes, tmp_path: Path) -> None:
    place = cache / "downloads" / "cat-seg-vitb"
    place.mkdir(parents=True)
    (place / "model_base.pth").write_bytes(checkpoint)
    with pytest.raises(CheckpointError, match=r"1\. .* download \S+/tokenizer\.json, put it into"):
        find_model("cat-seg-vitb")
    byte_tokenizer_file(place)
    assert find_model("cat-seg-vitb") == cache / "models" / "cat-seg-vitb"


def test_a_file_that_the_hub_does_not_have(hub: Hub) -> None:
    hub.repositories[SPACE] = {}
    with pytest.raises(CheckpointError, match=r"cat-seg-vitl is not on this machine and cannot be downloaded \(.*404"):
        find_model("cat-seg-vitl")


def test_two_at_once_import_once(weights: Hub, cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = cache / "models" / "cat-seg-vitb"
    target.parent.mkdir(parents=True)
    lock = FileLock(target.parent / ".cat-seg-vitb.lock")
    lock.acquire()
    found: list[Path] = []
    other = threading.Thread(target=lambda: found.append(find_model("cat-seg-vitb")))
    other.start()
    other.join(0.3)
    assert found == []
    target.mkdir()  # what the process that holds the lock has made
    lock.release()
    other.join(10)
    assert found == [target]
    assert capfd.readouterr().err == "cat-seg-vitb: another process imports it; waiting until it has ended\n"
    assert weights.requests == []


@pytest.mark.slow
def test_a_process_of_its_own_obeys_the_mirror_in_its_environment(weights: Hub, tmp_path: Path) -> None:
    code = "import numpy as np; from ahs_seg.segmenter import Segmenter; "
    code += "print(Segmenter.from_pretrained()(np.zeros((20, 30, 3), np.uint8), 'cat').labels.shape)"
    environment = {**os.environ, "HF_ENDPOINT": weights.address, "HF_HOME": str(tmp_path / "home")}
    environment |= {"HF_HUB_OFFLINE": "0", "HF_HUB_CACHE": "", "HF_ASSETS_CACHE": "", "XDG_CACHE_HOME": str(tmp_path)}
    environment = {key: value for key, value in environment.items() if value}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "(20, 30)"
    assert (tmp_path / "ahs-seg/models/cat-seg-vitb/config.json").is_file()
