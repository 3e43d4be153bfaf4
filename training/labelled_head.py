"""The last layer at labelled positions only, for machines without a GPU.

TRL projects onto the vocabulary in tiles that a Triton kernel folds up. Without Triton it projects every position,
prompts and padding included, and folds with a dozen passes in float32: on a CPU that was four fifths of a step. Prompts
are more than half of most rows, and a batch's logits fit in memory here; so the plain way is the fast one.
"""

import types
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from trl.trainer.utils import FusedCausalLMOutput

CHUNK = 1024
"""Positions projected together: 0.2 GB in float32 with a vocabulary of 49,152."""
SCALED = ("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")
"""Settings of models that do something to their logits; TRL's own way knows them all."""


def use_labelled_head(model: Any) -> None:
    """Give a model that TRL has prepared the plain way, where its own would be slow.

    After this `model(..., labels=..., fused_lm_head=True)` has the fields that `trl.trainer.utils.add_fused_lm_head`
    describes, each of shape (rows, width - 1) and zero where nothing is labelled.

    Args:
        model: a causal language model, or a PEFT model around one; on a GPU it is left as it is.
    """
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = causal.config.get_text_config()
    if causal.device.type != "cpu" or any(getattr(config, name, None) is not None for name in SCALED):
        return
    fused_by_trl = causal.forward

    def forward(self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, **options: Any) -> Any:
        if not fused_lm_head or labels is None:
            return fused_by_trl(*args, fused_lm_head=fused_lm_head, labels=labels, **options)
        in_batch = options.pop("num_items_in_batch", None)
        hidden = self.base_model(*args, **(options | {"use_cache": False})).last_hidden_state[:, :-1]
        mask = labels[:, 1:] != -100
        head = self.get_output_embeddings()
        chunks = zip(hidden[mask].split(CHUNK), labels[:, 1:][mask].split(CHUNK), strict=True)
        if mask.sum() <= CHUNK:
            parts = [_score(head, some, targets) for some, targets in chunks]
        else:  # only one chunk's logits are alive at a time; the backward pass computes them again
            parts = [checkpoint(_score, head, some, targets, use_reentrant=False) for some, targets in chunks]
        log_probs, entropy, mean_logits, is_top1 = (
            torch.cat(field).new_zeros(mask.shape).masked_scatter(mask, torch.cat(field))
            for field in zip(*parts, strict=True)
        )
        count = mask.sum().clamp(min=1) if in_batch is None else in_batch
        return FusedCausalLMOutput(
            loss=-log_probs.sum() / count,
            log_probs=log_probs,
            entropy=entropy,
            mean_logits=mean_logits,
            is_top1=is_top1,
            label_mask=mask,
        )

    causal.forward = types.MethodType(forward, causal)


def _score(head: Any, hidden: Any, targets: Any) -> tuple[Any, Any, Any, Any]:
    """Of every position: log-probability of its target, entropy, mean logit, and whether the target comes first."""
    logits = head(hidden).float()
    log_probs = torch.log_softmax(logits, dim=-1)
    with torch.no_grad():
        entropy = -(log_probs.exp() * log_probs).sum(dim=-1)
        mean, first = logits.mean(dim=-1), logits.argmax(dim=-1) == targets
    return log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1), entropy, mean, first
