"""Protocols side by side: budgets charged in order, figures from hand-made attempts, pages that cannot flatter."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generation_material import SCRIPT, journeys_of, write_script
from training_material import tiny_model

import run
from experiments.compare_protocols import SETS, SIZES, Comparison, main
from experiments.comparison.arms import ARMS, BASELINES, BY_NAME
from experiments.comparison.attempts import Attempt, chars_per_token, read_attempts, tokens_written, within
from experiments.comparison.eight import LABEL, read_one_of_many
from experiments.comparison.page import write_page
from experiments.comparison.results import BUDGET, FIRST, Figures, compare, figures_of
from experiments.comparison.settings import ComparisonSettings
from experiments.comparison.tables import printed
from experiments.stages import Stages
from experiments.words import in_words, shown
from generation.settings import GenerateSettings
from settings import UserError, load
from training.ppm_settings import PPMSettings

SUMS = {"name": "chain_sum", "config": {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2}}


def small(folder: Path, **keys: Any) -> ComparisonSettings:
    return ComparisonSettings.model_validate(
        {
            "name": "small",
            "outputs_dir": str(folder),
            "base": "embedded",
            "seeds": [1, 2],
            "tasks": [SUMS],
            "problems": 4,
            "held_out": 4,
            "budget": 100,
            "resamples": 200,
        }
        | keys
    )


def attempt(problem: str, number: int = 0, *, tokens: int = 10, right: bool = True, **more: Any) -> Attempt:
    told = {"lucky": False, "accepted": right, "mended": False, "chars": 20 if right else 0}
    return Attempt(problem=problem, number=number, tokens=tokens, right=right, **(told | more))


@pytest.mark.parametrize("size", ["smoke", "cpu", "gpu"])
def test_every_size_is_a_recipe_that_holds(size: str) -> None:
    settings = load(ComparisonSettings, SIZES / f"{size}.yaml")
    assert {*settings.arms} == {*BY_NAME}
    if size != "smoke":
        assert len(settings.seeds) >= 3


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_every_arm_is_a_recipe_of_generate_and_has_rivals_that_are_arms(arm: Any) -> None:
    comparison = Comparison.of(small(Path("outputs"), arms=[*BASELINES, arm.name], reward="outputs/ppm"))
    settings = GenerateSettings.model_validate(comparison._recipe(arm, "one", "problems", seed=1))
    assert settings.protocol.kind == arm.recipe["protocol"]["kind"]
    assert settings.policy.sampling.temperature == 1.0, "an arm's own voice draws as the others do"
    assert {*arm.rivals} <= {*BY_NAME} - {arm.name}
    assert bool(arm.rivals) == (arm.part != "baseline")


def test_the_baselines_cannot_be_left_out_and_arms_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rejection is what the others are compared with"):
        small(tmp_path, arms=["solo", "mcts"])
    with pytest.raises(ValueError, match="unknown arm 'magic'"):
        small(tmp_path, arms=[*BASELINES, "magic"])
    assert main(["--size", "nowhere"]) == 2


def test_a_budget_pays_for_attempts_in_order_and_never_for_a_part_of_one() -> None:
    tried = [attempt("a"), attempt("b", tokens=30), attempt("c", tokens=5)]
    assert within(tried, 45) == tried
    assert within(tried, 44) == tried[:2]
    assert within(tried, 39) == tried[:1], "what comes after the one that cannot be paid does not count either"
    assert within(tried, 9) == []


def test_figures_are_those_of_hand_made_attempts(tmp_path: Path) -> None:
    first = [
        attempt("a", mended=True),
        attempt("b", right=False),
        attempt("b", 1, lucky=True, accepted=False, chars=0),
        attempt("c"),
    ]
    second = [attempt("a"), attempt("b", right=False), attempt("c", right=False, tokens=20)]
    found = figures_of([first, second], ["a", "b", "c", "d"], each_token=2.0, settings=small(tmp_path))
    assert found.values["solved"] == [1.0, 0.5, 0.5, 0.0]
    assert found.by_seed["solved"] == (0.75, 0.25)
    assert found.solved.value == 0.5
    assert found.solved.low < 0.5 < found.solved.high
    assert found.lucky is not None
    assert found.lucky.value == 1 / 4
    assert found.mended is not None
    assert found.mended.value == 1 / 3
    assert found.price is not None
    assert found.price.value == 80 / 30  # three rows of twenty characters, two for a token
    assert (found.journeys, found.accepted_journeys, found.tokens) == (7, 3, 80)
    assert found.reached == 0.75
    nothing = figures_of([[attempt("a", right=False)]], ["a"], each_token=2.0, settings=small(tmp_path))
    assert nothing.lucky is nothing.mended is nothing.price is None


def test_a_difference_is_the_second_arm_less_the_first(tmp_path: Path) -> None:
    settings, names = small(tmp_path), [f"p{n}" for n in range(20)]

    def arm(right: int) -> Figures:
        seeds = [[attempt(name, right=n < right) for n, name in enumerate(names)] for _ in settings.seeds]
        return figures_of(seeds, names, each_token=2.0, settings=settings)

    found = compare({"worse": arm(4), "better": arm(16)}, "solved", "worse", "better", settings)
    assert found.found.value == pytest.approx(0.6)
    assert found.by_seed == pytest.approx((0.6, 0.6))
    assert shown(found.found, found.by_seed) == 1
    assert shown(found.found, (0.9, -0.1)) == 0
    said = in_words(found.found, (0.9, -0.1), told="+60", better="higher", worse="lower")
    assert "seeds do not agree" in said
    same = compare({"one": arm(4), "other": arm(4)}, "solved", "one", "other", settings)
    assert "no difference is shown" in in_words(same.found, same.by_seed, told="0", better="higher", worse="lower")


def test_one_of_eight_is_what_a_vote_and_a_score_would_choose(tmp_path: Path) -> None:
    settings = small(tmp_path, seeds=[1], samples=3, best_of=["shortest"], held_out=2)
    held_out = tmp_path / "held_out.jsonl"
    rows = [{"id": name, "question": f"What is {name}?", "answer": "7", "family": "f"} for name in ("p", "q")]
    held_out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    # p: two of three say 7, the shortest says 8. q: two of three say 8, the shortest says 7.
    evaluation = _evaluation(
        tmp_path / "one", {"p": (("7", 9), ("7", 9), ("8", 5)), "q": (("8", 9), ("8", 9), ("7", 5))}
    )
    found = read_one_of_many(held_out, [evaluation], settings)
    shares = {one.name: one.share.value for one in found.selections}
    assert shares == {"one sample": 0.5, "majority of 3": 0.5, "best of 3 by shortest": 0.5, "any of 3": 1.0}
    _evaluation(tmp_path / "one", {"p": (("7", 5), ("8", 9), ("8", 9)), "q": (("7", 9), ("7", 9), ("7", 5))})
    best = next(one for one in read_one_of_many(held_out, [evaluation], settings).selections if "best" in one.name)
    assert best.share.value == 1
    assert best.less_majority is not None
    assert best.less_majority.value == 0.5


def test_a_reward_model_brings_its_arm_and_its_choice_among_the_samples(tmp_path: Path) -> None:
    without, given = small(tmp_path, seeds=[1], samples=2), small(tmp_path, seeds=[1], samples=2, reward="outputs/ppm")
    assert {arm.name for arm in given.run_arms} - {arm.name for arm in without.run_arms} == {"mcts-ppm"}
    held_out = tmp_path / "held_out.jsonl"
    held_out.write_text(json.dumps({"id": "p", "question": "What is p?", "answer": "7", "family": "f"}) + "\n")
    evaluation = _evaluation(tmp_path / "one", {"p": (("8", 5), ("7", 9))})
    steps = ((0.9, 0.1), (0.2, 0.6))  # what it thinks of the last line counts
    rows = [
        {"reward": "ppm", "model": LABEL, "problem_id": "p", "sample": number, "steps": scores}
        for number, scores in enumerate(steps)
    ]
    (evaluation / "rewards.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shares = {one.name: one.share.value for one in read_one_of_many(held_out, [evaluation], given).selections}
    assert shares["best of 2 by reward"] == 1
    assert shares["best of 2 by shortest"] == 0


def test_a_reward_model_of_its_own_comes_from_searches_over_problems_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which stages there are, with recipes that their commands take; that they run is shown by SIZE=smoke."""
    settings = small(tmp_path, arms=[*BASELINES, "mcts-ppm"], searched=5, ppm={"epochs": 1})
    comparison = Comparison.of(settings)
    comparison._draw()
    asked = [frozenset(row["question"] for row in comparison.problems.rows(name)) for name in SETS]
    assert [len(one) for one in asked] == [4, 4, 5]
    assert not asked[2] & (asked[0] | asked[1]), "what the reward model learns from, nothing is measured on"
    stages: dict[str, tuple[Sequence[str], Mapping[str, Any]]] = {}
    monkeypatch.setattr(Stages, "run", lambda _, name, command, recipe: stages.update({name: (command, recipe)}))
    comparison._train_reward()
    assert [*stages] == ["searched", "ppm"]
    searched = GenerateSettings.model_validate(stages["searched"][1])
    assert searched.protocol.kind == "mcts"
    assert searched.problems.path == str(comparison.problems.path("searched"))
    assert stages["ppm"][0] == ["train", "ppm", "--data", str(settings.folder / "runs" / "searched")]
    taught = PPMSettings.model_validate(stages["ppm"][1])
    assert taught.epochs == 1
    assert taught.model == settings.base_model
    used = comparison._recipe(BY_NAME["mcts-ppm"], "guided", "problems", seed=1)["reward"]["model"]
    assert Path(used) == Path(taught.outputs_dir) / str(taught.name)
    stages.clear()
    Comparison.of(small(tmp_path, searched=5, reward="outputs/ppm"))._train_reward()
    assert not stages, "one that is there already is taken"


