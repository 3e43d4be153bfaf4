"""One face for all that programs may say about a journey: the answer in a step, evidence, the verdict, luck."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from pydantic import Field, field_validator

from journeys.code import printed, words_in
from journeys.record import Evidence, Problem, Turn, Verification
from problems.answers import final_answer
from problems.checkers import CHECKERS, Scene, lucky_reasons
from problems.programs import run_step
from problems.verifier import Verifier, same_answer
from sandbox import Sandbox, SandboxSettings
from settings import Settings


class CheckerSettings(Settings):
    """Which programs look at the steps and at the final answer."""

    checkers: tuple[str, ...] = tuple(CHECKERS)
    """Names of step checkers, in the order in which their evidence is listed."""
    code: bool = False
    """Run the Python that steps carry, all that stands and the new step's; one that fails goes back (docs/code.md)."""
    sandbox: SandboxSettings = SandboxSettings()
    """Where `code` runs, and what it may use."""
    verify_timeout: float = Field(3.0, gt=0)
    """Seconds of CPU time that one comparison of answers may take; past it the answer is `unparsed`."""

    def binding(self) -> dict[str, Any]:
        """The keys on which evidence depends; how many sandboxes stand ready is this machine's affair."""
        if not self.code:  # as in the runs of releases that had no such keys
            return self.model_dump(mode="json", exclude={"code", "sandbox"})
        return self.model_dump(mode="json", exclude={"sandbox": {"workers", "runs_per_worker"}})

    @field_validator("checkers")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in CHECKERS:
                raise ValueError(f"unknown checker {name!r}; known: {', '.join(CHECKERS)}")
        return names


class Referee:
    """Holds no state of a journey: the same arguments give the same evidence.

    Use as `async with` where steps may carry code: the sandbox is open as long as that.
    """

    def __init__(self, settings: CheckerSettings | None = None) -> None:
        self.settings = settings or CheckerSettings()
        self._checkers = [CHECKERS[name] for name in self.settings.checkers]
        self._verifier = Verifier(timeout=self.settings.verify_timeout)
        self._sandbox: Sandbox | None = None

    async def __aenter__(self) -> Self:
        """Raises UserError where steps may carry code and code cannot be isolated here."""
        if self.settings.code:
            self._sandbox = await Sandbox(self.settings.sandbox).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._sandbox is not None:
            await self._sandbox.close()

    def answer_in(self, step: str) -> str | None:
        """The final answer that a step gives, if it gives one."""
        return final_answer(words_in(step))

    async def check(
        self, *, question: str, path: Sequence[Turn], step: str, abandoned: Sequence[Turn]
    ) -> tuple[Evidence, ...]:
        """What the checkers find in `step`, said after the standing `path`. Never sees a reference answer."""
        scene = Scene(
            question=question,
            path=tuple(turn.step for turn in _since_reflection(path)),
            step=step,
            abandoned=tuple(turn.step for turn in abandoned),
        )
        found = tuple(evidence for checker in self._checkers for evidence in checker(scene))
        if not self.settings.code or "```" not in step:
            return found
        if self._sandbox is None:
            raise RuntimeError("checkers.code needs an open referee: async with Referee(...)")
        return (*found, *await run_step(self._sandbox, path=path, step=step))

    async def verify(self, problem: Problem, answer: str | None) -> Verification:
        """Whether a final answer is right; the only method that reads the reference."""
        return await self._verifier.verify(problem, answer)

    async def same(self, problem: Problem, first: str, second: str) -> bool:
        """Whether two answers to a problem are the same; which of them is right has no part in it."""
        return await same_answer(problem, first, second, self._verifier)

    async def warm(self) -> None:
        """Start what the first hard answer will need."""
        await self._verifier.warm()

    def lucky(self, problem: Problem, path: Sequence[Turn], answer: str) -> tuple[str, ...]:
        """Why a right answer does not follow from the path; empty when it does."""
        output = "\n".join(printed(turn.evidence) for turn in path)
        return lucky_reasons(problem, [turn.step for turn in path], answer, printed=output)

    def close(self) -> None:
        """End the verifier's worker processes; safe to call twice."""
        self._verifier.close()


def _since_reflection(path: Sequence[Turn]) -> Sequence[Turn]:
    """The steps after a forced reflection, or all: a second look may say again what the first one said."""
    last = max((place for place, turn in enumerate(path) if "forced_reflection" in turn.rulings), default=-1)
    return path[last + 1 :]
