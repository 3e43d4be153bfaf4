"""CPU time of one turn, everything but the model: our team beside AutoGen's RoundRobinGroupChat, same fake engine.

    python benchmarks/orchestration.py                 # 512 conversations, 12 and 96 turns; a quarter of an hour
    python benchmarks/orchestration.py --without-reference

A turn is two model calls here: a step and a verdict. AutoGen's chat takes two messages for it, so its time is given
for two messages. CPU time is the process's own (user + system), taken over the whole run of all conversations.
"""

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat

from agents.critic import make_critic
from agents.persona import load_critic, load_policy
from agents.policy import PolicyAgent
from engines.scripted import ScriptedEngine
from journeys.draft import Budgets
from journeys.record import Problem
from problems.referee import CheckerSettings, Referee
from protocols.dialogue import Dialogue
from protocols.team import JourneyTeam, ProblemMessage

STEP = "I add the next two numbers and keep the sum in mind."
VERDICT = '{"critique": "", "quote": "", "move": "continue", "keep": 0}'


async def ours(conversations: int, turns: int, *, checkers: bool) -> None:
    writer, judge = ScriptedEngine(STEP), ScriptedEngine(VERDICT)
    policy, critic = load_policy("stepwise"), load_critic("strict")
    # Every step is the same here, so the checker of repeated steps stays at home.
    referee = Referee(CheckerSettings(checkers=("empty_step", "false_equation", "contradiction") if checkers else ()))
    budgets = Budgets(max_turns=turns, max_tokens=10**9)

    async def one(number: int) -> None:
        team = JourneyTeam(
            protocol=Dialogue(),
            policy=PolicyAgent(policy, writer),
            critic=make_critic(critic, judge),
            referee=referee,
            budgets=budgets,
        )
        problem = Problem(id=f"p{number}", question="How much is it in all?", answer="7")
        result = await team.run(task=ProblemMessage(content=problem, source="user"))
        assert result.stop_reason == "exhausted:turns", result.stop_reason

    await asyncio.gather(*(one(number) for number in range(conversations)))
    referee.close()


async def autogen(conversations: int, turns: int) -> None:
    client = ScriptedEngine(STEP)

    async def one() -> None:
        policy = AssistantAgent("policy", client, system_message="Write the next step.")
        critic = AssistantAgent("critic", client, system_message="Judge the newest step.")
        chat = RoundRobinGroupChat([policy, critic], termination_condition=MaxMessageTermination(2 * turns + 1))
        await chat.run(task="How much is it in all?")

    await asyncio.gather(*(one() for _ in range(conversations)))


def cpu_ms_per_turn(run: Callable[[], Awaitable[None]], *, conversations: int, turns: int) -> float:
    gc.collect()
    gc.freeze()  # as `generate` does once its models are loaded; for both sides
    before = time.process_time()
    asyncio.run(run())  # type: ignore[arg-type]
    return (time.process_time() - before) * 1000 / (conversations * turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=512)
    parser.add_argument("--turns", type=int, nargs="+", default=[12, 96])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without-reference", action="store_true", help="ours alone: seconds in place of minutes")
    args = parser.parse_args()
    print(f"CPU ms a turn, {args.conversations} conversations, {args.repeats} repeats (min / median / max)")
    for turns in args.turns:
        size = {"conversations": args.conversations, "turns": turns}
        shapes: dict[str, Callable[[], Awaitable[None]]] = {
            "ours, rules only": lambda t=turns: ours(args.conversations, t, checkers=False),  # type: ignore[misc]
            "ours, with checkers": lambda t=turns: ours(args.conversations, t, checkers=True),  # type: ignore[misc]
        }
        if not args.without_reference:
            shapes["AutoGen RoundRobinGroupChat"] = lambda t=turns: autogen(args.conversations, t)  # type: ignore[misc]
        for name, run in shapes.items():
            times = [cpu_ms_per_turn(run, **size) for _ in range(args.repeats)]
            print(f"{turns:>4} turns  {name:<28} {min(times):.4f} / {statistics.median(times):.4f} / {max(times):.4f}")


if __name__ == "__main__":
    main()
