"""How often the step checkers and the verifier are right on data sets with known answers.

    python benchmarks/checkers.py --data gsm8k_train.jsonl          worked solutions: every alarm is a false one
    python benchmarks/checkers.py --data step_labels_mr_gsm8k.jsonl human step labels: precision and recall
    python benchmarks/checkers.py --data math500.jsonl              references: each verifies against itself

The kind of file is told from its first row. Nothing is downloaded; the data sets are public (see docs/checkers.md).
"""

import argparse
import asyncio
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from journeys.record import Problem
from problems.answers import reference_answer
from problems.checkers import Scene, contradiction, lucky_reasons, repeated_step
from problems.equations import equations
from problems.rows import FieldNames, read_rows, sniffed
from problems.verifier import Verifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a .jsonl file")
    parser.add_argument("--show", type=int, default=20, help="how many alarms to print")
    parser.add_argument("--limit", type=int, default=None, help="rows to read")
    options = parser.parse_args()
    first = next(_rows(options.data, 1))
    if "first_error_step" in first or "first_error" in first:
        step_labels(options.data, options.show, options.limit)
    elif "<<" in str(first.get("answer", "")) or "####" in str(first.get("answer", "")):
        solutions(options.data, options.show, options.limit)
    else:
        asyncio.run(references(options.data, options.show, options.limit))


def solutions(data: Path, show: int, limit: int | None) -> None:
    """Worked solutions that are right: alarms per equation, luck per solution, and the time of a check."""
    counts: Counter[str] = Counter()
    spent = 0.0
    for row in _rows(data, limit):
        # The annotations are the data set's calculator, not its prose; they are counted apart.
        steps = [re.sub(r"<<[^<>]*>>", "", step) for step in row["answer"].split("\n") if "####" not in step]
        counts["solutions"] += 1
        for number, step in enumerate(steps):
            start = time.perf_counter()
            found = equations(step)
            spent += time.perf_counter() - start
            counts["steps"] += 1
            counts["equations"] += len(found)
            scene = Scene(row["question"], tuple(steps[:number]), step, ())
            for checker in (contradiction, repeated_step):
                for evidence in checker(scene):
                    counts[evidence.kind] += 1
                    _show(counts, show, evidence.kind, f"{evidence.detail} | {step[:160]}")
            for equation in found:
                plain = re.fullmatch(r"(\D*)(\d+)", equation.right)
                if equation.holds and plain is not None:
                    counts["results made wrong"] += 1
                    other = step.replace(equation.quote, equation.quote[: -len(plain[2])] + str(int(plain[2]) + 1), 1)
                    counts["of these found"] += any(not e.holds for e in equations(other))
                if not equation.holds:
                    counts["false alarms"] += 1
                    _show(counts, show, "ALARM", f"{equation.quote} | {step[:200]}")
        gold = reference_answer(row["answer"]) or ""
        problem = Problem(id="-", question=row["question"], answer=gold, verifier="math")
        reasons = [reason for reason in lucky_reasons(problem, steps, gold) if "no equation" in reason]
        if reasons:
            counts["called lucky"] += 1
            _show(counts, show, "LUCKY", f"{gold} | {' / '.join(steps)[-200:]}")
    _print(counts)
    print(f"false alarms per equation: {counts['false alarms'] / max(1, counts['equations']):.4%}")
    print(f"results made wrong by 1 and found: {counts['of these found'] / max(1, counts['results made wrong']):.2%}")
    print(f"called lucky: {counts['called lucky'] / max(1, counts['solutions']):.2%} of solutions")
    print(f"seconds per step: {spent / max(1, counts['steps']) * 1e6:.1f} microseconds")


def step_labels(data: Path, show: int, limit: int | None) -> None:
    """Human labels of the first wrong step: does an alarm on a step mean that it is wrong?"""
    counts: Counter[str] = Counter()
    for row in _rows(data, limit):
        wrong = row.get("first_error_step", row.get("first_error"))  # counted from 1; -1 or null where there is none
        steps = row["steps"]
        counts["solutions"] += 1
        for number, step in enumerate(steps, start=1):
            if wrong is not None and number > wrong > 0:
                break  # what follows a wrong step is not labelled
            false = [equation for equation in equations(step) if not equation.holds]
            is_wrong = number == wrong
            counts["wrong steps" if is_wrong else "right steps"] += 1
            if false:
                counts["alarms on wrong steps" if is_wrong else "alarms on right steps"] += 1
                if not is_wrong:
                    _show(counts, show, "ALARM on a right step", f"{false[0].quote} | {step[:200]}")
            elif is_wrong:
                counts["wrong steps missed"] += 1
                _show(
                    counts,
                    show,
                    "missed",
                    f"{step[:160]} | {row.get('error_note', row.get('error_reason', ''))!s:.100}",
                )
    _print(counts)
    alarms = counts["alarms on wrong steps"] + counts["alarms on right steps"]
    true = counts["alarms on wrong steps"]
    print(f"precision {true / max(1, alarms):.3f}  recall {true / max(1, counts['wrong steps']):.3f}")


async def references(data: Path, show: int, limit: int | None) -> None:
    """Each reference against itself, in a box, and perturbed."""
    counts: Counter[str] = Counter()
    verifier = Verifier()
    start = time.perf_counter()
    rows = list(read_rows(str(data), FieldNames()))[:limit]
    for row in rows:
        try:
            problem = sniffed(row, verifier="auto", max_question_chars=100_000)
        except Exception as error:
            counts["refused"] += 1
            _show(counts, show, "refused", str(error))
            continue
        counts["references"] += 1
        gold = problem.answer or ""
        for name, given in (("itself", gold), ("boxed", rf"\boxed{{{gold}}}")):
            verdict = await verifier.verify(problem, given)
            counts[f"{name}: {verdict.status}"] += 1
            if verdict.status != "right":
                _show(counts, show, name, f"{gold} -> {verdict}")
        other = perturbed(gold)
        if other is not None:
            verdict = await verifier.verify(problem, other)
            counts[f"perturbed: {verdict.status}"] += 1
            if verdict.status == "right":
                _show(counts, show, "PERTURBED", f"{gold} ~ {other} -> {verdict}")
    verifier.close()
    _print(counts)
    print(f"seconds per verdict: {(time.perf_counter() - start) / max(1, 3 * len(rows)):.4f}")


def perturbed(gold: str) -> str | None:
    """The reference with its last digit changed; None where it has none."""
    digits = list(re.finditer(r"\d", gold))
    if not digits:
        return None
    match = digits[-1]
    return gold[: match.start()] + str((int(match[0]) + 1) % 10 or 7) + gold[match.end() :]


def _rows(data: Path, limit: int | None) -> Iterator[dict[str, Any]]:
    with data.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if limit is not None and number >= limit:
                return
            yield json.loads(line)


def _show(counts: Counter[str], show: int, kind: str, text: str) -> None:
    counts[f"(shown {kind})"] += 1
    if counts[f"(shown {kind})"] <= show:
        print(f"{kind}: {text}")


def _print(counts: Counter[str]) -> None:
    for name, count in counts.items():
        if not name.startswith("(shown"):
            print(f"{name}: {count}")


if __name__ == "__main__":
    main()
