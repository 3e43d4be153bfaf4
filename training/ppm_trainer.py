"""TRL's RewardTrainer on weighted pairs that are ids already. Imports torch; import it where it is used."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import logsigmoid
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import DataCollatorForPreference, RewardTrainer

from training.batches import WIDTH
from training.ppm_settings import PPMSettings
from training.reward_pairs import EncodedRewards
from training.sharded import Sharded


class WeightedCollator(DataCollatorForPreference):
    """Keeps the weights of the pairs."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super().torch_call(examples)
        return batch | {"weight": torch.tensor([example["weight"] for example in examples], dtype=torch.float)}


class PairRanker(Sharded, RewardTrainer):
    """Learns to score the chosen side of each pair higher, by the pair's weight.

    Args:
        center: weight of the squared sum of both scores.
    """

    def __init__(self, *, center: float, **options: Any) -> None:
        self.center = center
        super().__init__(**options)

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["chosen_ids", "rejected_ids", "weight"]  # type: ignore[assignment]

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Left out: training/card.py writes the model's."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's own figures and counts, and in place of its loss one that knows weights.

        The mean over the batch is kept as it is, not divided by the weights' sum: a light pair shall pull less also
        where it is alone in its batch.
        """
        weight = inputs.pop("weight")
        counted: Any = super().compute_loss
        _, outputs = counted(model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch)
        loss = ranking_loss(outputs.logits.squeeze(-1), weight, center=self.center)
        return (loss, outputs) if return_outputs else loss


def ranking_loss(rewards: Any, weight: Any, *, center: float) -> Any:
    """-log sigmoid(better - worse), weighted; the first half of `rewards` is that of the better sides."""
    better, worse = torch.chunk(rewards.float(), 2)
    return (weight * (center * (better + worse) ** 2 - logsigmoid(better - worse))).mean()


def reward_trainer(
    settings: PPMSettings,
    rows: Sequence[EncodedRewards],
    held_out: Sequence[EncodedRewards],
    *,
    model: Any,
    adapter: Any,
    tokenizer: Any,
    arguments: dict[str, Any],
    callbacks: list[Any],
) -> PairRanker:
    """A trainer for `rows`; `held_out` is looked at when it is asked to evaluate."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    config = RewardConfig(
        **arguments,
        max_length=None,  # TRL would leave longer pairs out without a word; here they are an error
        pad_to_multiple_of=WIDTH,
        per_device_eval_batch_size=1,  # TRL's figures are means over batches: of single pairs they are means over pairs
    )
    return PairRanker(
        center=settings.center,
        model=model,
        args=config,
        data_collator=WeightedCollator(pad_token_id=tokenizer.pad_token_id, pad_to_multiple_of=WIDTH),
        train_dataset=as_dataset(rows),
        eval_dataset=as_dataset(held_out) if held_out else None,
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks,
    )


def as_dataset(pairs: Sequence[EncodedRewards]) -> Any:
    """The pairs in TRL's columns, in memory."""
    import pyarrow  # type: ignore[import-untyped]
    from datasets import Dataset  # type: ignore[import-untyped]

    def column(name: str) -> Any:
        return pyarrow.array([getattr(pair, name) for pair in pairs], type=pyarrow.list_(pyarrow.int32()))

    columns = {f"{name}_ids": column(name) for name in ("chosen", "rejected")}
    return Dataset.from_dict(columns | {"weight": [pair.weight for pair in pairs]})
