"""What a visitor of the web page does, without a browser."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any, TypeAlias

import httpx
import numpy as np
from PIL import Image
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Scope

from tests.support.event_loops import result_of

API = "/gradio_api"
ADDRESS = "http://127.0.0.1:7860"
Visitor: TypeAlias = httpx.Client | TestClient


class Clock:
    """Seconds that the test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def noise(seed: int, height: int = 48, width: int = 64) -> bytes:
    """A PNG of noise."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def upload(client: Visitor, content: bytes, name: str = "image.png") -> str:
    """Upload a file; the path under which the page knows it."""
    answer = client.post(f"{API}/upload", files={"files": (name, content)})
    assert answer.status_code == 200, answer.text
    path: str = answer.json()[0]
    return path


def asked(client: Visitor, path: str, words: str, session: str | None = None) -> str:
    """Ask for a segmentation; the identifier of the request."""
    call = {"data": [{"path": path}, words, "one"], "session_hash": session}
    answer = client.post(f"{API}/call/segment", json=call)
    assert answer.status_code == 200, answer.text
    event: str = answer.json()["event_id"]
    return event


def answer_of(client: Visitor, event: str, function: str = "segment") -> tuple[str, Any]:
    """How a request ended, `complete` or `error`, and what it answered."""
    text = client.get(f"{API}/call/{function}/{event}").text
    lines = [line for line in text.splitlines() if line]
    return lines[-2].removeprefix("event: "), json.loads(lines[-1].removeprefix("data: "))


def segmented(client: Visitor, content: bytes, words: str, session: str | None = None) -> dict[str, int]:
    """Pixels of every class of an image, in the order of the words."""
    end, answer = answer_of(client, asked(client, upload(client, content), words, session=session))
    assert end == "complete", answer
    result = json.loads(answer[0])
    found = {one["name"]: one["pixels"] for one in result["classes"]}
    return {name: found.get(name, 0) for name in result["names"]}


def spoken_to(app: ASGIApp, scope: Scope, received: Iterable[Message]) -> list[Message]:
    """What an application sends when it receives these messages; then the client has left."""
    sent: list[Message] = []
    messages = iter(received)

    async def receive() -> Message:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    result_of(app(scope, receive, send))  # type: ignore[arg-type]  # a coroutine
    return sent


def request(path: str, *, method: str = "POST", **headers: str) -> Scope:
    """A request under the address of the page; underscores in names of headers stand for hyphens."""
    given = {"host": "127.0.0.1:7860", "content-type": "application/json", **headers}
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "client": ("127.0.0.1", 5000),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()],
    }
