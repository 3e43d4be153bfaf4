"""Reward models in `evaluate` and `judge`: what they are shown, kept and asked again, and the figures by hand."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_material import evaluated, facts, problem, recipe, summand
from hypothesis import given
from hypothesis import strategies as st
from reward_material import skywork_model
from training_material import one_thread  # noqa: F401  (an autouse fixture)

import run
from engines.rewards.contract import RewardSettings
from engines.rewards.open import open_reward
from evaluation.judging.command import judge
from evaluation.judging.scores import auc
from evaluation.judging.settings import JudgingSettings
from evaluation.rewards import steps_of
from evaluation.scores import scored
from evaluation.selectors import maj_at
from evaluation.settings import EvaluateSettings
from settings import UserError


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return skywork_model(tmp_path_factory.mktemp("rewards") / "skywork")


def asked(model: Path, question: str, steps: list[str]) -> list[float]:
    async def ask() -> list[float]:
        opened = open_reward(RewardSettings(model=str(model), dtype="float32"))
        await opened.start()
        try:
            return (await opened.score(question, steps)).scores
        finally:
            await opened.close()

    return asyncio.run(ask())


def test_best_of_k_and_the_weighted_vote_against_the_majority() -> None:
    settings = EvaluateSettings.model_validate(
        {"samples": 3, "sampling": {"temperature": 1.0}, "best_of": [], "reward": {"model": "m"}, "resamples": 100}
    )
    one, other = problem("a", True, False, False), problem("b", True, True, False)
    for which, rewards in ((one, (0.9, 0.3, 0.4)), (other, (0.1, 0.2, 0.8))):
        which.samples = [
            facts(f.number, right=f.right, group=f.group, scores=(value,))
            for f, value in zip(which.samples, rewards, strict=True)
        ]
    found = scored([one, other], settings)
    assert found["maj_at"]["3"]["value"] == 0.5, "b"
    assert found["best_of"]["reward"]["3"]["value"] == 0.5, "a"
    assert found["weighted_at"]["3"]["value"] == 0.5, "a: 0.9 against 0.7; b: 0.3 against 0.8"
    assert found["weighted_at"]["1"]["value"] == found["accuracy"]["value"]
    assert (found["reward_less_majority"]["k"], found["reward_less_majority"]["value"]) == (3, 0.0)


@given(groups=st.lists(st.sampled_from([0, 1, 2, None]), min_size=1, max_size=7), k=st.integers(1, 7))
def test_equal_weights_vote_as_heads_do(groups: list[int | None], k: int) -> None:
    k, right = min(k, len(groups)), frozenset({0})
    alike = maj_at(groups, right, k, seed=0, weights=[0.1] * len(groups))
    assert alike == maj_at(groups, right, k, seed=0)
    assert maj_at(groups, right, k, seed=0, weights=[None] * len(groups)) == 0


async def test_an_evaluation_scores_its_samples_once_and_chooses_by_them(
    reward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(messages: Any, request_id: str) -> str:
        n, number = summand(messages), int(request_id.partition("#")[2].partition("/")[0])
        return f"<think>\n{n} + 1000 = {n + 1000 + number}\n</think>\n\nAnswer: {n + 1000 + number}"

    keys: dict[str, Any] = {"samples": 3, "sampling": {"temperature": 1.0}}
    settings = recipe(tmp_path, count=3, reward={"model": str(reward), "dtype": "float32"}, **keys)
    outcome = await evaluated(settings, said)
    assert outcome.result is not None
    scores = outcome.result["models"][0]["scores"]
    rows = [json.loads(line) for line in (outcome.folder.path / "rewards.jsonl").read_text().splitlines()]
    assert len(rows) == 9
    assert {len(row["steps"]) for row in rows} == {2}, "the line and the answer, without tags"
    best: dict[str, tuple[float, int]] = {}
    for row in rows:
        if row["steps"][-1] > best.get(row["problem_id"], (-1.0, 0))[0]:
            best[row["problem_id"]] = (row["steps"][-1], row["sample"])
    by_hand = sum(number == 0 for _, number in best.values()) / 3
    assert scores["best_of"]["reward"]["3"]["value"] == pytest.approx(by_hand)
    assert "best of 3 (reward) less maj@3" in (outcome.folder.path / "table.md").read_text()

    monkeypatch.setattr("engines.rewards.local.open_reward_model", None)  # would fail if it were opened again
    again = await evaluated(settings.model_copy(update={"aggregate": "min"}))
    assert again.result is not None


def test_what_a_sample_is_shown_as() -> None:
    text = "<think>\n2 + 3 = 5\n\n 5 + 4 = 9 \n</think>\n\nAnswer: 9"
    assert steps_of(text) == ["2 + 3 = 5", "5 + 4 = 9", "Answer: 9"]


def test_best_of_reward_needs_one_and_a_wrong_one_is_named_before_sampling(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"reward needs reward\.model"):
        EvaluateSettings.model_validate({"best_of": ["reward"]})
    with pytest.raises(UserError, match="no such folder"):
        asyncio.run(evaluated(recipe(tmp_path, reward={"model": str(tmp_path / "no" / "model")})))


# Judges


def write_steps(folder: Path) -> str:
    rows = [
        {"question": "What is 2 + 3 + 4?", "steps": ["2 + 3 = 5", "5 + 4 = 8", "So 8."], "ratings": [1, -1, 0]},
        {"question": "What is 1 + 1?", "steps": ["1 + 1 = 2", "The answer is 2."], "ratings": [1, 1]},
    ]
    file = folder / "steps.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def test_a_reward_model_is_judged_by_its_threshold_and_without_one(reward: Path, tmp_path: Path) -> None:
    first = asked(reward, "What is 2 + 3 + 4?", ["2 + 3 = 5", "5 + 4 = 8"])
    second = asked(reward, "What is 1 + 1?", ["1 + 1 = 2", "The answer is 2."])
    middle = sorted((*first, *second))[2]
    recipe = {
        "data": write_steps(tmp_path),
        "outputs_dir": str(tmp_path / "outputs"),
        "judges": ["evidence", {"reward": {"model": str(reward), "dtype": "float32", "threshold": middle}}],
        "resamples": 100,
    }
    outcome = asyncio.run(judge(JudgingSettings.model_validate(recipe)))
    assert outcome.result is not None
    evidence, told = outcome.result["judges"]
    assert told["judge"] == f"reward@{reward}"
    assert evidence["auc"] is None
    flagged = [score < middle for score in (*first, *second)]
    assert sum(flagged) == 2
    assert told["confusion"]["tp"] + told["confusion"]["fp"] == 2
    assert told["confusion"]["tp"] == flagged[1]
    below = sum(score > first[1] for score in (first[0], *second))
    assert told["auc"]["value"] == pytest.approx(below / 3)
    assert "AUC" in (outcome.folder / "table.md").read_text()

    other = recipe | {"judges": [{"reward": {"model": str(reward), "dtype": "float32", "threshold": 0.9}}]}
    with pytest.raises(UserError, match="asked for by another recipe"):
        asyncio.run(judge(JudgingSettings.model_validate(other)))


def test_a_reward_model_is_named_on_the_command_line(reward: Path, tmp_path: Path) -> None:
    argv = ["judge", "--data", write_steps(tmp_path), "--judge", f"reward@{reward}", "--outputs-dir", str(tmp_path)]
    assert run.main([*argv, "--name", "judged"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "judged" / "verdicts.jsonl").read_text().splitlines()]
    assert len(rows) == 4
    assert all((row["move"] == "backtrack") == (row["score"] < 0.5) for row in rows)
    assert run.main([*argv, "--rows", str(tmp_path / "rows.jsonl")]) != 0, "it is not taught by words"


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=20))
def test_auc_counts_pairs(steps: list[tuple[int, bool]]) -> None:
    scores, wrong = np.array([score / 4 for score, _ in steps]), np.array([flag for _, flag in steps])
    pairs = [(a, b) for a, is_wrong in steps for b, other in steps if not is_wrong and other]
    by_hand = sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs) if pairs else 0.5
    assert auc(scores, wrong, np.ones(len(steps))) == pytest.approx(by_hand)
