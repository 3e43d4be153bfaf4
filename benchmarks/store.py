"""How fast journeys are stored and exported, and whether memory stays flat.

    python benchmarks/store.py [--journeys 100000] [--folder FOLDER]

Scripted journeys of six turns on average (a backtrack in two of three) are stored turn by turn, as a run does it, then
read back and exported. RSS is that of the whole process, imports included.
"""

import argparse
import itertools
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from journeys.draft import Draft
from journeys.exports import ExportSettings, Provenance, export
from journeys.record import Cost, Evidence, Move, Problem, Turn, Verdict, Verification, Voice
from journeys.store import Store

VOICE = Voice(persona="stepwise", model="scripted")
ATTEMPTS = 4
"""Journeys per problem."""
NOTHING = Verdict(move=Move.CONTINUE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--journeys", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; a temporary folder by default")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        write(folder, asked.journeys)
        read(folder)
        export_all(folder)


def write(folder: Path, count: int) -> None:
    """Store `count` journeys; a line at every power of ten."""
    marks = [10**power for power in range(3, 10) if 10**power < count] + [count]
    spent, turns, done = 0.0, 0, 0
    with Store(folder / "journeys.db") as store:
        for mark in marks:
            for said in itertools.islice(journeys(start=done), mark - done):
                began = time.perf_counter()
                draft = blank(said)
                store.begin(draft)
                for turn in said.turns:
                    store.add_turn(said.id, turn)
                store.finish(
                    said.finish("solved", verification=RIGHT) if solved(said) else said.finish("exhausted:turns")
                )
                spent += time.perf_counter() - began
                turns += len(said.turns)
            began = time.perf_counter()
            store.flush()
            spent += time.perf_counter() - began
            done = mark
            size = sum(path.stat().st_size for path in folder.iterdir())
            show(what="stored", journeys=done, turns=turns, per_second=done / spent, rss_mb=rss(), file_mb=size / 1e6)


def read(folder: Path) -> None:
    with Store(folder / "journeys.db", read_only=True) as store:
        began = time.perf_counter()
        count = sum(1 for _ in store.journeys())
        show(what="read", journeys=count, per_second=count / (time.perf_counter() - began), rss_mb=rss())
        began = time.perf_counter()
        store.counts()
        show(what="counted", journeys=count, seconds=time.perf_counter() - began)


def export_all(folder: Path) -> None:
    run = Provenance(
        name="benchmark", protocol="dialogue", policy=VOICE, problems="scripted", num_problems=1, seed=0, digest=""
    )
    with Store(folder / "journeys.db", read_only=True) as store:
        journeys = store.counts().finished
        began = time.perf_counter()
        counts = export(store, folder / "exports", ExportSettings(), run=run)
        spent = time.perf_counter() - began
    size = sum(path.stat().st_size for path in (folder / "exports").iterdir())
    rows = sum(counts.rows.values())
    show(what="exported", journeys=journeys, per_second=journeys / spent, rows=rows, rss_mb=rss(), files_mb=size / 1e6)


RIGHT = Verification(status="right", given="0", method="scripted")


def journeys(*, start: int) -> Iterator[Draft]:
    """Endless drafts, the same ones from the same start."""
    for number in itertools.count(start):
        problem, attempt = divmod(number, ATTEMPTS)
        yield scripted(problem, attempt)


def scripted(number: int, attempt: int) -> Draft:
    """A sum done step by step; some steps are false and taken back."""
    dice = random.Random(number * ATTEMPTS + attempt)
    terms = [random.Random(f"{number}/{place}").randint(2, 99) for place in range(4)]
    question = f"What is {' + '.join(map(str, terms))}? Work it out one step at a time and write the result at the end."
    draft = Draft(
        f"sum-{number}#{attempt}",
        Problem(id=f"sum-{number}", question=question, answer=str(sum(terms)), family="sums"),
        attempt=attempt,
        protocol="dialogue",
        policy=VOICE,
        critic=VOICE,
    )
    total = terms[0]
    for term in terms[1:]:
        right = total + term
        if dice.random() < 1 / 3:
            false = f"{total} + {term} = {right + dice.randint(1, 9)}"
            wrong = Evidence(kind="false_equation", quote=false, detail=f"{total} + {term} is {right}.")
            say(draft, false, Verdict(move=Move.BACKTRACK, critique=wrong.detail, keep=len(draft.path)), wrong)
        say(draft, f"{total} + {term} = {right}", NOTHING)
        total = right
    say(draft, f"Answer: {total}", Verdict(move=Move.TERMINATE), answer=str(total))
    if attempt == ATTEMPTS - 1:  # one in four never comes to an answer
        return blank(draft, turns=draft.turns[:-1])
    return draft


def say(draft: Draft, step: str, verdict: Verdict, *evidence: Evidence, answer: str | None = None) -> None:
    waiting = draft.awaiting_reply
    draft.add(
        Turn(
            id=len(draft.turns),
            parent=draft.head.id if draft.head else None,
            step=step,
            verdict=verdict,
            evidence=evidence,
            replies_to=waiting.id if waiting else None,
            answer=answer,
            policy_cost=Cost(prompt_tokens=300, completion_tokens=14, cached_tokens=280, seconds=0.2, calls=1),
        )
    )


def blank(draft: Draft, turns: list[Turn] | None = None) -> Draft:
    """A draft like this one, with `turns` only."""
    return Draft(
        draft.id,
        draft.problem,
        attempt=draft.attempt,
        protocol=draft.protocol,
        policy=draft.policy,
        critic=draft.critic,
        turns=turns or (),
    )


def solved(draft: Draft) -> bool:
    return draft.path[-1].answer is not None


def rss() -> float:
    """Resident memory of this process now, in MB."""
    fields = Path("/proc/self/status").read_text().split()
    return int(fields[fields.index("VmRSS:") + 1]) / 1000


def show(**facts: str | float) -> None:
    rounded = {name: round(fact, 3) if isinstance(fact, float) else fact for name, fact in facts.items()}
    print(json.dumps(rounded), flush=True)


if __name__ == "__main__":
    main()
