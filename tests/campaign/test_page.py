"""The page with many clients at once: everybody gets their own answer, and nothing stays of those who leave."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ahs_seg.segmenter import Segmenter
from tests.campaign.driver import Limits, Started, end, start
from tests.campaign.page import ADDRESS, HELD, LEFT, STOP, TURNS, Visitor, eventually, serve_page, used
from tests.campaign.record import Part

LIMITS = Limits(seconds=180)
START_SECONDS = 300
FREED_SECONDS = 60


@pytest.mark.xdist_group("campaign")
def test_a_few_clients_at_once(part: Part, tmp_path: Path, model: Path) -> None:
    crowd(part, tmp_path / "4", model, clients=4, turns=1)
    assert part.faults == []


@pytest.mark.slow
@pytest.mark.xdist_group("campaign")
def test_many_clients_at_once(part: Part, tmp_path: Path, model: Path) -> None:
    for clients in (8, 32):
        crowd(part, tmp_path / f"{clients}", model, clients=clients, turns=TURNS)
    part.write("web page")
    assert part.faults == []


def crowd(part: Part, folder: Path, model: Path, *, clients: int, turns: int) -> None:
    """Serve a page to many clients and judge their answers and what is left of them."""
    started = start(folder, serve_page, str(model), limits=LIMITS)
    try:
        visitors, lost = visited(started, clients, turns)
        (folder / "inside" / STOP).touch()
        started.process.join(FREED_SECONDS)
        lost += still_held(folder / "inside" / HELD)
    finally:
        end(started.process)
    segmenter = Segmenter.from_pretrained(model)
    lost += [fault for visitor in visitors for fault in (*visitor.faults, *visitor.wrong(segmenter))]
    requests = sum(visitor.requests for visitor in visitors)
    part.add(started.verdict(f"{clients} clients"), lost, cases=requests)


def still_held(path: Path) -> list[str]:
    """What the page still holds of its visitors when it ends."""
    if not path.exists():
        return ["the server does not end"]
    held = json.loads(path.read_text(encoding="utf-8"))
    return [f"{count} {what} are still held" for what, count in held.items() if count]


def visited(started: Started, clients: int, turns: int) -> tuple[list[Visitor], list[str]]:
    """The visitors after their visit, the last of whom came alone, and what the page still holds of them."""
    inside, process = started.folder / "inside", started.process.pid
    assert process is not None
    if not eventually((inside / ADDRESS).exists, START_SECONDS):
        return [], ["the page does not start"]
    address = (inside / ADDRESS).read_text(encoding="utf-8")
    first = Visitor(address, clients, turns).stay()
    before = used(process, inside / "tmp")
    with ThreadPoolExecutor(clients) as pool:
        visitors = list(pool.map(lambda number: Visitor(address, number, turns).stay(), range(clients)))
    last = Visitor(address, clients + 1, turns).stay()
    (inside / LEFT).touch()
    kept: dict[str, int] = {}

    def is_freed() -> bool:
        kept.update(used(process, inside / "tmp"))
        return all(kept[what] <= before[what] for what in before)

    freed = eventually(is_freed, FREED_SECONDS)
    return [first, *visitors, last], [] if freed else [f"still used: {kept}, before the visits {before}"]
