"""What gradio holds for a session can be seen and freed; see also `test_app.py`."""

from __future__ import annotations

import time

import pytest
from starlette.testclient import TestClient

from ahs_seg.demo.web.app import Application
from tests.support.page_calls import answer_of, asked, noise, upload

pytestmark = pytest.mark.xdist_group("browser")  # whose process has gradio imported


def test_an_answer_is_unread_until_it_is_fetched(client: TestClient, page: Application) -> None:
    event = asked(client, upload(client, noise(8)), "sky", session="reader")
    assert page.queue.unread("reader") == 1
    assert page.queue.session_of(event) == "reader"
    assert page.queue.awaited("reader")
    answer_of(client, event)
    assert page.queue.unread("reader") == 0
    for _ in range(50):  # it is told before it is over
        if not page.queue.working("reader"):
            break
        time.sleep(0.05)
    assert not page.queue.working("reader")
    assert page.queue.session_of(event) is None


def test_names_of_answers_that_cannot_be_fetched_are_dropped(client: TestClient, page: Application) -> None:
    queue = page.page._queue
    queue.pending_event_ids_session["gone"] = {"a", "b"}
    page.queue.disconnected("gone")
    assert page.queue.unread("gone") == 0
