"""TRL's SFT trainer, told to leave the rows as they are. Importing this imports torch, transformers and trl."""

from collections.abc import Sequence
from typing import Any

from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from training.batches import WIDTH, LengthSampler
from training.labelled_head import use_labelled_head
from training.sharded import Sharded


class RowTrainer(Sharded, SFTTrainer):
    """Learns from rows that are ids already.

    Args:
        row_lengths: tokens of each row, to put like lengths into a batch; None draws rows at random.
    """

    def __init__(self, *, row_lengths: Sequence[int] | None, **options: Any) -> None:
        self.row_lengths = row_lengths
        super().__init__(**options)
        use_labelled_head(self.model)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Left out: training/card.py writes the model's card."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self.row_lengths is None:
            return super()._get_train_sampler(train_dataset)
        args = self.args
        batch = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        return LengthSampler(self.row_lengths, batch=batch, seed=args.seed)

    def _set_signature_columns_if_needed(self) -> None:
        """Keep the column that `PackCollator` reads."""
        self._signature_columns = ["input_ids", "labels", "lengths"]  # type: ignore[assignment]


def sft_config(arguments: dict[str, Any]) -> Any:
    """The method's own settings around the shared ones."""
    return SFTConfig(
        **arguments,
        max_length=None,  # TRL would cut; too long a row was refused before
        pad_to_multiple_of=WIDTH,
        packing=False,  # training/packing.py has packed already
        dataset_kwargs={"skip_prepare_dataset": True},
    )