@pytest.fixture
def scripted_comparison(tmp_path: Path) -> Comparison:
    """Runs of scripted agents in the places where a comparison leaves its own: the critic mends what solo leaves."""
    settings = small(tmp_path, arms=[*BASELINES, "evidence"], samples=2, held_out=4)
    comparison = Comparison.of(settings)
    comparison._draw()
    problems = [{"id": f"p{n}", "question": f"How much is (2 + 2) * 3? {n}", "answer": "12"} for n in range(4)]
    comparison.problems.path("problems").write_text(
        "".join(json.dumps(row | {"family": "f"}) + "\n" for row in problems)
    )
    for arm in settings.run_arms:
        for seed in settings.seeds:
            script = write_script(tmp_path, text=SCRIPT)
            recipe = {
                "name": f"{arm.name}-{seed}-1",
                "runs_dir": str(settings.folder / "runs"),
                "problems": comparison._source("problems"),
                "journeys_per_problem": 2,
                "policy": {"engine": "scripted", "script": str(script), "persona": "stepwise"},
                **arm.recipe,
            }
            file = tmp_path / f"{arm.name}-{seed}.yaml"
            file.write_text(json.dumps(recipe))
            assert run.main(["generate", "--config", str(file)]) == 0
    rows = comparison.problems.rows("held_out")
    for seed in settings.seeds:
        said = {row["id"]: ((row["answer"], 5), ("-1", 9)) for row in rows}
        _evaluation(comparison._evaluation(seed), said)
    return comparison


