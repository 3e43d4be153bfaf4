# ruff: noqa: F401, F811  (fixtures are imported, and taken as arguments)
"""Packs: every row once, none too full, and nobody sees his neighbour."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_material import one_thread, tiny

from training.batches import LengthSampler
from training.packing import PackCollator, pack


@given(st.lists(st.integers(1, 50), max_size=60))
def test_every_row_is_in_one_pack_and_no_pack_overflows(lengths: list[int]) -> None:
    packs = pack(lengths, capacity=50)
    assert sorted(row for group in packs for row in group) == list(range(len(lengths)))
    assert all(sum(lengths[row] for row in group) <= 50 for group in packs)
    # Best fit, longest first, is never worse than 11/9 of the best possible and two thirds more.
    assert len(packs) <= 11 / 9 * max(1, -(-sum(lengths) // 50)) + 2 / 3 or sum(lengths) > 25 * (len(packs) - 1)


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 8), st.integers(0, 3))
def test_batches_of_like_length_hold_every_row_once_an_epoch(lengths: list[int], batch: int, epoch: int) -> None:
    sampler, again = (LengthSampler(lengths, batch=batch, seed=5) for _ in range(2))
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert sorted(order) == list(range(len(lengths)))
    again.set_epoch(9)
    list(again)
    again.set_epoch(epoch)
    assert list(again) == order, "nothing but seed and epoch decides"


def test_batches_of_like_length_save_most_padding() -> None:
    lengths = [n % 100 + 1 for n in range(1600)]
    order = list(LengthSampler(lengths, batch=8, seed=0))
    batches = [[lengths[row] for row in order[place : place + 8]] for place in range(0, 1600, 8)]
    padded = sum(max(batch) * 8 for batch in batches)
    assert padded < 1.05 * sum(lengths)
    assert batches != sorted(batches), "the batches themselves come at random"


@pytest.mark.parametrize("flat", [False, True])
def test_a_row_in_a_pack_is_read_as_if_it_were_alone(tiny: Path, flat: bool) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(tiny, attn_implementation="sdpa")
    rows = [[5, 6, 7, 8], [9, 10, 11], [12, 13, 14, 15, 16]]
    examples = [
        {"input_ids": rows[0] + rows[1], "labels": rows[0] + rows[1], "lengths": [4, 3]},
        {"input_ids": rows[2], "labels": rows[2], "lengths": [5]},
    ]
    batch = PackCollator(0, flat=flat)(examples)
    assert "attention_mask" not in batch
    with torch.no_grad():
        alone = [model(torch.tensor([row])).logits[0] for row in rows]
        together = model(batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
    places = [(0, 0), (0, 4), (0, 7)] if flat else [(0, 0), (0, 4), (1, 0)]
    for (line, start), expected in zip(places, alone, strict=True):
        found = together[line, start : start + len(expected)]
        assert torch.allclose(found, expected, atol=1e-5)
