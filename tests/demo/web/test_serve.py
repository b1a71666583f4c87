"""Which models a page serves and under which names, and the port it needs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints import CheckpointError, ModelDescription, save_model
from ahs_seg.demo.web.limits import ServeError
from ahs_seg.demo.web.serve import BASELINE, find_models, serving
from ahs_seg.demo.web.session import Workbench
from ahs_seg.methods import ZeroShotConfig
from tests.support.hub_server import Hub

pytestmark = pytest.mark.xdist_group("browser")  # whose process has gradio imported


def test_models_are_called_after_their_folders_and_apart(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one/model", "two", "deeper/two")]
    for folder in folders:
        folder.mkdir(parents=True)
    assert list(find_models(list(map(str, folders)))) == ["one", "two", str(tmp_path / "deeper/two")]
    with pytest.raises(CheckpointError, match="'nowhere' is not a model directory"):
        find_models(["nowhere"])


def test_without_sources_the_quickstart_of_this_folder_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(find_models([])) == [BASELINE]
    config = ZeroShotConfig(backbone=ClipConfig(source=TINY), temperature=0.5)
    save_model(config.build(), ModelDescription(method=config), tmp_path / "quickstart/run-b/model")
    (tmp_path / "quickstart/run-a/model").mkdir(parents=True)
    found = find_models([])
    assert list(found) == ["run-a", "run-b", BASELINE]
    assert found["run-b"]().method.temperature == 0.5


def test_without_sources_nothing_is_downloaded(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    segmenter = find_models([])[BASELINE]()
    assert repr(segmenter).startswith("Segmenter(zero_shot on tiny, trained on: drawn scenes")
    assert hub.requests == []


def test_a_port_that_is_taken_is_told() -> None:
    bench = Workbench({BASELINE: find_models([])[BASELINE]})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ServeError, match=rf"port {port} of 127\.0\.0\.1 cannot be used .*--port"),
            serving(bench, port=port),
        ):
            pass
