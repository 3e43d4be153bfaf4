"""What TRL's trainers lack where FSDP 2 has cut weights into shards. Importing this imports torch and transformers."""

from typing import Any

from transformers import Trainer


class Sharded(Trainer):
    """To be named before TRL's trainer among the bases."""

    def create_accelerator_and_postprocess(self) -> None:
        """Gradients are summed in float32, and what the model gives is not rounded.

        accelerate would do both in bfloat16. The log-probability of a likely token has two digits then, and DPO learns
        from the difference between two of them.
        """
        super().create_accelerator_and_postprocess()
        plugin = getattr(self.accelerator.state, "fsdp_plugin", None)
        if plugin is None or plugin.fsdp_version != 2 or plugin.mixed_precision_policy is None:
            return
        import torch
        from torch.distributed.fsdp import MixedPrecisionPolicy

        plugin.mixed_precision_policy = MixedPrecisionPolicy(
            param_dtype=plugin.mixed_precision_policy.param_dtype, reduce_dtype=torch.float32
        )

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Weights that are one in the model are gathered as several; they are written once."""
        tied = getattr(self.model, "all_tied_weights_keys", None) or {}
        if state_dict is not None:
            state_dict = {name: state_dict.get(tied.get(name, name), weight) for name, weight in state_dict.items()}
        super()._save(output_dir, state_dict)
