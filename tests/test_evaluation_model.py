"""The real embedded model, through the real engine, on problems that reasoning-gym makes and scores."""

import json
from pathlib import Path

import pytest

from evaluation.command import evaluate
from evaluation.settings import EvaluateSettings


@pytest.mark.slow
async def test_a_real_model_is_sampled_graded_and_scored(tmp_path: Path) -> None:
    settings = EvaluateSettings.model_validate(
        {
            "outputs_dir": str(tmp_path),
            "num_problems": 8,
            "seed": 5,
            "problems": {
                "tasks": [
                    {"name": "products", "config": {"min_digits": 1, "max_digits": 1}},
                    {"name": "chain_sum", "config": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}},
                ]
            },
            "samples": 2,
            "sampling": {"temperature": 0.5, "max_tokens": 24},
            "engine": {"engine": "transformers"},
            "resamples": 200,
        }
    )
    outcome = await evaluate(settings)
    assert outcome.result
    samples = [json.loads(line) for line in (outcome.folder.path / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 16
    assert all(sample["mean_logprob"] < 0 for sample in samples), "several samples: best-of-k needs them"
    assert all(0 < sample["tokens"] <= 24 and sample["prompt_tokens"] > 100 for sample in samples)
    assert {sample["finish"] for sample in samples} <= {"stop", "length"}
    scores = outcome.result["models"][0]["scores"]
    assert scores["right"] == sum(sample["status"] == "right" for sample in samples) > 0
    assert scores["accuracy"]["value"] == scores["right"] / 16
    assert scores["pass_at"]["1"]["value"] <= scores["pass_at"]["2"]["value"]
    assert {"1", "2"} == {*scores["maj_at"]} == {*scores["best_of"]["logprob"]}
    assert {*outcome.result["models"][0]["families"]} == {"products", "chain_sum"}
