"""The page without a browser: answers are those of the model, no two are mixed up, and what is left is freed."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import anyio._backends._asyncio as workers
import gradio.routes
import pytest
from starlette.testclient import TestClient

from ahs_seg.demo.web import app as module
from ahs_seg.demo.web import sessions
from ahs_seg.demo.web.app import THREADS, Application, application
from ahs_seg.demo.web.hosts import Hosts
from ahs_seg.demo.web.limits import Limits
from ahs_seg.demo.web.session import Workbench
from ahs_seg.methods import ZeroShotSegmenter
from ahs_seg.segmenter import Segmenter
from tests.support.builders import random_backbone
from tests.support.page_calls import ADDRESS, API, answer_of, asked, noise, segmented, upload

pytestmark = pytest.mark.xdist_group("browser")  # whose process has gradio imported
NO_MEMORY = "not enough memory for this image. Shrink it, segment it in tiles, or close other programs."
FAILURES = [
    (RuntimeError("bad\ndecoder"), "image.png: RuntimeError: bad decoder"),
    (MemoryError(), f"image.png: {NO_MEMORY}"),
    (OSError(28, "No space left on device", "/tmp/the page/draft"), "image.png: draft: No space left on device"),
]
"""Errors of a decoder, and what the page says: what the command line says, without folders of the server."""


def test_eight_clients_at_once_get_their_own_answers(client: TestClient, page: Application, tmp_path: Path) -> None:
    model = Segmenter(ZeroShotSegmenter(random_backbone(), temperature=0.01))
    words = [f"sky, grass, thing {number}, wall {number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: segmented(client, noise(number), words[number]), range(8)))
    for number, answer in enumerate(answers):
        path = tmp_path / f"{number}.png"
        path.write_bytes(noise(number))
        areas = model(path, words[number]).areas()
        assert answer == {name: areas.get(name, 0) for name in words[number].split(", ")}


def test_whatever_a_model_answers_waits_in_one_queue(page: Application) -> None:
    queues = {one.concurrency_id for one in page.page.fns.values() if one.name in ("segment", "probe")}
    assert queues == {"model"}


def test_an_export_is_of_the_session_that_asks(client: TestClient) -> None:
    for name in ("one", "two"):
        segmented(client, noise(4), f"sky, {name}", session=name)
    for name in ("one", "two"):
        event = client.post(f"{API}/call/export", json={"data": ["coco"], "session_hash": name}).json()["event_id"]
        end, answer = answer_of(client, event, "export")
        assert end == "complete"
        text = client.get(f"{API}/file={answer[0]['value']['path']}").text
        assert f'"{name}"' in text
    stranger = client.post(f"{API}/call/export", json={"data": ["coco"]}).json()["event_id"]
    assert answer_of(client, stranger, "export")[1] == [{"interactive": False, "__type__": "update"}]


def test_everything_of_a_session_is_freed_when_it_ends(client: TestClient, page: Application) -> None:
    path = upload(client, noise(5))
    answer_of(client, asked(client, path, "sky, grass", session="leaving"))
    assert page.actions.results.find(("leaving",)) is not None
    assert client.portal is not None
    client.portal.call(page.sessions.end, "leaving")
    assert page.actions.results.find(("leaving",)) is None
    assert path not in page.spool
    assert not Path(path).parent.exists()
    assert "leaving" not in page.page.state_holder.session_data
    assert "leaving" not in page.page._queue.pending_messages_per_session
    assert "leaving" not in page.page._queue.pending_event_ids_session
    assert client.get(f"{API}/file={path}").status_code == 404


def test_an_image_that_fails_costs_its_answer_only(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    damaged = upload(client, noise(6)[:200], "half.png")
    end, answer = answer_of(client, asked(client, damaged, "sky"))
    assert end == "error"
    assert "half.png" in answer["error"]
    assert "/" not in answer["error"], "no paths of the server"
    for error, message in FAILURES:
        with monkeypatch.context() as patch:
            patch.setattr("ahs_seg.demo.web.session.read_image", Mock(side_effect=error))
            end, answer = answer_of(client, asked(client, upload(client, noise(6)), "sky"))
        assert (end, answer["error"]) == ("error", message)
    assert len([record for record in caplog.records if "a request failed" in record.getMessage()]) == len(FAILURES)
    assert "Traceback" not in "".join(capfd.readouterr())
    assert segmented(client, noise(6), "sky") == {"sky": 48 * 64}


def test_an_image_that_was_removed_is_asked_for_again(client: TestClient) -> None:
    path = upload(client, noise(7))
    Path(path).unlink()
    refused = client.post(f"{API}/call/segment", json={"data": [{"path": path}, "sky", "one"]})
    assert refused.status_code == 410
    assert "upload it again" in refused.json()["detail"]


def test_threads_and_sessions_of_clients_that_left_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many clients at once need no more than a few threads, and those end some time after the clients have left."""
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.1)
    monkeypatch.setattr(workers.WorkerThread, "MAX_IDLE_TIME", 0.1)
    model = Segmenter(ZeroShotSegmenter(random_backbone(), temperature=0.01))
    before = threading.active_count()
    with application(Workbench({"one": lambda: model}, Limits(queue=32)), Hosts("127.0.0.1")) as page:
        root = page.spool.root
        with TestClient(page.gate, base_url=ADDRESS) as client:
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(lambda number: segmented(client, noise(number % 2), "sky"), range(16)))
                assert threading.active_count() <= before + 16 + THREADS + 2  # the clients; the loop and the model
            monkeypatch.setattr(module, "IDLE_SECONDS", 0)
            monkeypatch.setattr(sessions, "IDLE_SECONDS", 0)
            for _ in range(50):
                time.sleep(0.1)
                if not len(page.sessions) and not len(page.spool) and threading.active_count() <= before + 4:
                    break
            assert len(page.sessions) == 0
            assert len(page.spool) == 0
            assert len(page.actions.results) == 0
            assert threading.active_count() <= before + 4
    assert not root.exists()


def test_a_page_writes_into_its_own_folder_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio's usual folder in the temporary one may belong to another user of the machine."""
    another = tmp_path / "file"
    another.touch()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(another))
    monkeypatch.setattr(gradio.routes, "DEFAULT_TEMP_DIR", str(another))  # as gradio was imported
    with application(Workbench({"one": Mock()}), Hosts("127.0.0.1")) as page:
        assert page.spool.root.is_dir()
    assert list(tmp_path.iterdir()) == [another]


def test_a_heartbeat_keeps_its_session(client: TestClient, page: Application) -> None:
    gate, seen = page.gate, []

    async def beat() -> None:
        from tests.support.page_calls import request

        async def receive() -> dict[str, str]:
            await asyncio.sleep(0.1)
            return {"type": "http.disconnect"}

        async def send(message: object) -> None:
            seen.append("beating" in page.sessions)

        await gate(request(f"{API}/heartbeat/beating", method="GET"), receive, send)

    assert client.portal is not None
    client.portal.call(beat)
    assert seen
    assert all(seen)
    assert page.sessions._open["beating"].connections == 0
