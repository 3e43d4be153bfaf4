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
from journeys.draft import Draft
from journeys.record import Move, Problem, Turn, Verdict, Voice
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


def long_journey(number: int, *, turns: int) -> Draft:
    """A journey with a wrong try at every third place."""
    draft = Draft(
        f"sum-{number}#0",
        problem(number),
        protocol="dialogue",
        policy=Voice(persona="stepwise", model="scripted"),
        critic=Voice(persona="strict", model="scripted"),
    )
    for place in range(turns):
        wrong = place % 3 == 1
        verdict = Verdict(
            move=Move.BACKTRACK if wrong else Move.CONTINUE,
            critique=f"{place} + 1 is not {place + 2}." if wrong else "",
            keep=len(draft.path) if wrong else 0,
        )
        head = draft.head.id if draft.head else None
        value = place + 2 if wrong else place + 1
        draft.add(Turn(id=place, parent=head, step=f"{place} + 1 = {value}", verdict=verdict))
    return draft


def write_training(folder: Path) -> None:
    folder.mkdir(parents=True)
    history = [
        {"step": step, "loss": 3 / step, "grad_norm": 1.0, "seconds": step, "tokens": 9} for step in range(1, 30)
    ]
    report = {
        "finished": True,
        "method": "sft",
        "model": "tiny",
        "steps": 29,
        "epochs": 1.0,
        "tokens": 99,
        "seconds": 9.0,
        "loss": {"first": 3.0, "last": 0.1},
        "data": {"rows": 4},
        "tokens_per_second": 9.0,
        "device": "CPU",
        "history": history,
    }
    (folder / "training.json").write_text(json.dumps(report))


def write_evaluation(folder: Path) -> None:
    """Two models on five problems: the second is right on three more."""
    folder.mkdir(parents=True)
    lines = []
    for model, right in (("before", {0}), ("after", {0, 1, 2, 3})):
        for number in range(5):
            lines.append(
                {
                    "model": model,
                    "problem_id": f"q-{number}",
                    "family": "sums",
                    "sample": 0,
                    "finish": "stop",
                    "question": f"What is {number} + 1?",
                    "text": f"{'Wait. ' if model == 'after' else ''}It is 1.",
                    "status": "right" if number in right else "wrong",
                    "answer": "1",
                    "tokens": 5 + number,
                    "seed": 0,
                    "prompt_tokens": 9,
                    "mean_logprob": None,
                    "seconds": 0.1,
                }
            )
    (folder / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def scores(value: float) -> dict[str, Any]:
        share = {"value": value, "low": max(0.0, value - 0.1), "high": min(1.0, value + 0.1), "method": "wilson"}
        return {
            "accuracy": share,
            "no_answer_rate": share,
            "pass_at": {"1": share},
            "cut_off_rate": 0.0,
            "tokens": {"mean": 7.0},
        }

    difference = {"value": 0.6, "low": 0.2, "high": 1.0, "p": 0.25, "method": "mcnemar"}
    result = {
        "name": "scores",
        "samples": 1,
        "confidence": 0.95,
        "problems": {"source": "sums", "count": 5},
        "models": [
            {"model": name, "scores": scores(value), "families": {}}
            for name, value in (("before", 0.2), ("after", 0.8))
        ],
        "comparisons": [{"first": "before", "second": "after", "accuracy": difference, "p_holm": 0.25}],
    }
    (folder / "evaluation.json").write_text(json.dumps(result))
