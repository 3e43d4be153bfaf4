"""From samples.jsonl to the few numbers of each sample that every figure is made of. Texts are read and let go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evaluation.efficiency import by_operations, outcome_efficiency, process_efficiency, solutions_of, spans
from evaluation.reflection import Reflection, reflection_in
from evaluation.rewards import Key
from evaluation.samples import Sample, SampleFile
from evaluation.selectors import SCORER_BY_NAME, by_reward
from journeys.record import Problem
from problems.verifier import Verifier, same_answer


@dataclass(frozen=True, slots=True)
class Facts:
    """One sample, without its text."""

    number: int
    right: bool
    answered: bool
    cut_off: bool
    tokens: int
    prompt_tokens: int
    group: int | None
    """Which of the problem's distinct answers it gave; None where it gave none that counts."""
    scores: tuple[float | None, ...]
    """In the order of the recipe's scorers."""
    outcome_efficiency: float
    process_efficiency: float
    solutions: int
    first_right: bool | None
    """Whether the first of several stated answers was right; None where one at most was stated, or nobody can tell."""
    reflection: Reflection


@dataclass
class ProblemFacts:
    """The samples of one problem by one model, in their order."""

    problem_id: str
    family: str
    samples: list[Facts] = field(default_factory=list)

    @property
    def right(self) -> int:
        return sum(facts.right for facts in self.samples)

    @property
    def share_right(self) -> float:
        return self.right / len(self.samples)

    @property
    def share_unanswered(self) -> float:
        return sum(not facts.answered for facts in self.samples) / len(self.samples)


class FactReader:
    """Reads samples of known problems; grades again only the answers stated on the way."""

    def __init__(
        self,
        problems: Mapping[str, Problem],
        verifier: Verifier,
        *,
        scorers: Sequence[str],
        rewards: Mapping[Key, float] = {},
    ) -> None:
        self._problems = problems
        self._verifier = verifier
        self._scorers = [by_reward(rewards) if name == "reward" else SCORER_BY_NAME[name] for name in scorers]
        self._grades: dict[tuple[str, str], bool | None] = {}
        self._answers: dict[str, list[str]] = {}
        """For each problem the distinct answers met so far: the first of each group."""
        self._groups: dict[tuple[str, str], int] = {}

    async def read(self, file: SampleFile, labels: Sequence[str], *, samples: int) -> dict[str, list[ProblemFacts]]:
        """The facts of each of `labels`, problems in their own order, the first `samples` samples of each."""
        found = {
            label: {problem.id: ProblemFacts(problem.id, problem.family) for problem in self._problems.values()}
            for label in labels
        }
        seen: set[tuple[str, str, int]] = set()
        for sample in file:
            key = (sample.model, sample.problem_id, sample.sample)
            if sample.model not in found or sample.problem_id not in self._problems or sample.sample >= samples:
                continue
            if key in seen:
                continue
            seen.add(key)
            found[sample.model][sample.problem_id].samples.append(await self._facts(sample))
        for problems in found.values():
            for problem in problems.values():
                problem.samples.sort(key=lambda facts: facts.number)
        return {label: list(problems.values()) for label, problems in found.items()}

    async def _facts(self, sample: Sample) -> Facts:
        problem = self._problems[sample.problem_id]
        right = sample.status == "right"
        solutions = solutions_of(sample.text)
        # The last stated answer is the one that was graded; the others are graded here.
        earlier = [await self._is_right(problem, solution.answer) for solution in solutions[:-1]]
        lengths, total = spans(solutions), max(1, len(sample.text))
        return Facts(
            number=sample.sample,
            right=right,
            answered=sample.status != "unparsed",
            cut_off=sample.finish == "length",
            tokens=sample.tokens,
            prompt_tokens=sample.prompt_tokens,
            group=await self._group(problem, sample),
            scores=tuple(scorer(sample) for scorer in self._scorers),
            outcome_efficiency=outcome_efficiency(lengths, [*(grade is True for grade in earlier), right], total),
            process_efficiency=process_efficiency(lengths, by_operations([one.text for one in solutions]), total),
            solutions=len(solutions),
            first_right=earlier[0] if earlier else None,
            reflection=reflection_in(sample.text),
        )

    async def _is_right(self, problem: Problem, answer: str) -> bool | None:
        key = (problem.id, answer)
        if key not in self._grades:
            status = (await self._verifier.verify(problem, answer)).status
            self._grades[key] = None if status == "unparsed" else status == "right"
        return self._grades[key]

    async def _group(self, problem: Problem, sample: Sample) -> int | None:
        """The group of equal answers; the first answer of a group stands for it."""
        if sample.answer is None or sample.status == "unparsed":
            return None
        key = (problem.id, sample.answer)
        if key not in self._groups:
            known = self._answers.setdefault(problem.id, [])
            for number, other in enumerate(known):
                if await same_answer(problem, other, sample.answer, self._verifier):
                    self._groups[key] = number
                    break
            else:
                known.append(sample.answer)
                self._groups[key] = len(known) - 1
        return self._groups[key]
