"""Handlers of the page's events, without gradio: several models, earlier results, and errors that cost one answer."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from ahs_seg.demo.web.actions import BESIDE, Actions, results_bytes, without_paths
from ahs_seg.demo.web.feature_cache import ByteLRU, held_bytes
from ahs_seg.demo.web.limits import Limits
from ahs_seg.demo.web.session import Workbench
from ahs_seg.demo.web.spool import Spool
from ahs_seg.errors import CheckpointError, SampleError
from ahs_seg.methods import ZeroShotSegmenter
from ahs_seg.segmenter import Segmenter
from tests.support.builders import random_backbone
from tests.support.page_calls import noise

pytestmark = pytest.mark.xdist_group("browser")  # whose process has gradio imported
REQUEST: Any = gr.Request(session_hash="tab", client=SimpleNamespace(host="127.0.0.1"))


def model(seed: int) -> Segmenter:
    return Segmenter(ZeroShotSegmenter(random_backbone(seed=seed), temperature=0.01))


def broken() -> Segmenter:
    raise SampleError("the model of flowers is busy")


@pytest.fixture(scope="module")
def bench() -> Workbench:
    models = {"one": lambda: model(0), "two": lambda: model(1), "broken": broken}
    return Workbench(models, Limits(names=20, name_length=20))


@pytest.fixture
def actions(bench: Workbench, tmp_path: Path) -> Actions:
    return Actions(bench, Spool(tmp_path))


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "noise.png"
    path.write_bytes(noise(3))
    return str(path)


def answer(actions: Actions, image: str, words: str, beside: tuple[str, ...] = ()) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(actions.segment(image, words, "one", beside, "", 0, REQUEST))
    return values


def event(**data: object) -> Any:
    return gr.EventData(None, data)


def test_several_models_answer_one_request_and_one_that_fails_costs_its_own_answer(
    actions: Actions, image: str
) -> None:
    found = answer(actions, image, "sky, grass", ("two", "one", "broken", "two"))
    (other,) = found["beside"]
    assert (found["model"], other["model"]) == ("one", "two")
    assert found["labels"] != other["labels"]
    assert found["failed"] == {"broken": "the model of flowers is busy"}
    assert "picture" not in other, "the image is sent once"


def test_not_too_many_models_at_once(bench: Workbench, actions: Actions, image: str) -> None:
    with pytest.raises(gr.Error, match=f"{BESIDE + 1} models beside 'one'; choose at most {BESIDE}"):
        answer(actions, image, "sky", tuple(f"model {index}" for index in range(BESIDE + 1)))


def test_scores_are_those_of_the_results_that_are_named(actions: Actions, image: str) -> None:
    first = answer(actions, image, "sky, grass")
    second = answer(actions, image, "sea, sand, wall")
    told = json.loads(actions.probe(event(x=3, y=4, names=[first["id"], second["id"], "gone"]), REQUEST)["scores"])
    assert (told["x"], told["y"]) == (3, 4)
    assert [one["name"] for one in told["results"]] == [first["id"], second["id"]]
    assert [{name for name, _ in one["top"]} for one in told["results"]] == [{"sky", "grass"}, {"sea", "sand", "wall"}]
    with pytest.raises(gr.Error, match="no longer kept; press Segment again"):
        actions.probe(event(x=3, y=4, names=["gone"]), REQUEST)
    with pytest.raises(gr.Error, match="pair of whole numbers"):
        actions.probe(event(x="3", y=4, names=[first["id"]]), REQUEST)
    with pytest.raises(gr.Error, match="outside of the image of 64 x 48"):
        actions.probe(event(x=64, y=4, names=[first["id"]]), REQUEST)


def test_the_download_is_that_of_the_result_that_is_shown(actions: Actions, image: str) -> None:
    def classes(update: dict[str, Any]) -> list[str]:
        return [one["name"] for one in json.loads(Path(update["value"]).read_text())["categories"]]

    first = answer(actions, image, "sky, grass")
    answer(actions, image, "sea, sand")
    assert classes(actions.export("coco", REQUEST)) == ["sea", "sand"]
    assert classes(actions.choose(event(name=first["id"]), "coco", REQUEST)) == ["sky", "grass"]
    assert classes(actions.export("coco", REQUEST)) == ["sky", "grass"]
    assert actions.choose(event(name="gone"), "coco", REQUEST)["interactive"] is False
    actions.forget("tab")
    assert actions.export("coco", REQUEST)["interactive"] is False


def test_downloads_are_never_those_of_an_earlier_image(actions: Actions, image: str, tmp_path: Path) -> None:
    actions.results = ByteLRU(memory_bytes=100_000)
    first = answer(actions, image, "sky, grass")
    assert actions.export("npz", REQUEST)["interactive"]
    (large := tmp_path / "large.png").write_bytes(noise(4, 100, 100))
    answer(actions, str(large), "sea, sand")
    assert actions.export("npz", REQUEST)["interactive"] is False
    with pytest.raises(gr.Error, match="no longer kept; press Segment again"):
        actions.probe(event(x=3, y=4, names=[first["id"]]), REQUEST)


def test_the_last_request_is_kept_however_large_it_may_be(
    bench: Workbench, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = bench.segment(Path(image), "sky, grass", "one")
    monkeypatch.setattr("ahs_seg.demo.web.actions.TEXT_BYTES", held_bytes(result.times))
    monkeypatch.setattr("ahs_seg.demo.web.actions.RESULT_BYTES", 10_000)
    assert results_bytes(10) == 10_000, "more only if one request needs it"
    assert results_bytes(48 * 64) == (1 + BESIDE) * held_bytes(result)
    actions = Actions(bench, Spool(tmp_path))
    assert not actions.export("npz", REQUEST)["interactive"]
    answer(actions, image, "sky, grass", ("two",))
    assert actions.export("npz", REQUEST)["interactive"]


def test_messages_name_files_without_their_folders() -> None:
    error = CheckpointError("/tmp/page/a.png: damaged")
    assert without_paths(error, "/tmp/page/a.png", str(error)) == "a.png: damaged"
    missing = FileNotFoundError(2, "not there", "/srv/b.png")
    assert without_paths(missing, None, str(missing)) == "[Errno 2] not there: 'b.png'"
