"""What a run would say first and what it may cost, known before anything is loaded (`--dry-run`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autogen_core.models import LLMMessage

from agents.critic import ModelCritic, SelfCritic
from agents.policy import PolicyAgent
from agents.roles import CriticView, PolicyView
from generation.cast import Company
from generation.settings import GenerateSettings
from journeys.record import Problem

TYPICAL_TURNS = 10
"""Turns of a journey in the shipped recipes (docs/benchmarks.md); a guess for any other."""
TYPICAL_STEP_TOKENS = 30
TYPICAL_VERDICT_TOKENS = 60
SPEEDS = {"transformers": (100, 600), "vllm": (400, 5000), "vllm-server": (400, 5000), "openai": (100, 5000)}
"""Generated tokens/s, from two CPU cores to one large GPU."""


@dataclass(frozen=True)
class Estimate:
    """Ranges (low, high): a typical journey, and one that spends its budgets."""

    calls: tuple[int, int]
    prompt_tokens: tuple[int, int]
    completion_tokens: tuple[int, int]
    seconds: tuple[float, float]


def first_prompts(company: Company, problem: Problem) -> Iterator[tuple[str, Sequence[LLMMessage]]]:
    """(role, messages) of the first call of each role that speaks through a model."""
    policy = PolicyAgent(company.policy, company.policy_client)
    view = PolicyView(journey_id=f"{problem.id}#0", question=problem.question, path=(), turns=(), seed=0)
    if "policy" in company.settings.protocol.roles:
        yield "policy", policy.prompt.messages(view)
    if company.second is not None and company.second_engine is not None:
        yield "second", PolicyAgent(company.second, company.second_engine, name="second").prompt.messages(view)
    if company.critic is None or company.critic.kind != "model":
        return
    critic = (
        SelfCritic(company.critic, company.policy_engine, policy.prompt)
        if "self_critic" in company.settings.protocol.roles
        else ModelCritic(company.critic, company.policy_engine)
    )
    judged = CriticView(
        journey_id=view.journey_id,
        question=problem.question,
        path=(),
        turns=(),
        step="(the policy's first step)",
        evidence=(),
        answer=None,
        seed=0,
    )
    yield "critic", critic.messages(judged)


def estimate(settings: GenerateSettings, company: Company, problem: Problem, *, journeys: int) -> Estimate:
    """Calls, tokens and time. Prompt tokens are counted before prefix caching, 4 characters a token."""
    roles = {role: prompt for role, prompt in first_prompts(company, problem) if role != "second"}  # in `tries`
    budgets = settings.budgets
    # A search writes several steps for each that the journey will hold.
    tries = getattr(settings.protocol, "steps_a_turn", 1)
    low, high = min(TYPICAL_TURNS, budgets.max_turns) * tries, budgets.max_turns * tries
    step_tokens = (min(TYPICAL_STEP_TOKENS, company.policy.sampling.max_tokens), company.policy.sampling.max_tokens)
    verdict_tokens = (0, 0)
    if "critic" in roles and company.critic is not None:
        longest = company.critic.sampling.max_tokens
        verdict_tokens = (min(TYPICAL_VERDICT_TOKENS, longest), longest)
    head = sum(len(str(message.content)) // 4 for messages in roles.values() for message in messages)
    completion = (
        journeys * low * (step_tokens[0] + verdict_tokens[0]),
        journeys * min(high * (step_tokens[1] + verdict_tokens[1]), budgets.max_tokens),
    )
    prompt = (
        journeys * low * (head + low * step_tokens[0] * len(roles) // 2),
        journeys * high * (head + high * step_tokens[1] * len(roles) // 2),
    )
    slow, fast = SPEEDS.get(settings.policy.engine, SPEEDS["transformers"])
    return Estimate(
        calls=(journeys * low * len(roles), journeys * high * len(roles)),
        prompt_tokens=prompt,
        completion_tokens=completion,
        seconds=(completion[0] / fast, completion[1] / slow),
    )
