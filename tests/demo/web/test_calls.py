"""Calls are understood, or refused with what was given, what is allowed and what to do, before gradio sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from ahs_seg.demo.web.app import Application
from ahs_seg.demo.web.calls import SESSION, Calls
from ahs_seg.demo.web.limits import RefusedError
from tests.support.page_calls import noise, upload

pytestmark = pytest.mark.xdist_group("browser")  # whose process has gradio imported


@pytest.fixture
def calls(page: Application) -> Calls:
    return Calls(page.page, page.actions.bench.limits, page.spool)


def refusal(calls: Calls, body: object, name: str | None = "segment") -> tuple[int, str]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(RefusedError) as refused:
        calls.read(content, name)
    return refused.value.status, str(refused.value)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "not JSON"),
        (b"\xff\xfe", 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b'{"data": [' + b"9" * 5000 + b"]}", 400, "not JSON"),
        ([], 400, "not a JSON object"),
        ({}, 400, "data: Field required"),
        ({"data": {}}, 400, "data: Input should be a valid list"),
        ({"data": [None, "sky"]}, 400, "2 inputs; this function takes 3"),
        ({"data": [None, "sky", "one"], "session_hash": "../x"}, 400, "session_hash: String should match"),
        ({"data": [None, "sky", "one"], "session_hash": "x" * 65}, 400, "session_hash: String should match"),
        ({"data": [None, "sky", "one"], "fn_index": "many"}, 400, "fn_index: Input should be a valid integer"),
        ({"data": [None, "sky", "one"], "event_data": []}, 400, "event_data: Input should be a valid dictionary"),
        ({"data": [None, 5, "one"]}, 400, "Classes: this input takes text"),
        ({"data": [None, "sky", "two"]}, 400, "Model: choose one of one"),
        ({"data": [None, "sky", []]}, 400, "Model: choose one of one"),
        ({"data": [None, "sky", "one", "one"]}, 400, "Side by side with: choose a list of some of one"),
        ({"data": [None, "sky", "one", ["two"]]}, 400, "Side by side with: choose a list of some of one"),
        ({"data": [None, "sky", "one", [], 5]}, 400, "Background: this input takes text"),
        ({"data": [None, "sky", "one", [], "x" * 3101]}, 413, "have 3,101 characters"),
        ({"data": [None, "sky", "one", [], "", 1.5]}, 400, "Unknown below: give a number from 0 to 1"),
        ({"data": [None, "sky", "one", [], "", True]}, 400, "Unknown below: give a number from 0 to 1"),
        (b'{"data": [null, "sky", "one", [], "", NaN]}', 400, "Unknown below: give a number from 0 to 1"),
        ({"data": [None, "sky", "one", [], "", 0, 0]}, 400, "7 inputs; this function takes 3 to 6"),
        ({"data": ["a.png", "sky", "one"]}, 400, "send null, or an object with the path"),
        ({"data": [{"path": 5}, "sky", "one"]}, 400, "send null, or an object with the path"),
        ({"data": [{"path": "https://a/b.png"}, "sky", "one"]}, 400, "URLs are not downloaded"),
        ({"data": [{"path": "/etc/passwd"}, "sky", "one"]}, 410, "no longer on this server; upload it again"),
        ({"data": [None, "x" * 3101, "one"]}, 413, "have 3,101 characters; this page takes up to 50 names of 60"),
    ],
)
def test_what_is_no_call(calls: Calls, body: object, status: int, message: str) -> None:
    given = refusal(calls, body)
    assert given[0] == status
    assert message in given[1]


@pytest.mark.parametrize("index", [None, 99, -1, 10**30])
def test_functions_that_are_not_there(calls: Calls, index: int | None) -> None:
    given: dict[str, Any] = {"data": [], "fn_index": index}
    assert refusal(calls, given, None) == (404, "There is no such function; those with a name are export, segment.")


def test_the_page_exports_no_films(calls: Calls) -> None:
    status, message = refusal(calls, {"data": ["video"]}, "export")
    assert status == 400
    assert message == "Format: choose one of png, overlay, coco, yolo, npz, geotiff, labelstudio, cvat."
    assert calls.read(b'{"data": ["coco"]}', "export").data == ["coco"]


@pytest.mark.parametrize("index", [3, -1, "x", None])
def test_examples_that_are_not_there(calls: Calls, index: object) -> None:
    function = next(number for number, one in calls.page.fns.items() if type(one.inputs[:1][0]).__name__ == "Dataset")
    assert "there are 3 examples" in refusal(calls, {"data": [index], "fn_index": function}, None)[1]


def test_a_call_that_is_understood(calls: Calls, client: TestClient) -> None:
    path = upload(client, noise(0))
    image = {"path": path, "size": "many", "url": "http://evil", "orig_name": 5}
    call = calls.read(json.dumps({"data": [image, "sky", "one"], "session_hash": None}).encode(), "segment")
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    assert call.data == [file, "sky", "one", [], "", 0], "what may be left out has its initial value"
    assert SESSION.fullmatch(call.session_hash), "every call has a session of its own"
    calls.claim(call)
    calls.spool.release(call.session_hash)
    assert path not in calls.spool


def test_all_allowed_words_have_room(calls: Calls) -> None:
    words = ",".join(["\U0001f600" * 60] * 50)
    assert len(json.dumps({"data": [None, words, "one"]})) < calls.max_bytes
    calls.read(json.dumps({"data": [None, words, "one", ["one"], words, 0.5]}).encode(), "segment")
