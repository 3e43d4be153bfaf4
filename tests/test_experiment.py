"""The experiment: problem sets that share nothing, stages that run once, verdicts that cannot flatter."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generation_material import run_cli, scripted

import run
from evaluation.intervals import Difference
from evaluation.samples import Sample
from experiments.arms import ARMS, BASE, label
from experiments.dead_ends import DeadEnds, dead_ends
from experiments.journey_vs_shortcut import SIZES, Experiment
from experiments.judgement import TARGET, bought, in_words, shown
from experiments.page import write_page
from experiments.problem_sets import ProblemSets, asked, taught_with
from experiments.results import SETTINGS, Comparison, _several, read_results, results_table
from experiments.rows import goes_in_circles, write_rows
from experiments.settings import ExperimentSettings
from journeys.decontaminate import normalised
from problems.sources import ProblemSettings, load_problems
from settings import UserError, load

SUMS = {"name": "chain_sum", "config": {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2}}
LEGS = {"name": "leg_counting", "config": {"min_animals": 2, "max_animals": 2, "max_instances": 9}}


def small(folder: Path, **keys: Any) -> ExperimentSettings:
    return ExperimentSettings.model_validate(
        {
            "name": "small",
            "outputs_dir": str(folder),
            "base": "embedded",
            "seeds": [1, 2],
            "count": {"data": 40, "held_out": 30, "validation": 10, "preference": 10, "fresh": 10},
            "trained": [SUMS],
            "untrained": [LEGS],
            "resamples": 200,
            "arms": [arm.name for arm in ARMS],
        }
        | keys
    )


def comparison(value: float, low: float, high: float, by_seed: Sequence[float]) -> Comparison:
    found = Difference(value=value, low=low, high=high, p=0.01, method="")
    return Comparison("shortcut", "journey", found, 0.05, tuple(by_seed), found)


@pytest.mark.parametrize("size", ["smoke", "cpu", "gpu", "search", "search-products"])
def test_every_size_is_a_recipe_that_holds(size: str) -> None:
    settings = load(ExperimentSettings, SIZES / f"{size}.yaml")
    if size != "smoke":
        assert len(settings.seeds) >= 3
        assert settings.count.held_out >= 500
    assert (settings.errors == "dead-ends") == (settings.verifier == "auto")
    if settings.errors == "slips":
        assert not {task.name for task in settings.trained} & {task.name for task in settings.untrained}
    else:  # larger numbers are asked of no arm
        assert not [task.config for task in settings.trained if task.config in [t.config for t in settings.untrained]]


def test_the_base_of_a_cold_start_is_made_first_and_its_lessons_count_as_seen(tmp_path: Path) -> None:
    settings = load(ExperimentSettings, SIZES / "search.yaml", {"outputs_dir": str(tmp_path)})
    assert settings.base_model == str(tmp_path / settings.name / "models" / BASE)
    for name, model, seed in (("first", "embedded", 1), ("second", str(tmp_path / "first"), 2)):
        (tmp_path / name).mkdir()
        lesson = {"tasks": [SUMS if seed == 1 else LEGS], "count": 20, "seed": seed}
        (tmp_path / name / "recipe.yaml").write_text(json.dumps({"model": model, "worked": lesson}))
    tasks, questions = taught_with(str(tmp_path / "second"))
    assert [task.name for task in tasks] == ["chain_sum", "leg_counting"]
    assert len({*questions}) == 40


def test_a_number_game_in_another_order_is_the_same_question() -> None:
    assert asked("Use all the numbers 8, 19, 9 to make 323.") == asked(
        "Calculate 323 using all of these numbers: 19, 9, 8."
    )
    assert asked("Use all the numbers 8, 19, 9 to make 323.") != asked("Use all the numbers 8, 19, 9 to make 322.")


def test_tries_are_counted_as_they_stand_in_the_text() -> None:
    hit, miss, bent = "9 + 8 = 17, 17 * 19 = 323", "9 + 8 = 17, 17 + 19 = 36", "9 + 8 = 18, 18 * 19 = 323"
    texts = {
        "shortcut-1": [hit, miss, bent],
        "journey-1": [f"{miss}\nWait, 36 is not 323. Once more: {hit}", f"{hit}\nHmm. Another try: {miss}\nNo. {miss}"],
    }
    samples = [
        sample(model, f"<think>\n{text}\n</think>\n\nAnswer: (9 + 8) * 19", "Use all the numbers 8, 19, 9 to make 323.")
        for model, several in texts.items()
        for text in several
    ]
    samples.append(sample("journey-1", "2 + 2 = 4", "Calculate 2 + 2."))
    found = dead_ends(samples, {"shortcut": ["shortcut-1"], "journey": ["journey-1"]})
    assert found["shortcut"] == DeadEnds(
        samples=3, tries=2, misses=1, seen=0, hits=1, left=0, at_once=1, claimed=2, bent=1
    )
    assert found["journey"] == DeadEnds(
        samples=2, tries=5, misses=3, seen=2, hits=2, left=1, at_once=1, claimed=2, bent=0
    )


def test_no_question_is_in_two_sets_or_was_taught_to_the_base(tmp_path: Path) -> None:
    lesson = {"tasks": [SUMS], "count": 400, "seed": 7}
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "recipe.yaml").write_text(json.dumps({"worked": lesson}))
    settings = small(tmp_path, base=str(tmp_path / "base"))
    sets = ProblemSets(tmp_path / "problems")
    sets.draw(settings)
    taught = load_problems(ProblemSettings.model_validate({"tasks": [SUMS]}), count=400, seed=7)
    met = [*(normalised(problem.question) for problem in taught)]
    for name in sets.NAMES:
        asked = sets.questions(name)
        assert len(asked) == len(sets.rows(name)) == getattr(settings.count, name, settings.count.held_out)
        assert not asked & {*met}
        met += asked
    first = {name: sets.digest(name) for name in sets.NAMES}
    sets.draw(settings)
    assert {name: sets.digest(name) for name in sets.NAMES} == first


def test_a_difference_is_shown_only_where_the_interval_and_every_seed_say_so() -> None:
    assert shown(comparison(0.05, 0.01, 0.09, [0.04, 0.06])) == 1
    assert shown(comparison(0.05, -0.01, 0.11, [0.04, 0.06])) == 0
    assert shown(comparison(0.05, 0.01, 0.09, [-0.01, 0.11])) == 0
    assert shown(comparison(-0.05, -0.09, -0.01, [-0.04, -0.06])) == -1
    assert "no difference is shown" in in_words(comparison(0.05, -0.01, 0.11, [0.04, 0.06]))
    assert "seeds do not agree" in in_words(comparison(0.05, 0.01, 0.09, [-0.01, 0.11]))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scripted runs in the places where an experiment leaves its own."""
    folder = tmp_path_factory.mktemp("experiment")
    for name in ("data", "fresh-base", "fresh-tuned"):
        assert run.main(scripted(folder, "--runs-dir", str(folder / "small" / "runs"), name=name, count=8)) == 0
    return folder


