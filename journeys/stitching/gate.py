"""The fidelity gate: whether a thought still says what its journey did, in one voice (design section 6).

Each rule yields a short code with the words that broke it:

    empty            nothing is said
    lost_equation    an equation of a step that stands is gone or changed
    lost_number      a number of a step that stands is gone
    lost_code        code of a step that stands is gone or changed, in a letter
    lost_step        a step without equations that stands cannot be found
    lost_branch      a step that was given up is gone, or told out of order
    self_denial      a step that stands denies the final answer, or a calculation that it also asserts
    unclosed_branch  between a step that was given up and what follows stands no reason
    wrong_answer     the answer stated last is not the journey's, or none is stated near the end
    repeated_answer  the final answer is stated more often than once
    no_answer        the journey has none
    trace            a word for the machinery: critic, agent, user, assistant, policy, checker
    label            "Step 3:", "Critic:", a heading
    markup           JSON, code that no step holds, template tokens
    leak             words of a prompt: instructions, or talk about a draft
    length           shorter than half or longer than three times the template's text
    repeated_paragraph

A failed try need not be told as written where others at the same place are: `tries.py` says of which the result is
enough, in a sentence that rejects it, and of which only that it came again. An empty step that was given up alone
need not be told.
"""

import re
from collections.abc import Iterator, Sequence

from journeys.code import without_fences, words_in
from journeys.record import Journey, Record
from journeys.stitching.denial import self_denials
from journeys.stitching.narrator import Telling, tell
from journeys.stitching.places import DOUBTS, Place, briefly, like, locate, place_of, told_at, told_places
from journeys.stitching.programs import apart, lost_code
from journeys.stitching.prose import TRACES, equations, normal, numbers, stated_answers
from journeys.stitching.steps import Told
from journeys.stitching.tries import Try

SHORTEST, LONGEST = 0.5, 3.0
"""Bounds on a thought's length over that of the template's text."""
TAIL = 160
"""Characters that may follow where the final answer is stated: the answer, and a sentence about it."""

_LABELS = re.compile(
    r"(?:^|[.!?:]\s+|\*\*)(?:#+\s+\w|(?:step|turn)\s*#?\d+\s*(?:\*\*)?\s*[:.)–-]|(?:policy|critic|user|assistant|agent"
    r"|system|human|model|thought|reasoning|draft|narrator)\s*:)",
    re.IGNORECASE | re.MULTILINE,
)
_MARKUP = re.compile(
    r"```|<\|[^|\n]{0,40}\|>|<｜|\[/?INST\]|<</?SYS>>|</?(?:s|think|thought|answer|bos|eos|start_of_turn|end_of_turn)>"
    r"|[{\[,]\s*\"\w+\"\s*:",
    re.IGNORECASE,
)
_LEAKS = re.compile(
    r"\b(?:here(?:'s| is) (?:the|my|a) (?:rewrit\w+|revised|thought)|rewritten (?:text|thought|version|notes)"
    r"|(?:i|i've|i have) (?:rewrote|rewritten) (?:it|this|that|the)|the (?:original )?draft"
    r"|(?:the|these|my|your) notes|must (?:appear|be kept) unchanged|as an ai|you are (?:a|an) \w+|your task"
    r"|instructions?|respond with|json|first-time explorer|system prompt|must_keep)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z_]+")
_TRACE_WORDS = frozenset({
    "critic", "critics", "critique", "critiques", "assistant", "user", "users", "agent", "agents", "policy", "checker",
    "checkers", "verifier", "verifiers", "verdict", "persona", "prompt", "language",
})  # fmt: skip
_LABEL_WORDS = frozenset({
    "step", "turn", "policy", "critic", "user", "assistant", "agent", "system", "human", "model", "thought",
    "reasoning", "draft", "narrator",
})  # fmt: skip
_LEAK_WORDS = frozenset({
    "here", "rewritten", "rewrote", "draft", "notes", "unchanged", "ai", "you",
    "task", "instruction", "instructions", "respond", "json", "explorer", "prompt", "must", "must_keep",
})  # fmt: skip
"""A rule is tried only where one of its words stands: looking for words costs a tenth."""


