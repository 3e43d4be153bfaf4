"""The sampling pass: every missing sample of one model, many at once, graded while the next are drawn."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from autogen_core.models import ChatCompletionTokenLogprob, CreateResult, LLMMessage

from agents.calls import call, request_args, text_of
from engines.contract import Engine, Sampling
from engines.errors import EngineDead, EngineError, PromptTooLong
from evaluation.asking import Candidate
from evaluation.samples import Sample, SampleFile
from evaluation.settings import EvaluateSettings
from journeys.record import Cost, Problem, seed_for
from problems.verifier import Verifier
from settings import UserError

WAITING_PER_ROW = 2
"""Requests in flight for each that the engine decodes at a time, so that a finished one is replaced at once."""
UNGRADED = 256
"""Replies that may wait for their grade before drawing waits too: texts must not pile up in memory."""
LOST_IN_A_ROW = 8
"""Samples lost to engine errors, one after the other, after which no more are begun."""


class Watcher(Protocol):
    """Told of every sample; the progress view is one."""

    def sample(self, sample: Sample) -> None: ...


@dataclass
class Ending:
    """How a pass ended."""

    lost: int = 0
    """Samples that the engine did not give; the same command tries them again."""
    last_error: str = ""
    fault: bool = False
    """Whether the engine gave out, so that no more samples were begun."""


class Sampler:
    """Draws one model's samples. The engine is started and closed by the caller.

    A sample's seed depends on the problem and the sample's number alone: neither order nor resumption matters, and two
    models are drawn with the same luck.
    """

    def __init__(
        self,
        candidate: Candidate,
        engine: Engine,
        settings: EvaluateSettings,
        *,
        file: SampleFile,
        verifier: Verifier,
        watcher: Watcher,
    ) -> None:
        self.candidate = candidate
        self.engine = engine
        self.settings = settings
        self.file = file
        self.verifier = verifier
        self.watcher = watcher
        self.ending = Ending()
        self._lost_in_a_row = 0
        self._ungraded = asyncio.Semaphore(UNGRADED)

    async def run(self, problems: Sequence[Problem]) -> Ending:
        """Draw and grade every sample that the file does not hold. Cancelling loses only what is in flight.

        Raises:
            UserError: a problem that does not fit the model's window, or a full disk.
        """
        work = self._missing(problems)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WAITING_PER_ROW * self.candidate.engine.max_batch):
                    group.create_task(self._draw_from(work, group))
        except BaseExceptionGroup as several:  # what ends one task ends them all: the first says why
            raise several.exceptions[0] from None
        return self.ending

    def _missing(self, problems: Sequence[Problem]) -> Iterator[tuple[Problem, int]]:
        """Samples of one problem side by side: they share their whole prompt, and the engine's cache of it."""
        for problem in problems:
            for number in range(self.settings.samples):
                if not self.file.has(self.candidate.label, problem.id, number):
                    yield problem, number

    async def _draw_from(self, work: Iterator[tuple[Problem, int]], group: asyncio.TaskGroup) -> None:
        for problem, number in work:
            try:
                reply, cost = await self._draw(problem, number)
            except EngineError as error:
                self._lose(error)
            else:
                self._lost_in_a_row = 0
                await self._ungraded.acquire()
                group.create_task(self._keep(problem, number, reply, cost))
            if self.ending.fault:
                return
            await asyncio.sleep(0)  # an engine that answers at once would leave grading and signals waiting

    async def _draw(self, problem: Problem, number: int) -> tuple[CreateResult, Cost]:
        messages = self.candidate.messages(problem.question)
        try:
            return await self._ask(problem, number, messages, self.settings.sampling)
        except PromptTooLong:
            # Room for fewer tokens than asked for is an outcome (finish: length), no room at all a mistake to mend.
            room = self.engine.remaining_tokens(messages)
            if not 1 <= room < self.settings.sampling.max_tokens:
                raise UserError(
                    f"problem {problem.id}: its prompt does not fit the window of {self.candidate.label}; "
                    "raise engine.max_model_len or lower problems.max_question_chars"
                ) from None
            shorter = self.settings.sampling.model_copy(update={"max_tokens": room})
            return await self._ask(problem, number, messages, shorter)

    async def _ask(
        self, problem: Problem, number: int, messages: Sequence[LLMMessage], sampling: Sampling
    ) -> tuple[CreateResult, Cost]:
        more = {"logprobs": True} if self.settings.wants_logprobs else {}
        request_id = f"{self.candidate.persona.name}/{problem.id}#{number}/0/0"
        args = request_args(sampling, seed=self._seed(problem, number), request_id=request_id, **more)
        return await call(self.engine, messages, args)

    async def _keep(self, problem: Problem, number: int, reply: CreateResult, cost: Cost) -> None:
        try:
            text = _with_thought(reply)
            cut_off = reply.finish_reason == "length"
            answer = self.candidate.answer_in(text, cut_off=cut_off)
            verification = await self.verifier.verify(problem, answer)
            sample = Sample(
                model=self.candidate.label,
                problem_id=problem.id,
                family=problem.family,
                question=problem.question,
                sample=number,
                text=text,
                finish="length" if cut_off else "stop",
                status=verification.status,
                answer=answer,
                tokens=cost.completion_tokens,
                prompt_tokens=cost.prompt_tokens,
                mean_logprob=mean_logprob(reply.logprobs),
                seconds=round(cost.seconds, 3),
                seed=self._seed(problem, number),
            )
            self.file.add(sample)
            self.watcher.sample(sample)
        finally:
            self._ungraded.release()

    def _lose(self, error: EngineError) -> None:
        self._lost_in_a_row += 1
        self.ending.lost += 1
        self.ending.last_error = f"{type(error).__name__}: {error}"
        if isinstance(error, EngineDead) or self._lost_in_a_row >= LOST_IN_A_ROW:
            self.ending.fault = True

    def _seed(self, problem: Problem, number: int) -> int:
        return seed_for(self.settings.seed, problem.id, number)


def _with_thought(reply: CreateResult) -> str:
    """Everything the model wrote; a server that hands the thought over by itself left its tags out."""
    if not reply.thought:
        return text_of(reply)
    thought, text = reply.thought.encode("utf-8", "replace").decode("utf-8"), text_of(reply)
    return f"<think>\n{thought.strip()}" + (f"\n</think>\n\n{text}" if text or reply.finish_reason == "stop" else "")


def mean_logprob(tokens: Sequence[ChatCompletionTokenLogprob] | None) -> float | None:
    """The mean log-probability of a token; None where the engine told none."""
    return sum(token.logprob for token in tokens) / len(tokens) if tokens else None