@pytest.mark.parametrize(
    ("journey", "said"),
    [
        (0.9, "**Reached** (the whole interval lies above it)"),
        (0.5, "**Not reached**: no difference is shown"),
        (0.2, "**Not reached**: journeys did harm"),
    ],
)
def test_the_page_says_what_the_samples_say(runs: Path, journey: float, said: str) -> None:
    settings = small(runs, count={"data": 8, "held_out": 100, "validation": 10, "preference": 10, "fresh": 8})
    experiment = Experiment.of(settings)
    experiment.problems.draw(settings)
    shares = {
        BASE: 0.4,
        "shortcut": 0.5,
        "shortcut-tokens": 0.5,
        "from-doubt": 0.5,
        "standing": 0.5,
        "journey": journey,
        "dpo": 0.6,
        "dpo-plain": 0.3,
    }
    _write_models(experiment)
    experiment._write_rows(runs / "small" / "runs" / "data")
    for setting in (*SETTINGS, "validation-greedy"):
        _write_evaluation(experiment, setting, shares)
    results = read_results(settings, problems=experiment.problems, stages=experiment.stages, best="dpo-1")
    for setting in SETTINGS:
        assert results.pooled[setting]["journey"].accuracy.value == pytest.approx(journey)
        found = results.compared(setting, "shortcut", "journey")
        assert found.accuracy.value == pytest.approx(journey - 0.5)
        assert found.by_seed == pytest.approx((journey - 0.5,) * 2)
        assert (shown(found) == 1) == (journey - 0.5 >= TARGET)
    assert results.rows["same_journeys"]
    assert results.plug_back.solve_rate.value == 0
    assert results.plug_back.base.precision == 1
    page, *pictures = write_page(results, runs / "page" / "page.md", command="make experiment SIZE=small")
    text = page.read_text()
    assert said in text
    assert "Only a rehearsal" in text
    assert f"{100 * journey:.1f}% [" in text
    assert all(title in text and title in results_table(results) for title in results.titles.values())
    assert [picture.read_bytes()[:4] for picture in pictures] == [b"\x89PNG"] * 2
    assert str(runs) not in text, "a page tells nothing of the machine's folders"


