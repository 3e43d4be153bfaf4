"""The last word on a final answer: right, wrong, or unparsed. The only reader of a problem's reference answer."""

import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction

from pydantic import JsonValue

from journeys.record import Problem, Verification
from problems import gym
from problems.answers import final_answer, result_of, tidy
from problems.numbers import plain_number
from problems.workers import WorkerDied, Workers

MAX_MATH_CHARS = 1000


class Verifier:
    """Compares final answers with references; plain numbers at once, everything else in a worker process.

    A timeout or a library's failure is `unparsed` with the reason in `detail`, never `wrong`.
    """

    def __init__(self, *, timeout: float = 3.0) -> None:
        self._workers = Workers(timeout=timeout)

    async def verify(self, problem: Problem, answer: str | None) -> Verification:
        """The verdict on `answer`, the final answer span alone (see `problems.answers.final_answer`)."""
        method = "math-verify" if problem.verifier == "math" else str(problem.verifier)
        if problem.verifier == "reasoning_gym":
            method = f"reasoning-gym:{problem.metadata.get('task')}"
        given = (final_answer(answer) if answer and "\\boxed" in answer else tidy(answer or "")) or ""
        if not given:
            return Verification(status="unparsed", given=answer or "", method=method, detail="no answer")
        verification = await self._compared(problem, given, method)
        if verification.status == "right" or (result := result_of(given)) is None:
            return verification
        by_result = await self._compared(problem, result, method)
        return verification if by_result.status == "unparsed" else by_result

    async def warm(self) -> None:
        """Start a worker ahead of the first hard answer."""
        await self._workers.ask({"kind": "ping"})

    def close(self) -> None:
        """End the worker processes; safe to call twice."""
        self._workers.close()

    async def _compared(self, problem: Problem, given: str, method: str) -> Verification:
        match problem.verifier:
            case "reasoning_gym":
                return await self._gym(problem, given, method)
            case "choice":
                return _choice(problem, given)
            case "text":
                return _text(problem, given)
            case "math":
                return await self._math(problem, given, method)

    async def _math(self, problem: Problem, given: str, method: str) -> Verification:
        gold = problem.answer or ""
        quick = equal_numbers(gold, given)
        if quick is not None:
            return Verification(status="right" if quick else "wrong", given=given, method=method)
        based = _same_base(gold, given)
        if based is not None:
            return Verification(status="right" if based else "wrong", given=given, method="text")
        words = words_of(gold)
        if words is not None:
            return Verification(
                status="right" if words == words_of(given, lenient=True) else "wrong", given=given, method="text"
            )
        if len(given) > MAX_MATH_CHARS:
            return Verification(
                status="unparsed", given=given[:MAX_MATH_CHARS], method=method, detail="too long to be an answer"
            )
        if plain_number(gold) is not None and not re.search(r"\d|\\pi|\\sqrt|\be\b|infty", given):
            return Verification(status="unparsed", given=given, method=method, detail="no number in it")
        try:
            reply = await self._workers.ask({"kind": "math", "gold": gold, "answer": given})
        except WorkerDied as died:
            return Verification(status="unparsed", given=given, method=method, detail=f"math-verify {died}")
        status = reply.get("status", "unparsed")
        if status == "no_gold":
            return Verification(status="unparsed", given=given, method=method, detail="the reference cannot be read")
        return Verification(status=status, given=given, method=method, detail=str(reply.get("error", "")))

    async def _gym(self, problem: Problem, given: str, method: str) -> Verification:
        task = str(problem.metadata.get("task"))
        entry = problem.metadata.get("entry")
        config = problem.metadata.get("config")
        if not isinstance(entry, dict) or not isinstance(config, dict):
            return Verification(
                status="unparsed", given=given, method=method, detail="the problem lacks its reasoning-gym entry"
            )
        gold = problem.answer
        if gold is not None and given == gold.strip():
            return Verification(status="right", given=given, method=method)
        if task in gym.NUMBER_TASKS and gold is not None:
            want, got = plain_number(gold), plain_number(given, units=True)
            if want is not None:
                if got is None:
                    return Verification(status="unparsed", given=given, method=method, detail="not one number")
                return Verification(status="right" if want == got else "wrong", given=given, method=method)
        if task in gym.EVALUATED_FOR_CREDIT:
            right = given in _valid_answers(entry)
            return Verification(status="right" if right else "wrong", given=given, method=method)
        if not gym.allowed(task, given):
            return Verification(
                status="unparsed", given=given, method=method, detail="signs that this task's answers do not have"
            )
        try:
            reply = await self._workers.ask(
                {"kind": "gym", "task": task, "config": config, "entry": entry, "answer": given}
            )
        except WorkerDied as died:
            return Verification(status="unparsed", given=given, method=method, detail=f"the scorer {died}")
        if "score" not in reply:
            return Verification(
                status="unparsed", given=given, method=method, detail=str(reply.get("error", "no score"))
            )
        return Verification(status="right" if reply["score"] == 1.0 else "wrong", given=given, method=method)


