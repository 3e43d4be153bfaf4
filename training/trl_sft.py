"""TRL's SFT trainer, told to leave the rows as they are. Importing this imports torch, transformers and trl."""

from typing import Any

from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer


class QuietSFTTrainer(SFTTrainer):
    """Writes no card of its own: training/card.py writes the model's."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Left out; see the class."""

    def _set_signature_columns_if_needed(self) -> None:
        """Keep the column that `PackCollator` reads."""
        self._signature_columns = ["input_ids", "labels", "lengths"]  # type: ignore[assignment]


def sft_config(arguments: dict[str, Any], *, by_length: bool) -> Any:
    """The method's own settings around the shared ones."""
    return SFTConfig(
        **arguments,
        max_length=None,  # TRL would cut; too long a row was refused before
        packing=False,  # training/packing.py has packed already
        dataset_kwargs={"skip_prepare_dataset": True},
        train_sampling_strategy="group_by_length" if by_length else "random",
        length_column_name="length",
    )
