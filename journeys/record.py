"""Frozen values: a problem, a step with its verdict, and the tree of turns that one attempt grew.

A journey is a tree in a list. Every turn names its parent; backtracking moves the head and deletes nothing, so an
abandoned branch is still there to become a reflection, a rejected completion or a step label (design section 3).
"""

import hashlib
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Record(BaseModel):
    """A pure value: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Problem(Record):
    """A question with a checkable answer."""

    id: str
    question: str
    answer: str | None = None
    """The reference. Only the verifier may read it; no prompt is ever built from it."""
    family: str = "unnamed"
    """Where it belongs in a report: a reasoning-gym task, a subject, a file's name."""
    verifier: Literal["math", "choice", "text", "reasoning_gym"] = "math"
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    """What the verifier needs besides the answer (a reasoning-gym entry), and what the source said."""


class Move(StrEnum):
    """What a critic may do with a step (O1 Journey's closed set, methods 1.2)."""

    CONTINUE = "continue"
    BACKTRACK = "backtrack"
    REFLECT = "reflect"
    TERMINATE = "terminate"


class Verdict(Record):
    """The critic's move on the newest step, and why."""

    move: Move
    critique: str = ""
    quote: str = ""
    """The faulty span, verbatim from the judged step; empty when nothing is at fault."""
    keep: int = 0
    """Backtrack only: how many visible steps stay, counted from the first; 0 starts afresh."""


class Evidence(Record):
    """What a checker found about a step."""

    kind: str
    """`false_equation`, `repeated_step`, `contradiction`, `empty_step`, `refused_answer`, ..."""
    quote: str = ""
    detail: str = ""
    """One sentence for a reader; never holds a value that the policy has not written."""
    fatal: bool = True
    """Whether the step cannot stand; otherwise it is a remark."""


Ruling = Literal[
    "repaired",  # the critic's first output was broken, the second was not
    "parse_failure",  # both were broken: neutral continue
    "quote_not_found",  # the quoted error is not in the judged step: backtrack demoted to reflect
    "false_critique",  # the critique calculates wrongly itself: unsaid, and no reason to go back or to reflect
    "no_answer_yet",  # terminate without an answer on the step: continue
    "answer_ends",  # continue on a step that answers: terminate
    "evidence_overrules",  # a checker found the step false: backtrack
    "no_evidence",  # the persona trusts checkers and they found nothing: backtrack demoted to reflect
    "keep_clamped",  # the critic wanted to keep the step it rejects, or more steps than there are, or, where another
    # step for the same place is told behind it, fewer
    "reflect_budget",  # one reflection too many in a row: continue
    "refused_answer",  # the verifier said no and a retry was left: backtrack from the answer
    "forced_reflection",  # the recipe's line was put after a finished thought, whatever the judge said: reflect
]
"""Why the verdict that took effect differs from the one that was said."""

FinishReason = Literal["stop", "length", "function_calls", "content_filter", "unknown"]


class Cost(Record):
    """What one model call took; `cached_tokens` and `seconds` depend on the machine, the others do not."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0
    calls: int = 0

    def plus(self, other: "Cost") -> "Cost":
        """Both calls' costs as one."""
        return Cost(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            seconds=self.seconds + other.seconds,
            calls=self.calls + other.calls,
        )

    def minus(self, other: "Cost") -> "Cost":
        """What is left when `other`, a part of this, is taken away."""
        return Cost(
            prompt_tokens=self.prompt_tokens - other.prompt_tokens,
            completion_tokens=self.completion_tokens - other.completion_tokens,
            cached_tokens=self.cached_tokens - other.cached_tokens,
            seconds=max(0.0, self.seconds - other.seconds),
            calls=self.calls - other.calls,
        )


Speaker = Literal["policy", "second", "critic", "reward"]
"""Whose calls cost something; see journeys/costs.py."""
Author = Literal["policy", "second", "both"]
"""Who wrote a step; `both` where two policies wrote the same."""


class Rival(Record):
    """A step that was written for the same place as a turn's and is no turn of its own.

    What it took is counted in the costs of the turn that it stands beside.
    """

    step: str
    by: Author
    verdict: Verdict
    """What was thought of it. It moved nothing: `backtrack` says that it was held to be wrong."""
    evidence: tuple[Evidence, ...] = ()
    answer: str | None = None
    finish: FinishReason = "stop"
    confidence: float | None = None


