"""Uploads: one file at a time, under a name that is safe, and nothing is left of those that fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ahs_seg.demo.web.app import Application
from ahs_seg.demo.web.uploads import safe_name
from tests.support.page_calls import API, noise, request, spoken_to, upload

pytestmark = pytest.mark.xdist_group("browser")  # whose process has gradio imported


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("photo one.png", "photo one.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.jpg", "a.jpg"),
        ("", "image"),
        ("..", "image"),
        (".png", "png"),
        ("a\x00b\n.png", "ab.png"),
        ("x" * 300 + ".jpeg", "x" * 95 + ".jpeg"),
        ("日" * 100 + ".png", "日" * 32 + ".png"),
    ],
)
def test_names_are_safe(given: str, name: str) -> None:
    assert safe_name(given) == name


def test_an_upload_is_kept_under_a_path_that_nobody_guesses(client: TestClient, page: Application) -> None:
    content = noise(1)
    first, second = (Path(upload(client, content, "../../a b.png")) for _ in range(2))
    assert first != second, "the same content, but of two visitors"
    assert first.name == "a b.png"
    assert first.parent.parent == page.spool.root
    assert first.read_bytes() == content
    served = client.get(f"{API}/file={first}")
    assert served.content == content


@pytest.mark.parametrize(
    ("files", "status", "message"),
    [
        ([("files", ("a.png", b"x")), ("files", ("b.png", b"x"))], 400, "Too many files"),
        ([("other", ("a.png", b"x"))], 400, "with one file, `files`"),
        ([("files", ("a.png", b"x" * 1_000_001))], 413, "maximum allowed size of 1 MB"),
        ([("files", ("a.png", b"x" * 1_100_000))], 413, "more than"),
    ],
)
def test_what_is_no_upload(client: TestClient, page: Application, files: list, status: int, message: str) -> None:
    before = sorted(page.spool.root.rglob("*"))
    answer = client.post(f"{API}/upload", files=files)
    assert answer.status_code == status
    assert message in answer.json()["detail"]
    assert sorted(page.spool.root.rglob("*")) == before


def test_an_upload_that_is_no_form(client: TestClient) -> None:
    assert client.post(f"{API}/upload", json=[]).status_code == 415
    assert (
        client.post(f"{API}/upload", content=b"x", headers={"content-type": "multipart/form-data"}).status_code == 400
    )


def test_an_upload_that_breaks_off_leaves_nothing(client: TestClient, page: Application) -> None:
    before = sorted(page.spool.root.rglob("*"))
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + bytes(500_000)
    sent = spoken_to(
        page.gate,
        request(f"{API}/upload", content_type="multipart/form-data; boundary=x"),
        [{"type": "http.request", "body": part, "more_body": True}],
    )
    assert sent[0]["status"] >= 400
    assert sorted(page.spool.root.rglob("*")) == before


def test_the_browser_is_told_not_to_wait_for_progress(client: TestClient) -> None:
    assert client.get(f"{API}/upload_progress?upload_id=x").text == 'data: {"msg": "done"}\n\n'
