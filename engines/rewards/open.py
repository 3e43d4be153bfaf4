"""From settings to the reward model they name. Nothing heavy is imported before it starts."""

from engines.checkpoint import adapter_base, resolve
from engines.open import is_url
from engines.rewards.contract import RewardEngine, RewardSettings
from settings import UserError


def open_reward(settings: RewardSettings) -> RewardEngine:
    """The reward model, not started yet. Raises UserError for settings that cannot work."""
    if is_url(settings.model):
        from engines.rewards.served import ServedReward

        return ServedReward(settings)
    if settings.engine not in ("auto", "transformers"):
        raise UserError(
            f"reward.engine: {settings.engine} serves no reward model from here; leave it out, or start "
            "`vllm serve MODEL --runner pooling` and name its URL as reward.model"
        )
    from engines.rewards.checkpoint import layout_of
    from engines.rewards.local import LocalReward

    place = resolve(settings.model)
    adapter_base(place)
    layout_of(place, settings)
    return LocalReward(settings)
