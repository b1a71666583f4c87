"""A real browser, Debian's chromium, in front of a real server; neither may speak to anybody else."""

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.testclient import TestClient

from ahs_seg.data.world.dataset import WorldDataset
from ahs_seg.demo.web.app import Application, application
from ahs_seg.demo.web.hosts import Hosts
from ahs_seg.demo.web.limits import Limits
from ahs_seg.demo.web.serve import BASELINE, find_models, serving
from ahs_seg.demo.web.session import Workbench
from ahs_seg.methods import ZeroShotSegmenter
from ahs_seg.segmenter import Segmenter
from tests.support.builders import random_backbone
from tests.support.page_calls import ADDRESS
from tests.support.ports import free_port

expect.set_options(timeout=60_000)
LOCAL = ("127.0.0.1", "::1", "localhost", None, "")
MISSING = "chromium is missing, so the page cannot be tested: run `make browser`, or leave these out: -m 'not browser'"
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
LIMITS = Limits(upload_mb=1, megapixels=2, names=50, name_length=60, seconds=30)


@pytest.fixture(scope="package")
def segmenter() -> Segmenter:
    """The model that is served."""
    return find_models([])[BASELINE]()


@pytest.fixture(scope="package")
def strangers() -> Iterator[list[object]]:
    """Hosts other than this one that the server has asked for."""
    asked: list[object] = []
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def watched_connect(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in LOCAL:
            asked.append(address)
        connect(self, address)  # type: ignore[arg-type]  # as given

    def watched_resolve(host: object, *rest: object, **more: Any) -> object:
        if host not in LOCAL:
            asked.append(host)
        return resolve(host, *rest, **more)  # type: ignore[arg-type]  # as given

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", watched_connect)
        patch.setattr(socket, "getaddrinfo", watched_resolve)
        yield asked


@pytest.fixture(scope="package")
def address(segmenter: Segmenter, strangers: list[object]) -> Iterator[str]:
    """The page, served."""
    bench = Workbench({"one": lambda: segmenter, "other": find_models([])[BASELINE]}, LIMITS)
    with serving(bench, port=free_port()) as address:
        yield address


@pytest.fixture(scope="package")
def page() -> Iterator[Application]:
    """The page with a random model, without a server."""
    model = Segmenter(ZeroShotSegmenter(random_backbone(), temperature=0.01))
    with application(Workbench({"one": lambda: model}, LIMITS), Hosts("127.0.0.1")) as page:
        yield page


@pytest.fixture(scope="package")
def client(page: Application) -> Iterator[TestClient]:
    """A client of that page."""
    with TestClient(page.gate, base_url=ADDRESS) as client:
        yield client


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.fail(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", OFFLINE])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens the page as a new visitor; afterwards no request may have gone elsewhere and nothing may have failed."""
    outside: list[str] = []
    errors: list[str] = []
    contexts = []

    def watch(url: str) -> None:
        if not url.startswith((address, "data:", "blob:")):
            outside.append(url)

    def open_page(width: int = 1280, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        contexts.append(context)
        context.on("request", lambda request: watch(request.url))
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#go")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert outside == []
    assert errors == []


@pytest.fixture(scope="package")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of drawn scenes."""
    folder = tmp_path_factory.mktemp("scenes")
    dataset = WorldDataset(seed=5, count=2, names=20)
    paths = [folder / f"scene {index}.png" for index in range(2)]
    for index, path in enumerate(paths):
        Image.fromarray(dataset[index].image).save(path)
    return paths