def test_a_page_on_dead_ends_counts_tries_in_place_of_slips(runs: Path) -> None:
    count = {"data": 8, "held_out": 100, "validation": 10, "preference": 10, "fresh": 8}
    settings = small(runs, count=count, errors="dead-ends", page_name="other")
    experiment = Experiment.of(settings)
    experiment.problems.draw(settings)
    _write_models(experiment)
    experiment._write_rows(runs / "small" / "runs" / "data")
    tried = {
        "question": "Use all the numbers 2, 3 to make 6.",
        "text": "2 + 3 = 5\nWait. 5 is not 6. Once more: 2 * 3 = 6",
    }
    for setting in (*SETTINGS, "validation-greedy"):
        _write_evaluation(experiment, setting, dict.fromkeys([BASE, *(arm.name for arm in ARMS)], 0.5), **tried)
    results = read_results(settings, problems=experiment.problems, stages=experiment.stages, best="dpo-1")
    page, *_ = write_page(results, experiment.page, command="make experiment")
    text = page.read_text()
    assert page.name == "other.md"
    assert "a miss can be seen" in text
    assert "| shortcut SFT | 2.0 | 0.0% | 200 | 200 (100.0%) | 200 | 0 (0.0%) |" in text
    assert "behind 100.0% (shortcut: 100.0%) of the tries that missed they try again" in text
    assert "chain_sum (min_terms 2, max_terms 3" in text
    assert "| shortcut SFT | 50.0% (5) | 50.0% (10) |" in text, "its seeds are right at the same problems"
    assert not bought(results, "trained-sampled"), "answers of one length"
    pooled = results.pooled["trained-sampled"]
    pooled = pooled | {"journey": replace(pooled["journey"], tokens=11.0)}
    told = bought(replace(results, pooled={"trained-sampled": pooled}), "trained-sampled")
    assert told.startswith(
        "A journey answer takes 11 tokens and is right in 50.0% (trained families, sampled); 2 shortcut"
    )
    assert told.endswith("answers take 10, and an oracle finds a right one among them in 50.0%.")
    assert "One seed" not in text
    alone = replace(results, settings=settings.model_copy(update={"seeds": (1,)}))
    text = write_page(alone, runs / "page" / "alone.md", command="make experiment")[0].read_text()
    assert "**One seed**: the intervals know of other problems, not of other trainings" in text
    assert "nothing: there is one seed an arm" in text


def test_an_oracle_picks_the_right_one_of_several_answers(tmp_path: Path) -> None:
    seeds = [{"a": [1.0], "b": [0.0], "c": [0.0]}, {"a": [1.0], "b": [1.0], "c": [0.0]}]
    found = _several(seeds, small(tmp_path))
    assert {k: one.value for k, one in found.items()} == pytest.approx({1: 1 / 2, 2: 2 / 3})


def test_rows_from_the_last_doubt_on_say_the_same_and_teach_no_wrong_line(runs: Path) -> None:
    write_rows(runs / "small" / "runs" / "data" / "exports", runs / "rows", share=0.5, seed=1)
    befores, afters = (
        [json.loads(row) for row in (runs / "rows" / f"{kind}.jsonl").read_text().splitlines()]
        for kind in ("journey", "from-doubt")
    )
    assert len(befores) == len(afters) > 0
    for before, after in zip(befores, afters, strict=True):
        assert "2 + 2 = 5" in before["completion"][0]["content"]
        begun, learnt = after["prompt"][-1], after["completion"][0]["content"]
        assert begun["role"] == "assistant"
        assert begun["content"] + learnt == before["completion"][0]["content"]
        assert begun["content"].endswith("2 + 2 = 5.")
        assert "2 + 2 = 5" not in learnt
        assert "2 + 2 = 4" in learnt


def test_problems_drawn_before_tasks_had_a_key_are_still_these_problems(tmp_path: Path) -> None:
    experiment = Experiment.of(small(tmp_path))
    experiment._draw()
    note = experiment.problems.folder / "drawn.json"
    drawn = json.loads(note.read_text())
    del drawn["trained"][0]["question"]
    note.write_text(json.dumps(drawn))
    experiment._draw()
    drawn["trained"][0]["weight"] = 2.0
    note.write_text(json.dumps(drawn))
    with pytest.raises(UserError, match="the problems were drawn by another recipe"):
        experiment._draw()