def test_the_page_says_what_the_journeys_say(scripted_comparison: Comparison, tmp_path: Path) -> None:
    comparison = scripted_comparison
    results = comparison.read()
    once, paid = results.figures[FIRST], results.figures[BUDGET]
    # Alone the false equation stands: right by luck, and never accepted. Under the critic it is taken back.
    assert once["solo"].solved.value == once["evidence"].solved.value == 1
    assert once["solo"].lucky is not None
    assert once["solo"].lucky.value == 1
    assert (once["solo"].accepted_journeys, once["evidence"].accepted_journeys) == (0, 8)
    assert once["evidence"].mended is not None
    assert once["evidence"].mended.value == 1
    runs = comparison._runs(BY_NAME["evidence"], 1)
    assert tokens_written(runs) == sum(journey.completion_tokens for journey in journeys_of(runs[0]))
    assert paid["evidence"].tokens <= 2 * comparison.settings.tokens
    attempts = read_attempts([runs[0], runs[0]])
    assert [one.number for one in attempts] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert chars_per_token(runs) > 1
    gained = results.pair(FIRST, "accepted", "solo", "evidence")
    assert gained.found.value == 1
    assert gained.by_seed == (1, 1)
    page, picture = write_page(results, tmp_path / "page" / "page.md", command="make compare-protocols SIZE=small")
    text = page.read_text()
    assert "Only a rehearsal" in text
    assert "Most true backtracks in accepted journeys: dialogue, evidence critic 100.0%" in text
    assert "**Dialogue, evidence critic** against solo: at one attempt each differs by +0.0 [+0.0, +0.0] points" in text
    assert "No accepted journey at all, and so no price: solo" in text
    assert "Does search help?" not in text, "no searching arm was run"
    assert "best of 2 by shortest" in text
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert str(tmp_path) not in text, "a page tells nothing of the machine's folders"
    assert "Reward model" not in text
    note = {"data": {"rows": 90, "questions": 30}, "steps": 12, "seconds": 61.2}
    for pairs, said in ((80, True), (8, False)):
        note |= {"held_out": {"pairs": pairs, "accuracy": 0.75}}
        told = write_page(replace(results, taught=note), tmp_path / "taught.md", command="make")[0].read_text()
        assert "on 90 pairs" in told
        assert (f"Of {pairs} pairs held out, the better step scores higher in 75%." in told) == said
    assert all(BY_NAME[name].title in printed(results) for name in comparison.settings.arms)


