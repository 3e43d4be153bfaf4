"""How long the viewer lets a reader wait: opening a large run, a filter's answer, a journey of 500 turns.

    python benchmarks/viewer_times.py [--journeys 100000] [--run FOLDER]

A run of scripted journeys is stored (or the one at --run is taken), served, and asked for over HTTP, as a browser does;
where there is a Chromium and playwright, pages are timed in it from the request to the frame after the last one drawn.
The first opening takes the run's columns into the index; it shows what is in after 0.6 s, and the rest soon after.
Filters by words are timed when all texts have been read, which goes on in the background.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from benchmarks.store import write
from journeys.draft import Draft
from journeys.record import Move, Problem, Turn, Verdict, Voice
from journeys.store import Store
from viewer.collection import Collection
from viewer.folders import find_sources
from viewer.index import index_path, open_index
from viewer.reading import unread
from viewer.server import ViewServer

FILTERS = {
    "no filter": "",
    "outcome": "outcome=solved",
    "range and sort": "backtracks_min=2&sort=-tokens",
    "three conditions": "outcome=solved&move=backtrack&turns_min=5",
    "page 1000": "page=1000",
    "words, common": "q=step",
    "words, phrase": "thought=%22that+is+not+right%22",
}
TURNS = 500
REPEATS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--journeys", type=int, default=100_000)
    parser.add_argument("--run", type=Path, default=None, help="a run folder to take instead of a new one")
    parser.add_argument("--wait", type=float, default=900, help="seconds at most until all texts are read")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["RETRACE_CACHE"] = str(folder / "cache")
        large = asked.run or folder / "large"
        if not asked.run:
            large.mkdir()
            write(large, asked.journeys)
        (folder / "long").mkdir()
        long_run(folder / "long")
        with served(large, folder / "long") as server:
            ask = asker(server)
            show(what="first opening", seconds=timed(ask, f"/see/{large.name}"))
            show(what="opening again", seconds=timed(ask, f"/see/{large.name}"))
            for title in ("no filter", "outcome", "range and sort"):
                show(
                    what=f"filter while texts are read: {title}", **several(ask, f"/see/{large.name}?{FILTERS[title]}")
                )
            show(what="all texts read", seconds=all_read(large, wait=asked.wait), index_mb=index_size(large))
            for title, query in FILTERS.items():
                show(what=f"filter: {title}", **several(ask, f"/see/{large.name}?{query}"))
            show(what=f"journey of {TURNS} turns, from the server", **several(ask, "/see/long/journey/long%230"))
            in_browser(server, large.name)


def long_run(folder: Path) -> None:
    """One journey of 500 turns, a third of them taken back."""
    draft = Draft(
        "long#0",
        Problem(id="long", question="Count.", answer="0", family="counting"),
        protocol="dialogue",
        policy=Voice(persona="stepwise", model="scripted"),
    )
    for place in range(TURNS):
        wrong = place % 3 == 1
        verdict = Verdict(
            move=Move.BACKTRACK if wrong else Move.CONTINUE,
            critique=f"{place} + 1 is not {place + 2}." if wrong else "",
            keep=len(draft.path) if wrong else 0,
        )
        step = f"{place} + 1 = {place + 2 if wrong else place + 1}"
        draft.add(Turn(id=place, parent=draft.head.id if draft.head else None, step=step, verdict=verdict))
    with Store(folder / "journeys.db") as store:
        store.begin(draft)
        store.finish(draft.finish("exhausted:turns"))


@contextmanager
def served(*places: Path) -> Iterator[ViewServer]:
    server = ViewServer(Collection(places))
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(timeout=20)


def asker(server: ViewServer) -> Any:
    """Opens addresses with the token in a cookie."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    opener.open(server.link("/static/icon.svg")).read()
    return lambda path: opener.open(server.link("").partition("?")[0] + path).read()


def timed(ask: Any, path: str) -> float:
    began = time.perf_counter()
    ask(path)
    return time.perf_counter() - began


def several(ask: Any, path: str) -> dict[str, float]:
    times = [timed(ask, path) for _ in range(REPEATS)]
    return {"median_ms": 1000 * statistics.median(times), "worst_ms": 1000 * max(times)}


def all_read(large: Path, *, wait: float) -> float:
    """Seconds until every text is in the index, from now."""
    source, began = find_sources([large])[0], time.perf_counter()
    while time.perf_counter() - began < wait:
        with open_index(source) as db:
            if not unread(db):
                break
        time.sleep(0.5)
    return time.perf_counter() - began


def index_size(large: Path) -> float:
    path = index_path(find_sources([large])[0])
    return sum(Path(f"{path}{part}").stat().st_size for part in ("", "-wal") if Path(f"{path}{part}").exists()) / 1e6


def in_browser(server: ViewServer, large: str) -> None:
    browser = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return
    if not browser:
        return
    pages = {f"list of {large}": f"/see/{large}", f"journey of {TURNS} turns": "/see/long/journey/long%230"}
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = launched.new_page(viewport={"width": 1280, "height": 900})
        page.goto(server.link("/"))
        for title, path in pages.items():
            times = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                page.goto(server.link(path))
                page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
                times.append(time.perf_counter() - began)
            show(
                what=f"drawn in Chromium: {title}",
                median_ms=1000 * statistics.median(times),
                worst_ms=1000 * max(times),
            )
        launched.close()


def show(**figures: Any) -> None:
    print(json.dumps({key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}))


if __name__ == "__main__":
    main()
