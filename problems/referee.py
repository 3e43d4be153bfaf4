"""One face for all that programs may say about a journey: the answer in a step, evidence, the verdict, luck."""

from collections.abc import Sequence

from pydantic import Field, field_validator

from journeys.record import Evidence, Problem, Turn, Verification
from problems.answers import final_answer
from problems.checkers import CHECKERS, Scene, lucky_reasons
from problems.verifier import Verifier, same_answer
from settings import Settings


class CheckerSettings(Settings):
    """Which programs look at the steps and at the final answer."""

    checkers: tuple[str, ...] = tuple(CHECKERS)
    """Names of step checkers, in the order in which their evidence is listed."""
    verify_timeout: float = Field(3.0, gt=0)
    """Seconds of CPU time that one comparison of answers may take; past it the answer is `unparsed`."""

    @field_validator("checkers")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in CHECKERS:
                raise ValueError(f"unknown checker {name!r}; known: {', '.join(CHECKERS)}")
        return names


class Referee:
    """Holds no state of a journey: the same arguments give the same evidence."""

    def __init__(self, settings: CheckerSettings | None = None) -> None:
        self.settings = settings or CheckerSettings()
        self._checkers = [CHECKERS[name] for name in self.settings.checkers]
        self._verifier = Verifier(timeout=self.settings.verify_timeout)

    def answer_in(self, step: str) -> str | None:
        """The final answer that a step gives, if it gives one."""
        return final_answer(step)

    def check(
        self, *, question: str, path: Sequence[Turn], step: str, abandoned: Sequence[Turn]
    ) -> tuple[Evidence, ...]:
        """What the checkers find in `step`, said after the standing `path`. Never sees a reference answer."""
        scene = Scene(
            question=question,
            path=tuple(turn.step for turn in path),
            step=step,
            abandoned=tuple(turn.step for turn in abandoned),
        )
        return tuple(evidence for checker in self._checkers for evidence in checker(scene))

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
        return lucky_reasons(problem, [turn.step for turn in path], answer)

    def close(self) -> None:
        """End the verifier's worker processes; safe to call twice."""
        self._verifier.close()
