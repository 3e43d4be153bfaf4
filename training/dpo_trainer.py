"""TRL's DPOTrainer, fed with token ids and holding on to its reference. Imports torch; import it where it is used."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trl import DPOConfig, DPOTrainer  # type: ignore[attr-defined]

from training.batches import WIDTH
from training.dpo_settings import DPOSettings
from training.labelled_head import use_labelled_head
from training.pairs import EncodedPair
from training.sharded import Sharded

REFERENCE = "ref"
"""What TRL calls the frozen copy of an adapter that a training goes on with."""


class PairTrainer(Sharded, DPOTrainer):
    """DPO on pairs that are ids already; TRL's templates, stops and cuts have no part in it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        use_labelled_head(self.model)

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Left out: training/card.py writes the model's."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """The trained adapter alone. With the reference saved beside it in a folder of its own, transformers would load
        the reference, and nothing else, when a training goes on from a checkpoint."""
        super()._save(output_dir, state_dict)
        reference = Path(str(output_dir or self.args.output_dir)) / REFERENCE
        if (reference / "adapter_config.json").is_file():
            shutil.rmtree(reference)


def pair_trainer(
    settings: DPOSettings,
    pairs: Sequence[EncodedPair],
    *,
    model: Any,
    reference: Any,
    adapter: Any,
    tokenizer: Any,
    arguments: dict[str, Any],
    callbacks: list[Any],
) -> PairTrainer:
    """A trainer for `pairs`.

    Args:
        reference: the model that a whole model is held to. An adapter is held to itself as it was at the start; a new
            one, which is nothing at the start, to its base.
    """
    losses, weights = ["sigmoid"], [1.0]
    if settings.sft_weight:
        losses, weights = [*losses, "sft"], [*weights, settings.sft_weight]
    config = DPOConfig(
        **arguments,
        beta=settings.beta,
        loss_type=losses,
        loss_weights=weights,
        max_length=None,  # TRL would cut; too long a pair was refused before
        pad_to_multiple_of=WIDTH,
    )
    return PairTrainer(
        model=model,
        ref_model=reference,
        args=config,
        train_dataset=as_dataset(pairs),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks,
    )


def as_dataset(pairs: Sequence[EncodedPair]) -> Any:
    """The pairs in TRL's columns, in memory."""
    import pyarrow  # type: ignore[import-untyped]
    from datasets import Dataset  # type: ignore[import-untyped]

    def column(name: str) -> Any:
        return pyarrow.array([getattr(pair, name) for pair in pairs], type=pyarrow.list_(pyarrow.int32()))

    return Dataset.from_dict({f"{name}_ids": column(name) for name in ("prompt", "chosen", "rejected")})
