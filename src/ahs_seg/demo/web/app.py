"""Application of the page: gradio behind the gate, with the files and sessions of its visitors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import anyio.to_thread
import gradio as gr
import gradio.routes
from fastapi import FastAPI
from starlette.routing import Mount

from ahs_seg.demo.web.actions import Actions
from ahs_seg.demo.web.calls import Calls
from ahs_seg.demo.web.examples import Example, write_examples
from ahs_seg.demo.web.gate import UPLOAD, Gate
from ahs_seg.demo.web.gradio_queue import GradioQueue
from ahs_seg.demo.web.hosts import Hosts
from ahs_seg.demo.web.page import Page, build, theme
from ahs_seg.demo.web.session import Workbench
from ahs_seg.demo.web.sessions import IDLE_SECONDS, MAX_SESSIONS, Sessions
from ahs_seg.demo.web.spool import Spool, page_folder
from ahs_seg.demo.web.uploads import upload_progress, upload_route
from ahs_seg.demo.web.viewer import asset

Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[Any]]
THREADS: Final = 8
"""Threads that answer requests."""
SWEEP_SECONDS: Final = 15
"""Time between two looks for sessions, files and threads that nobody uses."""


@dataclass(frozen=True, slots=True)
class Application:
    """The page as an ASGI application, with what it holds."""

    gate: Gate
    page: Page
    queue: GradioQueue
    sessions: Sessions
    spool: Spool
    actions: Actions


@contextmanager
def application(bench: Workbench, hosts: Hosts) -> Iterator[Application]:
    """Context in which a page can be served; its folder of files exists as long."""
    with page_folder() as root:
        examples = write_examples(root)
        spool = Spool(root, fixed=[Path(one.file) for one in examples], largest=bench.limits.upload_bytes)
        actions = Actions(bench, spool)
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.add_route(UPLOAD, upload_route(bench.limits, spool), methods=["POST"])
        app.add_route(f"{UPLOAD}_progress", upload_progress, methods=["GET"])
        with _keeping_files_in(root):
            page = build(actions, examples)
            _mount(app, page, bench, examples)
        queue = GradioQueue(page)
        sessions = Sessions(queue, actions.forget, waiting=bench.limits.queue)
        app.router.lifespan_context = _sweeping(app.router.lifespan_context, sessions, spool)
        gate = Gate(app, hosts=hosts, calls=Calls(page, bench.limits, spool), sessions=sessions, queue=queue)
        yield Application(gate, page, queue, sessions, spool, actions)


def _mount(app: FastAPI, page: Page, bench: Workbench, examples: list[Example]) -> None:
    """Mount gradio; whatever it would read from `GRADIO_*` variables and could expose the page is set."""
    page.queue(max_size=bench.limits.queue, default_concurrency_limit=1)
    page.max_threads = page._queue.max_thread_count = THREADS
    page.state_session_capacity = MAX_SESSIONS + 1
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        root_path="",
        max_file_size=bench.limits.upload_bytes,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=["api"],
        allowed_paths=[one.file for one in examples],
        blocked_paths=[],
        theme=theme(),
        css=asset("page.css"),
    )
    mounted = next(route.app for route in app.routes if isinstance(route, Mount))
    page.app = page.server_app = mounted


def _sweeping(inner: Lifespan, sessions: Sessions, spool: Spool) -> Lifespan:
    """The lifespan of the application with bounded threads, in which what visitors leave behind is freed."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await sessions.sweep()
            # run in a thread, which also ends the threads that have been idle for long
            await anyio.to_thread.run_sync(lambda: spool.sweep(sessions.clients, unclaimed_seconds=IDLE_SECONDS))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        task = asyncio.create_task(sweep())
        try:
            async with inner(app):
                yield
        finally:
            task.cancel()

    return lifespan


@contextmanager
def _keeping_files_in(root: Path) -> Iterator[None]:
    """Context in which gradio's components learn where their files are kept: from an environment variable.

    Gradio also reads it for every call, to see whether a file is one of its own; then it holds the folder of all pages.
    Its routes have read it when gradio was imported, and make a folder in a place that may be another user's.
    """
    os.environ["GRADIO_TEMP_DIR"] = gradio.routes.DEFAULT_TEMP_DIR = str(root)
    try:
        yield
    finally:
        os.environ["GRADIO_TEMP_DIR"] = gradio.routes.DEFAULT_TEMP_DIR = str(root.parent)
