# ruff: noqa: F401, F811  (fixtures are imported, and taken as arguments)
"""The last layer at labelled positions: another way to the numbers that TRL's own way comes to."""

from pathlib import Path
from typing import Any

import pytest
from training_material import one_thread, sums, tiny, write_rows

import training.labelled_head
from training.command import train
from training.labelled_head import use_labelled_head
from training.sft_settings import SFTSettings

FIELDS = ("log_probs", "entropy", "mean_logits", "is_top1", "label_mask")
ROWS = [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 0, 0]]
LABELS = [[-100, -100, 7, 8, 9, 10, 11], [-100, 13, 14, 15, 16, -100, -100]]


def prepared(folder: Path, *, peft: bool = False) -> Any:
    """A model as TRL's trainers prepare it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "mean_logits", "is_top1"))
    if peft:
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=2, init_lora_weights=False))
    return model


def asked(model: Any, labels: list[list[int]], **options: Any) -> Any:
    import torch

    ids = torch.tensor(ROWS)
    return model(
        input_ids=ids, attention_mask=(ids != 0).long(), labels=torch.tensor(labels), fused_lm_head=True, **options
    )


@pytest.mark.parametrize("peft", [False, True])
@pytest.mark.parametrize("chunk", [2, 1024])
def test_every_number_and_gradient_is_trls(tiny: Path, chunk: int, peft: bool, monkeypatch: Any) -> None:
    import torch

    monkeypatch.setattr(training.labelled_head, "CHUNK", chunk)
    torch.manual_seed(1)
    theirs = prepared(tiny, peft=peft)
    ours = prepared(tiny, peft=peft)
    ours.load_state_dict(theirs.state_dict())
    use_labelled_head(ours)
    expected, found = (asked(model, LABELS, num_items_in_batch=torch.tensor(20)) for model in (theirs, ours))
    for field in FIELDS:
        one, other = (getattr(outputs, field).float() for outputs in (expected, found))
        assert torch.allclose(one, other, atol=1e-5), field
    assert found.loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)
    expected.loss.backward()
    found.loss.backward()
    moved = 0
    for (name, one), other in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None:
            moved += 1
            assert torch.allclose(one.grad, other.grad, atol=1e-6), name
    assert moved


def test_a_batch_without_a_label_is_a_zero_that_can_be_learnt_from(tiny: Path) -> None:
    model = prepared(tiny)
    use_labelled_head(model)
    loss = asked(model, [[-100] * 7] * 2).loss
    loss.backward()
    assert loss.item() == 0


def test_without_labels_and_where_logits_are_scaled_the_model_is_as_it_was(tiny: Path) -> None:
    import torch

    model, scaled = prepared(tiny), prepared(tiny)
    plain = model(torch.tensor(ROWS)).logits
    use_labelled_head(model)
    assert torch.equal(model(torch.tensor(ROWS)).logits, plain)
    scaled.config.final_logit_softcapping = 30.0
    before = scaled.forward
    use_labelled_head(scaled)
    assert scaled.forward == before


def test_a_training_goes_through_it(tiny: Path, tmp_path: Path, monkeypatch: Any) -> None:
    scored = []
    real = training.labelled_head._score

    def score(head: Any, hidden: Any, targets: Any) -> Any:
        scored.append(len(hidden))
        return real(head, hidden, targets)

    monkeypatch.setattr(training.labelled_head, "_score", score)
    data = write_rows(tmp_path / "rows.jsonl", sums(8))
    settings = {"data": data, "model": str(tiny), "outputs_dir": str(tmp_path), "batch": 4, "epochs": 1}
    report = train(SFTSettings.model_validate(settings | {"name": "x", "plot": False})).report
    assert report["steps"] == 2
    assert sum(scored) == report["data"]["learnt_tokens"], "each position once: all fit into one chunk"
