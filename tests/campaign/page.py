"""The web page in a process of its own, and its visitors: some stay, some leave in the middle, some are hostile."""

from __future__ import annotations

import io
import json
import os
import socket
import time
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import httpx
import numpy as np
from PIL import Image

from ahs_seg.io.atomic import write_text
from ahs_seg.segmenter import Segmenter
from tests.campaign.driver import PATIENCE, SECONDS
from tests.support.drawn_images import drawn
from tests.support.page_calls import API, answer_of

ADDRESS, LEFT, STOP, HELD = Path("address"), Path("left"), Path("stop"), Path("held")
"""Files with which page and tests speak: where it is served, everybody has left, it shall end, what it still holds."""
HANG_SECONDS: Final = PATIENCE * SECONDS
"""Time on the clock after which an answer, or a place in the queue, is overdue."""
TURNS: Final = 4
BUSY: Final = ("Queue is full", "This page is busy", "Too many uploads")
"""What a visitor is told who has to come back."""
EQUAL: Final = 0.999
"""Share of pixels with the label of the segmenter: text embeddings change in the last digit with their batch."""
CALL: Final = f"{API}/call/segment"
REFUSED: Final[tuple[tuple[int, str, str, dict[str, str], bytes], ...]] = (
    (403, "POST", CALL, {"origin": "http://evil"}, b"{}"),
    (403, "GET", "/config", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, b""),
    (421, "POST", CALL, {"host": "evil:7860", "origin": "http://evil:7860"}, b"{}"),
    (400, "POST", CALL, {}, b'{"data": ['),
    (400, "POST", CALL, {}, b"[" * 50_000),
    (400, "POST", CALL, {}, b'{"data": [5]}'),
    (400, "POST", CALL, {}, b'{"data": [{"path": "http://evil/a.png"}, "sky", "one"]}'),
    (410, "POST", CALL, {}, b'{"data": [{"path": "/etc/passwd"}, "sky", "one"]}'),
    (413, "POST", CALL, {}, b'{"data": [null, "' + b"word, " * 500_000 + b'", "one"]}'),
    (415, "POST", CALL, {"content-type": "text/plain"}, b"{}"),
    (404, "POST", f"{API}/call/nothing", {}, b'{"data": []}'),
    (404, "GET", f"{API}/file=/etc/passwd", {}, b""),
    (415, "POST", f"{API}/upload", {}, b"no form"),
    (405, "PUT", "/", {}, b""),
)


def serve_page(model: str) -> None:
    """Serve the page of a model until it is told to stop; once everybody has left, it waits less for their return."""
    import anyio._backends._asyncio as workers

    from ahs_seg.demo.web import app, sessions
    from ahs_seg.demo.web.hosts import Hosts
    from ahs_seg.demo.web.serve import LOCALHOST
    from ahs_seg.demo.web.server import running
    from ahs_seg.demo.web.session import Workbench

    app.SWEEP_SECONDS = 1  # type: ignore[misc]  # as after minutes
    bench = Workbench({"one": lambda: Segmenter.from_pretrained(Path(model))})
    bench.ready()
    with (
        app.application(bench, Hosts(LOCALHOST)) as page,
        running(page.gate, host=LOCALHOST, port=0, end_streams=page.queue.stop) as address,
    ):
        write_text(ADDRESS, address)
        eventually(LEFT.exists, TURNS * HANG_SECONDS)
        app.IDLE_SECONDS = sessions.IDLE_SECONDS = 1  # type: ignore[attr-defined, misc]  # as after minutes
        workers.WorkerThread.MAX_IDLE_TIME = 1
        eventually(STOP.exists, 300)
        holders: dict[str, Sized] = {"sessions": page.sessions, "uploads": page.spool, "results": page.actions.results}
        eventually(lambda: not any(map(len, holders.values())), 30)
        write_text(HELD, json.dumps({name: len(holder) for name, holder in holders.items()}))


