"""Runs to look at, made by the real `generate` with scripted agents, and a viewer that serves them."""

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from generation_material import scripted, write_problems

import run
from journeys.record import Problem
from viewer.collection import Collection
from viewer.folders import Source, find_sources
from viewer.server import ViewServer

MARKS = ("<script>window.pwned=1</script>", '<img src=x onerror="window.pwned=1">', "<svg/onload=window.pwned=1>")
HOSTILE = (
    '2 + 2 = 5 <script>window.pwned=1</script> <img src=x onerror="window.pwned=1"> <svg/onload=window.pwned=1> '
    '"><b id=injected>bold</b> [click](javascript:window.pwned=1) {{ 7 * 7 }} </title></textarea><script>window.pwned=1'
    r"</script> \(\text{<script>window.pwned=1</script>}\) $\href{javascript:window.pwned=1}{x}$ $\class{evil}{y}$ "
    r"\(\text{&#60;img src=x onerror=window.pwned=1&#62;}\)"
)
"""What a model may write: markup of every kind, Markdown and LaTeX that would become some, a template's slot."""


def script(*, steps: Sequence[str], critique: str = "2 + 2 is not 5, wait.", unlike: dict[str, str] = {}) -> str:
    """A dialogue: the first step is taken back, the third is reflected on."""
    replies: dict[str, Any] = {f"stepwise/*/{place}/*": step for place, step in enumerate(steps)}
    replies |= unlike
    replies["strict/*/0/*"] = {"move": "backtrack", "critique": critique, "quote": "2 + 2 = 5", "keep": 0}
    replies["strict/*/2/*"] = {"move": "reflect", "critique": "Is that all that was asked?", "quote": "", "keep": 0}
    neutral = json.dumps({"move": "continue", "critique": "", "quote": "", "keep": 0})
    return yaml.safe_dump({"latency": 0.0, "replies": replies, "fallback": neutral})


PLAIN = ("I start inside: 2 + 2 = 5", "That was off. 2 + 2 = 4", r"Three of those: \(4 \times 3 = 12\), so 4 * 3 = 12")


def make_run(folder: Path, *, name: str, text: str, count: int = 12, question: str | None = None) -> Path:
    """A finished run. Returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = scripted(folder, count=count, name=name)
    (folder / "script.yaml").write_text(text)
    problems = write_problems(folder, count)
    if question:
        rows = [json.loads(row) for row in problems.read_text().splitlines()]
        problems.write_text(
            "".join(json.dumps(row | {"question": f"{row['question']} {question}"}) + "\n" for row in rows)
        )
    assert run.main(argv) == 0
    return folder / "runs" / name


def first_run(folder: Path) -> Path:
    """Twelve journeys: two wrong (p-7, and p-1 in the second run), the others right after one backtrack."""
    wrong = {"stepwise/p-*7#0/3/*": "Answer: 13"}
    return make_run(folder, name="first", text=script(steps=(*PLAIN, "Answer: 12"), unlike=wrong))


def second_run(folder: Path) -> Path:
    wrong = {"stepwise/p-1#0/3/*": "Answer: 13", "stepwise/p-2#0/3/*": "Answer: 14"}
    return make_run(folder, name="second", text=script(steps=(*PLAIN, "Answer: 12"), unlike=wrong))


def hostile_run(folder: Path) -> Path:
    steps = (HOSTILE, f"2 + 2 = 4 {HOSTILE[9:]}", f"4 * 3 = 12 {HOSTILE[9:]}", "Answer: 12")
    return make_run(folder, name="hostile", text=script(steps=steps, critique=HOSTILE), count=3, question=HOSTILE)


def source_of(place: Path) -> Source:
    return find_sources([place])[0]


@contextmanager
def serving(*places: Path) -> Iterator[ViewServer]:
    """A viewer on a free port, in a thread of its own."""
    server = ViewServer(Collection(places))
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(timeout=20)


def chromium() -> str | None:
    """A browser of this machine that playwright can drive."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


def problem(number: int) -> Problem:
    return Problem(id=f"sum-{number}", question="What is 17 + 25 - 8?", answer="34", family=f"family {number % 3}")
