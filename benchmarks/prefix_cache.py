"""How much of what could be read from the prefix cache is: a real dialogue beside the best that its prompts allow.

    python benchmarks/prefix_cache.py                          # vLLM in process, 64 conversations, 2 repeats
    python benchmarks/prefix_cache.py --engine transformers    # our radix cache, where a block is one token

Policy and model critic talk over reasoning-gym sums. `reported` is what the engine says it found in its cache. `best`
is what an endless cache would find: the longest prefix in whole blocks that a prompt shares with anything that was
sent or written before it, less the last token, which is always computed because its logits choose the next one. The
last column counts single tokens in place of blocks: what the block size itself costs. Both are shares of all prompt
tokens. Repeats use new problems and keep the cache. The promise is reported / best >= 0.90.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agents.critic import make_critic
from agents.persona import load_critic, load_policy
from agents.policy import PolicyAgent
from engines.contract import EngineSettings, Reply
from engines.open import open_engine
from journeys.draft import Budgets
from journeys.record import Problem
from problems.referee import CheckerSettings, Referee
from problems.sources import ProblemSettings, load_problems
from protocols.dialogue import Dialogue
from protocols.team import JourneyTeam, ProblemMessage

PROMISE = 0.90


class EndlessCache:
    """Every prefix ever seen, in whole blocks."""

    def __init__(self, block: int) -> None:
        self.block = block
        self._known: set[int] = set()

    def _prefixes(self, ids: Sequence[int]) -> list[int]:
        """One number for each whole block of `ids` and all before it."""
        chain, links = 0, []
        for end in range(self.block, len(ids) + 1, self.block):
            chain = hash((chain, *ids[end - self.block : end]))
            links.append(chain)
        return links

    def found(self, ids: Sequence[int]) -> int:
        """Tokens of `ids` that a prompt could take from here."""
        links = self._prefixes(ids[:-1])
        known = next((number for number, link in enumerate(links) if link not in self._known), len(links))
        return known * self.block

    def add(self, ids: Sequence[int]) -> None:
        self._known.update(self._prefixes(ids))


class Tally:
    """What the prompts of one repeat came to, in tokens."""

    def __init__(self) -> None:
        self.calls = self.prompt = self.reported = self.best = self.best_by_token = 0


class Watched:
    """Stands in the way of an engine's calls and looks each prompt up in the endless caches as it is sent."""

    def __init__(self, engine: Any, *, block: int) -> None:
        self.tallies: dict[str, Tally] = {}
        self._blocks, self._tokens = EndlessCache(block), EndlessCache(1)
        self._engine, self._create = engine, engine.create
        engine.create = self.create

    async def create(self, messages: Any, **options: Any) -> Reply:
        args = options["extra_create_args"]
        ids = self._engine.chat.ids(messages, continue_final_message=args.get("continue_final_message", False))
        tally = self.tallies.setdefault(str(args["request_id"]).partition("/")[0], Tally())
        tally.calls += 1
        tally.prompt += len(ids)
        tally.best += self._blocks.found(ids)
        tally.best_by_token += self._tokens.found(ids)
        self._note(ids)
        reply: Reply = await self._create(messages, **options)
        tally.reported += reply.cached_tokens
        written = self._engine.chat.tokenizer.encode(str(reply.content), add_special_tokens=False)
        self._note([*ids, *written])
        return reply

    def _note(self, ids: Sequence[int]) -> None:
        self._blocks.add(ids)
        self._tokens.add(ids)


async def talk(engine: Any, problems: Sequence[Problem], options: argparse.Namespace) -> int:
    """All conversations at once. Returns the number of turns."""
    referee = Referee(CheckerSettings())
    policy, critic = load_policy(options.policy), load_critic(options.critic)
    policy = policy.model_copy(update={"sampling": policy.sampling.model_copy(update={"max_tokens": options.tokens})})
    budgets = Budgets(max_turns=options.turns, max_backtracks=options.turns)

    async def one(problem: Problem) -> int:
        team = JourneyTeam(
            protocol=Dialogue(),
            policy=PolicyAgent(policy, engine),
            critic=make_critic(critic, engine),
            referee=referee,
            budgets=budgets,
            trust=critic.trust,
        )
        await team.run(task=ProblemMessage(content=problem, source="user"))
        assert team.journey is not None
        return len(team.journey.turns)

    turns = await asyncio.gather(*map(one, problems))
    referee.close()
    return sum(turns)


def show(repeat: int, name: str, tally: Tally) -> None:
    shares = (tally.reported / tally.prompt, tally.best / tally.prompt, tally.best_by_token / tally.prompt)
    cells = "".join(f"{share:12.1%}" for share in shares)
    print(f"{repeat:6}  {name:12}{tally.calls:7}{tally.prompt:11,}{cells}{tally.reported / max(tally.best, 1):15.3f}")


def together(tallies: Sequence[Tally]) -> Tally:
    whole = Tally()
    for tally in tallies:
        for key, value in vars(tally).items():
            setattr(whole, key, getattr(whole, key) + value)
    return whole


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("vllm", "transformers"), default="vllm")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--conversations", type=int, default=64)
    parser.add_argument("--turns", type=int, default=8, help="most turns of a conversation")
    parser.add_argument("--tokens", type=int, default=64, help="most tokens of a step")
    parser.add_argument("--policy", default="stepwise", help="persona")
    parser.add_argument("--critic", default="strict", help="persona")
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()

    engine: Any = open_engine(
        EngineSettings(engine=options.engine, model=options.model, max_batch=options.conversations, max_model_len=4096)
    )
    began = time.perf_counter()
    await engine.start()
    block = engine.engine.vllm_config.cache_config.block_size if options.engine == "vllm" else 1
    print(
        f"engine {options.engine}, {options.model}, blocks of {block}, started in {time.perf_counter() - began:.0f} s"
    )
    print(
        f"{options.conversations} conversations of at most {options.turns} turns, {options.policy} + {options.critic}"
    )
    header = f"{'calls':>7}{'tokens':>11}{'reported':>12}{'best':>12}{'by token':>12}{'reported/best':>15}"
    print(f"repeat  persona     {header}", flush=True)
    watched = Watched(engine, block=block)
    problems = load_problems(ProblemSettings(), count=options.conversations * options.repeats, seed=0)
    ratios = []
    for repeat in range(options.repeats):
        began = time.perf_counter()
        watched.tallies.clear()
        mine = problems[repeat * options.conversations : (repeat + 1) * options.conversations]
        turns = await talk(engine, mine, options)
        for name, tally in watched.tallies.items():
            show(repeat, name, tally)
        whole = together(list(watched.tallies.values()))
        show(repeat, "both", whole)
        ratios.append(whole.reported / max(whole.best, 1))
        print(f"        {turns} turns in {time.perf_counter() - began:.0f} s", flush=True)
    await engine.close()
    print(f"reported / best, least of {options.repeats}: {min(ratios):.3f} (promise: {PROMISE})")
    return int(min(ratios) < PROMISE)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
