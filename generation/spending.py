"""What a run's journeys took: tokens and seconds, by speaker, and which of them no journey shows."""

from typing import Any, get_args

from journeys.costs import Costs, costs_of, together
from journeys.record import Cost, Journey, Speaker


class Spending:
    """Sums over the journeys it is told of."""

    def __init__(self) -> None:
        self._costs: Costs = {}
        self._search = Cost()
        self._lost = Cost()

    def add(self, journey: Journey) -> None:
        self._costs = together(self._costs, costs_of(journey))
        scored = journey.search_judge_cost if journey.reward else None
        self._search = self._search.plus(journey.search_cost.minus(scored or Cost()))
        self._lost = _written(journey.lost, self._lost)

    @property
    def completion(self) -> int:
        """Tokens written, by whomever."""
        return _written(self._costs).completion_tokens

    def told(self) -> dict[str, Any]:
        """The keys of summary.json.

        `tokens` are those of models that write: in all; by speaker; and of these, in steps that a search tried and no
        journey walked (`search`), and in replies that an engine's fault left without a place (`lost`). What a reward
        model read stands apart, for it writes nothing. Seconds are in model calls, of journeys that ran side by side.
        """
        total, reward = _written(self._costs), self._costs.get("reward", Cost())
        speakers: tuple[Speaker, ...] = get_args(Speaker)
        writers: dict[str, Cost] = {one: self._costs.get(one, Cost()) for one in speakers if one != "reward"}
        shares: dict[str, Cost] = {**writers, "search": self._search, "lost": self._lost}
        return {
            "tokens": {
                "prompt": total.prompt_tokens,
                "completion": total.completion_tokens,
                "cached": total.cached_tokens,
                **{f"{name}_prompt": cost.prompt_tokens for name, cost in shares.items()},
                **{f"{name}_completion": cost.completion_tokens for name, cost in shares.items()},
            },
            "reward_model": {
                "calls": reward.calls,
                "tokens_read": reward.prompt_tokens,
                "seconds": round(reward.seconds, 1),
            },
            "model_seconds": {speaker: round(cost.seconds, 1) for speaker, cost in writers.items()},
        }


def _written(costs: Costs, since: Cost = Cost()) -> Cost:  # noqa: B008  (frozen)
    """All but a reward model's, added to what there was."""
    for speaker, cost in costs.items():
        if speaker != "reward":
            since = since.plus(cost)
    return since