class GateReport(Record):
    """What the gate found."""

    passed: bool
    failures: tuple[str, ...] = ()
    """`code: words that broke the rule`."""


def inspect(text: str, journey: Journey, *, shortcut: bool = False, draft: Telling | None = None) -> GateReport:
    """Every rule that `text` breaks as a telling of `journey`.

    Args:
        text: the thought.
        journey: what it tells.
        shortcut: whether it tells the path alone; abandoned branches are then not looked for.
        draft: the template's telling, if it is at hand; the length is measured by it.
    """
    plain = normal(without_fences(text))
    if not plain:
        return GateReport(passed=False, failures=("empty: ",))
    draft = draft or tell(journey, shortcut=shortcut)
    told = draft.told
    stands = frozenset(turn.id for turn in journey.path)
    words, comments = apart(text, [one.text for one in told])
    failures = (
        *_lost(plain, told, standing=stands),
        *(f"lost_code: {code[:80]}" for code in lost_code(text, [one.text for one in told if one.turn.id in stands])),
        *_denied(plain, [one.core for one in told if one.turn.id in stands], journey.answer),
        *(() if shortcut else _branches(plain, told, draft.tries)),
        *_answer(words, told, journey.answer),
        *_voice(words, journey.problem.question, comments=comments),
        *_shape(text, draft),
    )
    return GateReport(passed=not failures, failures=failures)


def _lost(plain: str, told: Sequence[Told], *, standing: frozenset[int]) -> Iterator[str]:
    """What the path says and the text does not."""
    known = set(numbers(plain))
    for one in told:
        core = one.core
        if one.turn.id not in standing or not core or locate(core, plain) is not None:
            continue
        stated = equations(core)
        for equation in stated:
            if locate(equation, plain) is None:
                yield f"lost_equation: {equation}"
        for number in numbers(core):
            if number not in known:
                yield f"lost_number: {number}"
        if not stated and like(core, plain, 0) is None:
            yield f"lost_step: {one.text[:80]}"


def _denied(plain: str, standing: Sequence[str], answer: str | None) -> Iterator[str]:
    """Self-denials of steps that stand, where the text repeats them."""
    for clause in dict.fromkeys(self_denials(standing, answer)):
        if clause in plain:
            yield f"self_denial: {clause[:80]}"


def _branches(plain: str, told: Sequence[Told], tries: Sequence[Try]) -> Iterator[str]:
    """Branches that were given up and are not told, in order, or not closed by a reason before what follows."""
    places = told_places(plain, told, tries)
    place_at = {one.turn.id: at for at, one in enumerate(told)}
    for at, one in enumerate(told):
        if not one.turn.removes or tries[at].telling == "nothing":
            continue
        for removed in _removed(told, at):
            if removed.text and places[place_at[removed.turn.id]] is None:
                yield f"lost_branch: {removed.text[:80]}"
        place, start = places[at], _start(places, at)
        if tries[at].joins or (place and place == briefly(tries[at], plain, start)):
            continue  # such a sentence gives its reason itself
        following = next((n for n in range(at + 1, len(told)) if places[n]), None)
        if (place or not one.core) and not _closed(plain, one, start, following, told, tries):
            yield f"unclosed_branch: {one.text[:80]}"