async def same_answer(problem: Problem, first: str, second: str, verifier: Verifier) -> bool:
    """Whether two answers are the same, by the comparison that grades this problem, the first in the reference's place.

    A reasoning-gym scorer knows its own entry alone, and may hold several answers for right: there two answers are the
    same when they are equal as numbers or as text.
    """
    if normal_text(first) == normal_text(second):
        return True
    if problem.verifier == "reasoning_gym":
        value = plain_number(first, units=True)
        return value is not None and value == plain_number(second, units=True)
    stand_in = problem.model_copy(update={"answer": first})
    return (await verifier.verify(stand_in, second)).status == "right"


def equal_numbers(gold: str, answer: str) -> bool | None:
    """Exact equality where both are plain numbers; None where one is not, and something slower must decide.

    Units after the answer are passed over where the reference has none. A percent sign counts: `50%` is 0.5 only where
    the reference says `50%`; where the reference is the bare number 50, `50%` states it in percent.
    """
    gold_percent, gold_body = _percent(gold)
    answer_percent, answer_body = _percent(answer)
    want = plain_number(gold_body, units=True)
    if want is None:
        return None
    got = plain_number(answer_body, units=True)
    if got is None:
        return None
    if want == got:
        return True
    if gold_percent and not answer_percent:
        return got == want / 100
    return _is_rounding(gold_body, want, answer_body, got)


def _is_rounding(gold: str, want: Fraction, answer: str, got: Fraction) -> bool:
    """Whether the answer is the reference rounded, to six significant digits or more: 0.333333 for 1/3."""
    decimals = re.search(r"\.(\d+)", answer)
    if decimals is None or "." in gold:
        return False
    digits = len(re.sub(r"\D", "", answer).lstrip("0"))
    return digits >= 6 and abs(want - got) * 2 * 10 ** len(decimals[1]) <= 1


_BASED = re.compile(r"\$?\s*(-?[0-9A-Z]+)\s*_\s*\{?\s*(?:\\text\{)?(\d+|[a-z]+)\}*\s*\$?")


def _same_base(gold: str, answer: str) -> bool | None:
    """Equality of numerals written with their base, `204_5`, whose subscript math-verify drops; None for all others."""
    want = _BASED.fullmatch(gold.strip())
    if want is None:
        return None
    got = _BASED.fullmatch(answer.strip())
    return got.groups() == want.groups() if got else answer.strip().strip("$") == want[1]


def _percent(text: str) -> tuple[bool, str]:
    body = text.strip().strip("$").strip()
    for sign in ("\\%", "%", " percent", "\\text{ percent}"):
        if body.endswith(sign):
            return True, body[: -len(sign)].strip()
    return False, body


_LETTER = re.compile(
    r"^[\s({\[*]*(?:(?:option|choice|answer)\s*)?[({\[*]*\s*([A-Za-z])\s*[)}\]*.:]*\s*$", re.IGNORECASE
)


def choice_letter(text: str) -> str | None:
    """The letter in `B`, `(B)`, `\\text{(B)}`, `B.`, `B) 12 apples`, `option B`; None when there is not exactly one."""
    plain = re.sub(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([^{}]*)\}", r"\1", text).replace("$", "").strip()
    match = _LETTER.match(plain)
    if match:
        return match[1].upper()
    led = re.match(r"^[(\[*]*([A-Z])(?:[)\]:]|\.\s|\*\*)", plain)
    return led[1] if led else None


def _choice(problem: Problem, given: str) -> Verification:
    gold = choice_letter(problem.answer or "")
    letter = choice_letter(given)
    choices = problem.metadata.get("choices")
    if letter is None and isinstance(choices, list):
        named = [index for index, choice in enumerate(choices) if normal_text(str(choice)) == normal_text(given)]
        if len(named) == 1:
            letter = chr(ord("A") + named[0])
    if letter is None:
        return Verification(status="unparsed", given=given, method="choice", detail="no letter and no choice's text")
    return Verification(status="right" if letter == gold else "wrong", given=given, method="choice")


def _text(problem: Problem, given: str) -> Verification:
    right = normal_text(problem.answer or "") == normal_text(given)
    return Verification(status="right" if right else "wrong", given=given, method="text")


def normal_text(text: str) -> str:
    """Text compared as text: Unicode form, case, spacing, quotes and closing punctuation do not count."""
    plain = re.sub(r"\\(?:text|textbf|mathrm|mbox)\s*\{([^{}]*)\}", r"\1", unicodedata.normalize("NFKC", text)).replace(
        "$", ""
    )
    return " ".join(plain.casefold().split()).strip(" .,;:!\"'“”‘’`*()")


def words_of(text: str, *, lenient: bool = False) -> str | None:
    """The normalised words where a reference is nothing but words (`\\text{Evelyn}`, `even`); None for mathematics."""
    plain = normal_text(text)
    if lenient:
        return plain
    marked = re.fullmatch(r"\s*\$?\\(?:text|textbf|mathrm|mbox)\s*\{[^{}]*\}\s*\$?", text)
    if marked and not re.search(r"\d", plain):
        return plain
    return (
        plain if re.fullmatch(r"[^\W\d_]{3,}(?:[ '\-][^\W\d_]+)*", plain) and plain not in ("infinity", "inf") else None
    )


def _valid_answers(entry: Mapping[str, JsonValue]) -> list[str]:
    metadata = entry.get("metadata")
    valid = metadata.get("valid_answers") if isinstance(metadata, dict) else None
    return [str(answer) for answer in valid] if isinstance(valid, list) else [str(entry.get("answer")).strip()]
