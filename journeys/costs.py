"""Who took what: the costs of a journey by speaker, each call counted once.

policy    the policy's steps
second    the second policy's steps and completions, where there is one
critic    verdicts of a critic, or of the policy as its own
reward    scores of a reward model: tokens that it read (`prompt_tokens`) and seconds; it writes none
"""

from collections.abc import Iterable, Mapping

from journeys.record import Cost, Journey, Speaker, Turn
from journeys.tree import Tree

Costs = dict[Speaker, Cost]
"""Speakers that took nothing are not in it."""


def costs_of(journey: Journey) -> Costs:
    """All of a journey: its turns, what its search tried besides, and what was lost to an engine's faults."""
    searched = _split(journey.search_cost, journey.search_second_cost, journey.search_judge_cost)
    return together(
        costs_of_turns(journey.turns, reward=journey.reward), _named(searched, journey.reward), journey.lost
    )


def costs_of_turns(turns: Iterable[Turn], *, reward: str) -> Costs:
    """What writing and judging turns took. `reward`: the reward model that judged them, if one did."""
    policy, second, judge = Cost(), Cost(), Cost()
    for turn in turns:
        policy = policy.plus(turn.policy_cost)
        second = second.plus(turn.second_cost or Cost())
        judge = judge.plus(turn.critic_cost)
    return _named((policy.minus(second), second, judge), reward)


def costs_of_tree(tree: Tree, *, reward: str) -> Costs:
    """What a search took, the steps that a journey walks included."""
    policy, second, judge = Cost(), Cost(), Cost()
    for node in tree.nodes:
        policy, judge = policy.plus(node.policy_cost), judge.plus(node.judge_cost)
    for completion in tree.completions:
        second = second.plus(completion.cost)
    return _named((policy, second, judge), reward)


def together(*several: Mapping[Speaker, Cost]) -> Costs:
    """Sums of costs, speaker by speaker."""
    total: Costs = {}
    for costs in several:
        for speaker, cost in costs.items():
            total[speaker] = total.get(speaker, Cost()).plus(cost)
    return total


def without(costs: Mapping[Speaker, Cost], part: Mapping[Speaker, Cost]) -> Costs:
    """What is left when a part is taken away."""
    return _said({speaker: cost.minus(part.get(speaker, Cost())) for speaker, cost in costs.items()})


def _split(total: Cost, second: Cost | None, judge: Cost | None) -> tuple[Cost, Cost, Cost]:
    second, judge = second or Cost(), judge or Cost()
    return total.minus(second).minus(judge), second, judge


def _named(split: tuple[Cost, Cost, Cost], reward: str) -> Costs:
    policy, second, judge = split
    return _said({"policy": policy, "second": second, "reward" if reward else "critic": judge})


def _said(costs: Costs) -> Costs:
    return {
        speaker: cost for speaker, cost in costs.items() if cost.calls or cost.prompt_tokens or cost.completion_tokens
    }
