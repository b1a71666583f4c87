"""Every request passes the gate: foreign ones, malformed ones and failures are one line of the log and a status."""

from __future__ import annotations

import json
import logging
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from ahs_seg.demo.web.app import Application
from ahs_seg.demo.web.gate import Gate
from tests.support.page_calls import API, answer_of, asked, noise, request, spoken_to, upload

pytestmark = pytest.mark.xdist_group("browser")  # whose process has gradio imported

ROUTES = [
    ("GET", "/"),
    ("GET", "/config"),
    ("GET", "/assets/x.js"),
    ("GET", f"{API}/info"),
    ("GET", f"{API}/heartbeat/abc"),
    ("GET", f"{API}/queue/data?session_hash=abc"),
    ("GET", f"{API}/call/segment/abc"),
    ("GET", f"{API}/file=/etc/passwd"),
    ("POST", f"{API}/upload"),
    ("POST", f"{API}/queue/join"),
    ("POST", f"{API}/call/segment"),
    ("POST", f"{API}/cancel"),
    ("OPTIONS", f"{API}/queue/join"),
    ("POST", f"{API}/nothing"),
]


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """The lines of the log; nothing may be printed beside them."""
    lines: list[str] = []
    yield lines
    lines += [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_no_other_website_can_use_any_route(client: TestClient, method: str, route: str) -> None:
    foreign = client.request(method, route, headers={"origin": "http://evil"}, json={} if method == "POST" else None)
    assert foreign.status_code == 403
    rebound = client.request(method, route, headers={"host": "evil:7860", "origin": "http://evil:7860"})
    assert rebound.status_code == 421
    for answer in (foreign, rebound):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_gradio_does_not_let_others_read_either(client: TestClient) -> None:
    own = client.get("/config", headers={"origin": "http://127.0.0.1:7860"})
    assert own.status_code == 200
    assert not [name for name in own.headers if name.startswith("access-control")]
    assert own.headers["content-security-policy"] == "frame-ancestors 'self'"
    assert own.headers["cross-origin-resource-policy"] == "same-origin"


def test_addresses_of_the_page_are_those_of_the_request(client: TestClient) -> None:
    """A header of proxies cannot make the page load its parts from elsewhere."""
    assert "evil" not in client.get("/config", headers={"x-gradio-server": "http://evil"}).text


@pytest.mark.parametrize(
    ("method", "route", "status"),
    [
        ("POST", f"{API}/run/segment", 404),
        ("POST", f"{API}/api/segment", 404),
        ("POST", f"{API}/call/v2/segment", 404),
        ("POST", f"{API}/component_server", 404),
        ("POST", f"{API}/process_recording", 404),
        ("POST", f"{API}/vibe-edit", 404),
        ("POST", f"{API}/stream/x", 404),
        ("POST", "/login", 404),
        ("GET", f"{API}/proxy=http://evil", 404),
        ("GET", f"{API}/file/etc/passwd", 404),
        ("GET", f"{API}/file=http://evil/a.png", 404),
        ("GET", f"{API}/startup-events", 404),
        ("GET", "/monitoring", 404),
        ("PUT", "/", 405),
        ("GET", "/assets/%2e%2e/%2e%2e/routes.py", 400),
        ("GET", "/assets/..%5c..%5croutes.py", 400),
        ("GET", f"{API}/file=/proc/self/environ", 404),
        ("GET", f"{API}/file=%0aINFO: all is well", 400),
        ("GET", f"{API}/heartbeat/" + "x" * 100, 404),
        ("GET", f"{API}/queue/data", 404),
        ("GET", f"{API}/queue/data?session_hash=unknown", 404),
        ("GET", f"{API}/call/segment/unknown", 404),
    ],
)
def test_routes_that_the_page_does_not_use(
    client: TestClient, quiet: list[str], caplog: pytest.LogCaptureFixture, method: str, route: str, status: int
) -> None:
    answer = client.request(method, route, json={} if method == "POST" else None)
    assert answer.status_code == status
    assert len(caplog.records) == 1
    assert "\n" not in caplog.records[0].getMessage()


def test_files_of_the_server_are_not_served(client: TestClient, page: Application) -> None:
    path = upload(client, noise(0))
    assert client.get(f"{API}/file={path}").status_code == 200
    for other in (page.spool.root, page.spool.root.parent / "lock", f"{path}/../../../lock", __file__):
        assert client.get(f"{API}/file={other}").status_code in (400, 404)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[1]", {}, 400),
        (b'{"data": []}', {}, 404),
        (b'{"data": [], "fn_index": 99, "session_hash": "x"}', {}, 404),
        (b'{"data": 5}', {"content-type": "text/plain"}, 415),
        (b'{"data": 5}', {"content-type": ""}, 415),
        (b" " * 200_000, {}, 413),
    ],
)
def test_malformed_calls_are_one_line_of_the_log_each(
    client: TestClient,
    quiet: list[str],
    caplog: pytest.LogCaptureFixture,
    content: bytes,
    headers: dict[str, str],
    status: int,
) -> None:
    given = {"content-type": "application/json", **headers}
    answer = client.post(f"{API}/queue/join", content=content, headers=given)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert len(caplog.records) == 1


def test_cancelling_is_checked(client: TestClient) -> None:
    assert client.post(f"{API}/cancel", json={"event_id": 5}).status_code == 422
    assert client.post(f"{API}/cancel", content=b"{", headers={"content-type": "application/json"}).status_code == 422
    assert client.post(f"{API}/cancel", json={"event_id": "x" * 5000}).status_code == 413


def test_fifty_megabytes_of_words_are_refused_in_little_memory(page: Application) -> None:
    body = b'{"data": [null, "' + b"word," * 13_000
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": True}] * 770
    tracemalloc.start()
    sent = spoken_to(page.gate, request(f"{API}/call/segment"), parts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent[0]["status"] == 413
    assert peak < 2_000_000
    announced = spoken_to(page.gate, request(f"{API}/call/segment", content_length="50000000"), [])
    assert announced[0]["status"] == 413


def test_websockets_are_refused(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/"):
        pass


def gate_before(page: Application, failing: Any) -> Gate:
    gate = page.gate
    return Gate(failing, hosts=gate._hosts, calls=gate._calls, sessions=page.sessions, queue=page.queue)


def test_a_failure_of_the_server_is_one_line_and_a_status(page: Application, caplog: pytest.LogCaptureFixture) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("first\nsecond")

    sent = spoken_to(gate_before(page, fails), request("/", method="GET"), [])
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"]) == {"detail": "This request failed on the server."}
    assert [record.getMessage() for record in caplog.records] == [
        "127.0.0.1 GET /: 500 RuntimeError: first\\u000asecond"
    ]


def test_a_failure_after_the_answer_has_begun_is_a_line_only(
    page: Application, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("late")

    sent = spoken_to(gate_before(page, fails), request("/", method="GET"), [])
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert len(caplog.records) == 1


def test_a_request_passes(client: TestClient) -> None:
    end, answer = answer_of(client, asked(client, upload(client, noise(3)), "sky, grass"))
    assert end == "complete"
    assert json.loads(answer[0])["names"] == ["sky", "grass"]