class Turn(Record):
    """One step with the verdict it met."""

    id: int
    """Its place in the journey's list of turns, from 0, in the order of time."""
    parent: int | None
    """The turn it continues; None at the root."""
    step: str
    verdict: Verdict
    """The verdict that took effect."""
    said: Verdict | None = None
    """The verdict as the critic gave it, where a rule changed it; `rulings` says which."""
    rulings: tuple[Ruling, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    replies_to: int | None = None
    """The turn whose critique this step answers (after a backtrack or a reflect)."""
    answer: str | None = None
    """The final answer written in this step, if any."""
    finish: FinishReason = "stop"
    confidence: float | None = None
    """Mean token confidence of the step, where the engine gives log-probabilities (Marco-o1 v1, methods 5)."""
    by: Author = "policy"
    rival: Rival | None = None
    """What else was written here, where two policies debate and only one step goes on."""
    policy_cost: Cost = Cost()
    second_cost: Cost | None = None
    """Of `policy_cost`, what the second policy took; None where it was not asked."""
    critic_cost: Cost = Cost()

    @property
    def removes(self) -> bool:
        return self.verdict.move is Move.BACKTRACK


StopReason = Literal[
    "solved",
    "wrong",
    "unparsed",
    "exhausted:turns",
    "exhausted:tokens",
    "exhausted:backtracks",
    "exhausted:seconds",
    "engine_error",
]
Outcome = Literal["solved", "wrong", "unparsed", "exhausted", "engine_error"]


class Verification(Record):
    """The verifier's word on a final answer. `unparsed` is not `wrong`."""

    status: Literal["right", "wrong", "unparsed"]
    given: str
    """The final answer span that was graded."""
    method: str
    """`math-verify`, `choice`, `text`, or `reasoning-gym:<task>`."""
    detail: str = ""


class Voice(Record):
    """Who spoke: the persona and the model behind it."""

    persona: str
    model: str


class Journey(Record):
    """Every turn of one attempt at one problem, wrong branches included, and how it ended."""

    schema_version: Literal[1] = 1
    id: str
    problem: Problem
    attempt: int = 0
    seed: int = 0
    protocol: str
    policy: Voice
    critic: Voice | None = None
    second: Voice | None = None
    """The other policy, where the protocol has two."""
    reward: str = ""
    """The reward model that scored its steps, if one did; what judges cost is then its cost."""
    turns: tuple[Turn, ...]
    stop_reason: StopReason
    verification: Verification | None = None
    lucky: tuple[str, ...] = ()
    """Why a right answer does not follow from the path; empty when it does."""
    error: str = ""
    """What the engine said when `stop_reason` is `engine_error`."""
    search_cost: Cost = Cost()
    """Of steps that a search tried and the journey does not hold; see journeys/tree.py."""
    search_second_cost: Cost | None = None
    """Of `search_cost`, what the second policy took."""
    search_judge_cost: Cost | None = None
    """Of `search_cost`, what judging took."""
    lost: dict[Speaker, Cost] = Field(default_factory=dict)
    """Of replies that stand nowhere, because an engine gave out before they became a turn or a tree."""

    @property
    def outcome(self) -> Outcome:
        return "exhausted" if self.stop_reason.startswith("exhausted") else self.stop_reason  # type: ignore[return-value]

    @property
    def solved(self) -> bool:
        return self.stop_reason == "solved"

    @property
    def hinted(self) -> bool:
        """Whether the policy was once told that an answer does not hold (oracle separation, design section 3)."""
        return any("refused_answer" in turn.rulings for turn in self.turns)

    @property
    def forced(self) -> bool:
        """Whether a line of the recipe, and no judge, once made the policy look again (`policy.reflection`)."""
        return any("forced_reflection" in turn.rulings for turn in self.turns)

    @property
    def path(self) -> tuple[Turn, ...]:
        """Root-to-head turns still standing: the journey's shortcut."""
        return standing(self.turns)

    @property
    def answer(self) -> str | None:
        path = self.path
        return path[-1].answer if path else None

    def count(self, move: Move) -> int:
        return sum(turn.verdict.move is move for turn in self.turns)

    @property
    def completion_tokens(self) -> int:
        walked = sum(t.policy_cost.completion_tokens + t.critic_cost.completion_tokens for t in self.turns)
        lost = sum(cost.completion_tokens for cost in self.lost.values())
        return walked + self.search_cost.completion_tokens + lost

    def canonical(self) -> str:
        """JSON without what depends on the machine: equal for equal seeds, config and engine outputs."""
        machine = {"seconds", "cached_tokens"}
        costs: dict[str, Any] = dict.fromkeys(("policy_cost", "second_cost", "critic_cost"), machine)
        searched = dict.fromkeys(("search_cost", "search_second_cost", "search_judge_cost"), machine)
        # Faults are the machine's too: a journey that was taken up behind one is the one that had none.
        return self.model_dump_json(exclude={"turns": {"__all__": costs}, "lost": True, **searched})

    def digest(self) -> str:
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def standing(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The path after the last of `turns`: backtracks cut it, everything else extends it."""
    path: list[Turn] = []
    for turn in turns:
        path.append(turn)
        if turn.removes:
            del path[turn.verdict.keep :]
    return tuple(path)


def removals(turns: Sequence[Turn]) -> Iterator[tuple[Turn, tuple[Turn, ...]]]:
    """Each backtracking turn with the turns that its verdict removed from the path, itself among them."""
    path: list[Turn] = []
    for turn in turns:
        path.append(turn)
        if turn.removes:
            yield turn, tuple(path[turn.verdict.keep :])
            del path[turn.verdict.keep :]


def seed_for(*parts: object) -> int:
    """A 31-bit seed that depends on nothing but its parts: (run seed, journey, turn, role)."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big") >> 1