def test_a_thought_that_calculates_a_line_twice_goes_in_circles() -> None:
    def told(*lines: str) -> dict[str, Any]:
        return {"completion": [{"role": "assistant", "content": "\n".join(lines)}]}

    assert goes_in_circles(told("7 + 7 = 14, 14 + 2 = 16", "No, 16 is not 9. 7 + 7 = 14, 14 + 2 = 16"))
    assert not goes_in_circles(
        told("7 + 7 = 14, 14 + 2 = 16", "No, 16 is not 9. 7 + 7 = 14, 14 - 2 = 12", "Hmm.", "Hmm.")
    )


def test_a_held_out_question_in_the_data_ends_the_experiment(runs: Path) -> None:
    settings = small(runs)
    experiment = Experiment.of(settings)
    experiment.problems.draw(settings)
    experiment._write_rows(runs / "small" / "runs" / "data")
    experiment._assert_unseen()
    row = json.loads((experiment.rows / "journey.jsonl").read_text().splitlines()[0])
    held_out = experiment.problems.path("untrained")
    leaked = {"id": "x", "question": row["prompt"][0]["content"].upper() + " ", "answer": "1", "family": "x"}
    held_out.write_text(held_out.read_text() + json.dumps(leaked) + "\n")
    with pytest.raises(UserError, match="1 of its questions were learnt from"):
        experiment._assert_unseen()


def test_a_missing_size_is_one_line() -> None:
    from experiments.journey_vs_shortcut import main

    assert main(["--size", "nowhere"]) == 2
    assert run_cli(["evaluate", "--config", "configs/experiments/nowhere.yaml"]).returncode == 2


def _write_models(experiment: Experiment) -> None:
    for arm in ARMS:
        for seed in experiment.settings.seeds:
            folder = experiment.models / label(arm.name, seed)
            folder.mkdir(parents=True, exist_ok=True)
            report = {
                "steps": 3,
                "epochs": 2.0,
                "seconds": 1.0,
                "loss": {"first": 2.0, "last": 1.0},
                "data": {"rows": 8, "learnt_tokens": 100},
                "device": "CPU",
                "precision": "float32",
                "versions": {"torch": "2"},
                "history": [],
            }
            (folder / "training.json").write_text(json.dumps(report))


def sample(model: str, text: str, question: str) -> Sample:
    return Sample.model_validate(SAMPLE | {"model": model, "text": text, "question": question})


SAMPLE: dict[str, Any] = {
    "problem_id": "p",
    "family": "countdown",
    "sample": 0,
    "finish": "stop",
    "status": "wrong",
    "answer": None,
    "tokens": 5,
    "prompt_tokens": 5,
    "mean_logprob": None,
    "seconds": 0.0,
    "seed": 1,
}


def _write_evaluation(
    experiment: Experiment, setting: str, shares: Mapping[str, float], *, question: str = "", text: str = ""
) -> None:
    """Samples of which the given share is right, the same problems in every seed, and the counts beside them."""
    folder = experiment.evaluations / setting
    folder.mkdir(parents=True, exist_ok=True)
    names = [(BASE, BASE)] + [(arm.name, label(arm.name, seed)) for arm in ARMS for seed in experiment.settings.seeds]
    rows, models = [], []
    for arm, name in names:
        rows += [
            SAMPLE
            | {
                "model": name,
                "problem_id": f"p-{number}",
                "family": "chain_sum",
                "question": question,
                "text": text,
                "status": "right" if (number * 37 % 100) / 100 < shares[arm] - 1e-9 else "wrong",
            }
            for number in range(100)
        ]
        lines = {"checked": 10, "stated_false": 4, "repaired": 2, "broken": 1}
        answers = {"restated": 3, "wrong_to_right": 2, "right_to_wrong": 1}
        reflection = {"samples_with_doubt": 0.5, "answers": answers, "calculations": lines}
        accuracy = {"value": shares[arm], "low": 0.0, "high": 1.0, "method": ""}
        scores = {"samples": 100, "accuracy": accuracy, "tokens": {"mean": 5.0}, "reflection": reflection}
        models.append({"model": name, "scores": scores})
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "evaluation.json").write_text(json.dumps({"models": models}))
