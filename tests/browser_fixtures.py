"""A real browser on a viewer's pages, and the ways in which a person's doings are waited for."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from viewer_material import chromium, first_run, hostile_run, second_run, serving, write_evaluation, write_training

from viewer.server import ViewServer

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = chromium()
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-quic"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("viewer")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ViewServer]:
    """Two runs, a hostile one, a training and an evaluation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETRACE_CACHE", str(folder / "cache"))
        first_run(folder)
        second_run(folder)
        hostile_run(folder)
        write_training(folder / "outputs" / "sft")
        write_evaluation(folder / "outputs" / "scores")
        with serving(folder / "runs", folder / "outputs") as served:
            yield served


@pytest.fixture(scope="module")
def browser(server: ViewServer) -> Iterator[Any]:
    """Comes after the runs: playwright keeps an event loop running, in which `generate` could not start its own."""
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=BROWSER, args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any, server: ViewServer) -> Iterator[Any]:
    """A page that has the token; it fails the test on a script error, and on any request to somewhere else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(8000)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(f"{said.text} {said.location}") if said.type == "error" else None)
    home = server.link("/").partition("?")[0]
    opened.on("request", lambda asked: faults.append(asked.url) if not asked.url.startswith(home) else None)
    opened.goto(server.link("/"))
    opened.faults = faults
    yield opened
    context.close()
    assert faults == []


def go(page: Any, server: ViewServer, path: str) -> None:
    page.goto(server.link(path))


def arrived(page: Any, selector: str) -> None:
    """Wait for another page, and for its script: a key pressed before that is lost, to a person too."""
    page.wait_for_selector(selector)
    page.wait_for_load_state("load")


def until(page: Any, truth: str, *, seconds: float = 8) -> None:
    """Wait for an expression to come true; playwright's own way is an eval, which the pages' policy forbids."""
    end = time.monotonic() + seconds
    while not holds(page, truth):
        assert time.monotonic() < end, f"still not so: {truth}"
        page.wait_for_timeout(30)


def holds(page: Any, truth: str) -> bool:
    """Whether it is so now; on a page that is just being loaded it is not."""
    try:
        return bool(page.evaluate(truth))
    except playwright.Error:
        return False


def read_through(page: Any, server: ViewServer, key: str) -> None:
    """Open a run and wait until its texts are in the index."""
    go(page, server, f"/see/{key}")
    until(page, "!document.querySelector('[data-poll]')")