def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether something holds within some seconds."""
    deadline = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def used(process: int, folder: Path) -> dict[str, int]:
    """Threads and open files of a process, and the files in its folder."""
    return {
        "threads": len(list(Path(f"/proc/{process}/task").iterdir())),
        "open files": len(list(Path(f"/proc/{process}/fd").iterdir())),
        "files": sum(len(files) for _, _, files in os.walk(folder)),  # which some vanish from meanwhile
    }


class Visitor:
    """A client with images and words of its own; it notes what it got and what went wrong."""

    def __init__(self, address: str, number: int, turns: int = TURNS) -> None:
        self.address, self.number, self.turns = address, number, turns
        self.faults: list[str] = []
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.requests = 0

    def stay(self) -> Visitor:
        """Ask for several segmentations; every fourth visitor also leaves requests alone, all send nonsense."""
        with httpx.Client(base_url=self.address, timeout=HANG_SECONDS) as client:
            for turn in range(self.turns):
                self._noted(self._segment, client, turn)
                self._noted(self._misbehave, client, turn)
                if self.number % 4 == 3:
                    self._noted(self._leave, client, turn)
        return self

    def image(self, turn: int) -> np.ndarray:
        """The image of a turn, that of no other visitor."""
        return drawn(40 + self.number, 48 + 8 * turn, seed=100 * self.number + turn)

    def words(self, turn: int) -> str:
        """The words of a turn, those of no other visitor."""
        return f"sky, sand, disk, thing {self.number}, wall {turn}"

    def wrong(self, segmenter: Segmenter) -> list[str]:
        """What is not as the segmenter answers directly, or belongs to somebody else."""
        return [fault for turn, answer in self.answers for fault in self._differences(segmenter, turn, answer)]

    def _noted(self, act: Callable[[httpx.Client, int], None], client: httpx.Client, turn: int) -> None:
        began = time.monotonic()
        try:
            act(client, turn)
        except (httpx.HTTPError, OSError, AssertionError, ValueError, LookupError) as error:
            self.faults.append(f"visitor {self.number}, {act.__name__} {turn}: {type(error).__name__}: {error}")
        if time.monotonic() - began > HANG_SECONDS:
            self.faults.append(f"visitor {self.number}, {act.__name__} {turn}: no answer within {HANG_SECONDS} s")

    def _segment(self, client: httpx.Client, turn: int) -> None:
        end, answer = answer_of(client, self._asked(client, turn, f"visitor-{self.number}"))
        assert end == "complete", answer
        self.answers.append((turn, json.loads(answer[0])))

    def _asked(self, client: httpx.Client, turn: int, session: str) -> str:
        path = self._uploaded(client, turn)
        call = {"data": [{"path": path}, self.words(turn), "one"], "session_hash": session}
        event: str = self._accepted(lambda: client.post(CALL, json=call))["event_id"]
        return event

    def _uploaded(self, client: httpx.Client, turn: int) -> str:
        file = io.BytesIO()
        Image.fromarray(self.image(turn)).save(file, "PNG")
        files = {"files": (f"{self.number}.png", file.getvalue())}
        path: str = self._accepted(lambda: client.post(f"{API}/upload", files=files))[0]
        return path

    def _accepted(self, send: Callable[[], httpx.Response]) -> Any:
        """The answer once the page is not busy; to be told to come back is no fault."""
        deadline = time.monotonic() + HANG_SECONDS
        self.requests += 1
        while (response := send()).status_code == 503 and time.monotonic() < deadline:
            assert response.json()["detail"].startswith(BUSY), response.text[:300]
            time.sleep(0.2)
        assert response.status_code == 200, response.text[:300]
        return response.json()

    def _leave(self, client: httpx.Client, turn: int) -> None:
        """Leave after the upload, before the answer, while it arrives, or in the middle of a body."""
        session = f"leaving-{self.number}-{turn}"
        self.requests += 1
        if turn == 0:
            self._uploaded(client, turn)
        elif turn == 1:
            self._asked(client, turn, session)
        elif turn == 2:
            with client.stream("GET", f"{CALL}/{self._asked(client, turn, session)}") as stream:
                assert stream.status_code == 200
            with client.stream("GET", f"{API}/heartbeat/{session}"):
                pass
        else:
            url = httpx.URL(self.address)
            with socket.create_connection((url.host, url.port or 80), HANG_SECONDS) as half:
                head = f"POST {API}/upload HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nContent-Length: 5000\r\n"
                half.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())

    def _misbehave(self, client: httpx.Client, turn: int) -> None:
        """Send requests that are refused, in turn all of them."""
        for place in range(4):
            status, method, path, headers, body = REFUSED[(self.number + 4 * turn + place) % len(REFUSED)]
            given = {"content-type": "application/json", **headers}
            with httpx.Client(base_url=self.address, timeout=HANG_SECONDS) as other:
                self.requests += 1
                found = other.request(method, path, headers=given, content=body).status_code
            assert found == status, f"{method} {path} {headers} {body[:60]!r}: {found} instead of {status}"

    def _differences(self, segmenter: Segmenter, turn: int, answer: dict[str, Any]) -> list[str]:
        expected = segmenter(self.image(turn), self.words(turn))
        named = f"visitor {self.number}, turn {turn}"
        if answer["names"] != expected.classes:
            return [f"{named}: the words are {answer['names']}"]
        if not np.array_equal(_pixels(answer["picture"]), self.image(turn)):
            return [f"{named}: the image is not the one that was sent"]
        codes = _pixels(answer["labels"]).astype(int)
        equal = (codes[..., 0] + 256 * codes[..., 1] == expected.labels % 65536).mean()
        return [] if equal >= EQUAL else [f"{named}: only {equal:.1%} of the labels are those of the segmenter"]


def _pixels(address: str) -> np.ndarray:
    """The image in a data address."""
    with urlopen(address) as file:
        return np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))