def _closed(
    plain: str, one: Told, start: int, following: int | None, told: Sequence[Told], tries: Sequence[Try]
) -> bool:
    """Whether some telling of the step is followed by a reason before the next step is told.

    A thought may name a step more than once ("is 1 + 1 = 3 really right?"); any of these tellings may be the one, and
    behind a step that says nothing any telling of the next.
    """
    place = place_of(one.core, plain, start) if one.core else (start, start)
    while place:
        after = told_at(told[following], tries[following], plain, place[1]) if following is not None else None
        reason = plain[place[1] : after[0] if after else len(plain)]
        if len(reason.split()) > 2 and DOUBTS.search(reason):
            return True
        place = place_of(one.core, plain, place[1]) if one.core else after
    return False


def _start(places: Sequence[Place | None], at: int) -> int:
    """From where turn `at` can be told: behind the one before it."""
    return next((place[1] for place in reversed(places[:at]) if place), 0)


def _removed(told: Sequence[Told], at: int) -> list[Told]:
    """The turns that the verdict at place `at` takes off the path."""
    path: list[Told] = []
    for one in told[: at + 1]:
        path.append(one)
        if one.turn.removes and one is not told[at]:
            del path[one.turn.verdict.keep :]
    return path[told[at].turn.verdict.keep :]


def _answer(text: str, told: Sequence[Told], final: str | None) -> Iterator[str]:
    if final is None:
        yield "no_answer: "
        return
    answer = normal(final).rstrip(". ")
    stated = stated_answers(text)
    at, last = stated[-1] if stated else (0, text[-80:])
    if not stated or not _same(last, answer) or len(text) - at > TAIL + len(final):
        yield f"wrong_answer: {last[:80]}"
    before = sum(
        _same(found, answer) for one in told if one.turn.answer for _, found in stated_answers(words_in(one.text))
    )
    if sum(_same(found, answer) for _, found in stated) > 1 + before:
        yield f"repeated_answer: {final}"


def _same(stated: str, answer: str) -> bool:
    """Whether a stated answer is the answer, alone or with words behind it ("18 dollars")."""
    stated = stated.strip("*` ")
    return stated == answer or (stated.startswith(answer) and not re.match(r"\w|\.\d|[*/^=]", stated[len(answer) :]))


def _voice(text: str, question: str, *, comments: str = "") -> Iterator[str]:
    """Of comments in code only a trace is held against a thought: "Step 1:" and the like are custom there."""
    asked = question.casefold()
    words = set(_WORD.findall(text.lower()))
    hidden = TRACES.search(comments) if words.isdisjoint(_TRACE_WORDS) else None
    if hidden and hidden.group().casefold() not in asked:
        yield f"trace: {comments[max(0, hidden.start() - 20) : hidden.end() + 20].strip()}"
    rules = (
        ("trace", TRACES, bool(words & _TRACE_WORDS)),
        ("label", _LABELS, bool(words & _LABEL_WORDS) or "#" in text),
        ("markup", _MARKUP, any(sign in text for sign in "`<[{")),
        ("leak", _LEAKS, bool(words & _LEAK_WORDS)),
    )
    for code, rule, worth_a_look in rules:
        if not worth_a_look:
            continue
        for found in rule.finditer(text):
            if found.group().strip().casefold() not in asked:
                yield f"{code}: {text[max(0, found.start() - 20) : found.end() + 20].strip()}"
                break


def _shape(text: str, draft: Telling) -> Iterator[str]:
    ratio = len(text) / max(1, len(draft.text))
    if not SHORTEST <= ratio <= LONGEST:
        yield f"length: {ratio:.2f} of the template's text"
    paragraphs = [normal(paragraph) for paragraph in text.split("\n\n") if paragraph.strip()]
    for paragraph in dict.fromkeys(paragraphs):
        times = paragraphs.count(paragraph)
        if times > 1 and times > _times_said(paragraph, draft.told):
            yield f"repeated_paragraph: {paragraph[:80]}"


def _times_said(paragraph: str, told: Sequence[Told]) -> int:
    """How often the journey itself takes a step that the paragraph tells: that often it may recur."""
    cores = [one.core for one in told if one.core]
    return max((cores.count(core) for core in cores if core in paragraph), default=1)