def test_problems_drawn_by_another_recipe_are_refused(scripted_comparison: Comparison, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="drawn by another recipe"):
        Comparison.of(small(tmp_path, problems=5))._draw()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_comparison_runs_on_a_toy_model_and_only_once(tmp_path: Path) -> None:
    """Real stages, real engine; the model knows nothing, so that every share is 0 and nothing has a price."""
    toy = tiny_model(tmp_path / "toy")
    shutil.copy("models/stepwise/persona.yaml", toy)  # a prompt that its window holds
    file = tmp_path / "toy.yaml"
    recipe = small(tmp_path / "out").model_dump(mode="json") | {
        "base": str(toy),
        "seeds": [1],
        "arms": ["solo", "rejection"],
        "problems": 2,
        "held_out": 1,
        "budget": 30,
        "samples": 2,
        "max_tokens": 16,
        "sampling": {"temperature": 1.0, "max_tokens": 8},
        "budgets": {"max_turns": 3},
    }
    file.write_text(json.dumps(recipe))
    assert main(["--size", str(file)]) == 0
    folder = tmp_path / "out" / "small"
    stages = {note.stem: note.read_bytes() for note in (folder / "stages").glob("*.json")}
    assert {"solo-1-1", "solo-1-2", "rejection-1-1", "held-out-1"} <= {*stages}
    assert all(json.loads(note)["done"] for note in stages.values())
    page = (folder / "page" / "protocols.md").read_text()
    assert "No accepted journey at all" in page
    assert main(["--size", str(file)]) == 0
    assert {note.stem: note.read_bytes() for note in (folder / "stages").glob("*.json")} == stages
    assert (folder / "page" / "protocols.md").read_text() == page


def _evaluation(folder: Path, said: Mapping[str, Sequence[tuple[str, int]]]) -> Path:
    """A file of samples, each with its answer and its tokens; right where the answer is 7 or the problem's own."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "model": LABEL,
            "problem_id": problem,
            "family": "f",
            "question": "",
            "sample": number,
            "text": f"Answer: {answer}",
            "finish": "stop",
            "status": "wrong" if answer in ("8", "-1") else "right",
            "answer": answer,
            "tokens": tokens,
            "prompt_tokens": 5,
            "mean_logprob": -0.1 * tokens,
            "seconds": 0.0,
            "seed": 1,
        }
        for problem, answers in said.items()
        for number, (answer, tokens) in enumerate(answers)
    ]
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
