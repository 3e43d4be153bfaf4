"""Does an evaluation keep the engine busy? The sampling pass, graded and written down, beside the engine alone.

    python benchmarks/evaluation_speed.py
    python benchmarks/evaluation_speed.py --engine vllm --problems 256 --tokens 128 --model Qwen/Qwen2.5-1.5B-Instruct

All sides draw the same prompts with the same sampling; what is compared is tokens a second. `alone` sends every request
to our engine at once and throws the replies away; `library` is transformers' `generate`, or vLLM's own asynchronous
engine, on the same prompts. Each repeat times alone, evaluate, alone: the ratio is against the mean of the two around
it, and the two over each other show how much the machine drifts. The promise is a ratio of at least 0.95.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.saturation import raw_transformers, raw_vllm
from engines.contract import Engine
from engines.open import open_engine
from evaluation.asking import Candidate
from evaluation.samples import Sample, SampleFile
from evaluation.sampling import Sampler
from evaluation.settings import EvaluateSettings
from journeys.record import Problem
from problems.sources import load_problems
from problems.verifier import Verifier


class Counting:
    """A watcher that adds up tokens."""

    def __init__(self) -> None:
        self.tokens = 0

    def sample(self, sample: Sample) -> None:
        self.tokens += sample.tokens


async def evaluating(
    candidate: Candidate, engine: Engine, problems: Sequence[Problem], settings: EvaluateSettings
) -> float:
    """Tokens a second of a sampling pass: prompts made, answers graded, samples on disk."""
    verifier, counting = Verifier(), Counting()
    with tempfile.TemporaryDirectory() as folder:
        file = SampleFile(Path(folder) / "samples.jsonl")
        file.open()
        began = time.perf_counter()
        sampler = Sampler(candidate, engine, settings, file=file, verifier=verifier, watcher=counting)
        ending = await sampler.run(problems)
        seconds = time.perf_counter() - began
    verifier.close()
    if ending.lost:
        raise RuntimeError(ending.last_error)
    return counting.tokens / seconds


async def alone(candidate: Candidate, engine: Engine, problems: Sequence[Problem], settings: EvaluateSettings) -> float:
    """Tokens a second of the same requests, all sent at once, the replies thrown away."""
    sampling = settings.sampling
    prompts = [candidate.messages(problem.question) for problem in problems]
    began = time.perf_counter()
    options = {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
    replies = await asyncio.gather(
        *(engine.create(prompt, extra_create_args=options | {"seed": seed}) for seed, prompt in enumerate(prompts))
    )
    return sum(reply.usage.completion_tokens for reply in replies) / (time.perf_counter() - began)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("transformers", "vllm"), default="transformers")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--problems", type=int, default=96)
    parser.add_argument("--batch", type=int, default=32, help="rows the engine decodes together")
    parser.add_argument("--tokens", type=int, default=48, help="tokens each may generate")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    settings = EvaluateSettings.model_validate(
        {
            "models": [options.model],
            "engine": {"engine": options.engine, "max_batch": options.batch, "max_model_len": 2048},
            "num_problems": options.problems,
            "sampling": {"temperature": 0.7, "top_p": 0.95, "max_tokens": options.tokens},
        }
    )
    candidate = Candidate.of(settings.models[0], settings)
    problems = load_problems(settings.problems, count=options.problems, seed=0)
    engine = open_engine(candidate.engine)
    await engine.start()
    # Each side once first: whoever came first would otherwise fill the prefix cache for the other.
    await alone(candidate, engine, problems, settings)
    await evaluating(candidate, engine, problems, settings)
    ours, around, library = [], [], []
    raw = raw_transformers if options.engine == "transformers" else raw_vllm
    prompts = [candidate.messages(problem.question) for problem in problems]
    for _ in range(options.repeats):
        before = await alone(candidate, engine, problems, settings)
        ours.append(await evaluating(candidate, engine, problems, settings))
        around.append((before, await alone(candidate, engine, problems, settings)))
        library.append(await raw(engine, prompts, options.tokens))
    await engine.close()
    print(f"{options.problems} problems x {options.tokens} tokens, {options.model}, {options.repeats} repeats")
    print(f"{'':20}{'min':>9}{'median':>9}{'max':>9}")
    for name, values in (
        ("evaluate, tokens/s", ours),
        ("alone, tokens/s", [speed for pair in around for speed in pair]),
        ("library, tokens/s", library),
        ("evaluate / alone", [2 * mine / (a + b) for mine, (a, b) in zip(ours, around, strict=True)]),
        ("alone / alone", [b / a for a, b in around]),
        ("evaluate / library", [mine / theirs for mine, theirs in zip(ours, library, strict=True)]),
    ):
        print(f"{name:20}{min(values):9.2f}{statistics.median(values):9.2f}{max(values):9.2f}")


if __name__ == "__main__":
    asyncio.run(main())
