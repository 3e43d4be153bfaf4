"""Whole evaluations of scripted models: what is asked, graded, kept, refused, compared."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from autogen_core.models import LLMMessage
from evaluation_material import (
    DRAWN,
    evaluated,
    half_right,
    question_of,
    recipe,
    right,
    samples_of,
    summand,
    write_sums,
)

from engines.contract import Reply
from engines.errors import PromptTooLong
from engines.scripted import ScriptedEngine
from evaluation.command import evaluate, preview
from evaluation.samples import Sample, SampleFile
from evaluation.settings import EvaluateSettings
from journeys.record import seed_for
from settings import UserError

FORMAT = """
model problem_id family question sample text finish status answer tokens prompt_tokens mean_logprob seconds seed
"""
"""What training reads; a change here is a change there."""


async def test_no_prompt_holds_a_reference_answer(tmp_path: Path) -> None:
    prompts: list[str] = []

    def listening(messages: Sequence[LLMMessage], request_id: str) -> str:
        prompts.extend(str(message.content) for message in messages)
        return "Answer: 7"

    await evaluated(recipe(tmp_path, count=6, **DRAWN), listening)
    assert len({p for p in prompts if p.startswith("What is")}) == 6
    assert prompts.count("What is 3 + 1000?") == 3
    assert not [prompt for prompt in prompts for n in range(6) if str(n + 1000) in prompt.replace("+ 1000", "")]


async def test_every_sample_is_graded_and_kept_with_what_it_took(tmp_path: Path) -> None:
    outcome = await evaluated(recipe(tmp_path), half_right)
    samples = {sample.problem_id: sample for sample in samples_of(outcome)}
    assert [samples[f"sums-{n}"].status for n in range(4)] == ["right", "wrong", "right", "wrong"]
    one = samples["sums-3"]
    assert one.answer == "1004"
    assert one.question == "What is 3 + 1000?"
    assert one.family == "odd"
    assert one.text.startswith("<think>\n3 + 1000")
    assert one.finish == "stop"
    assert one.mean_logprob is None
    assert one.tokens == 9
    assert one.seed == seed_for(0, "sums-3", 0)
    lines = (outcome.folder.path / "samples.jsonl").read_text().splitlines()
    assert [*json.loads(lines[0])] == [*Sample.model_fields] == FORMAT.split()


async def test_the_figures_agree_with_the_samples(tmp_path: Path) -> None:
    def mixed(messages: Sequence[LLMMessage], request_id: str) -> str:
        return "I do not know" if summand(messages) == 0 else half_right(messages, request_id)

    outcome = await evaluated(recipe(tmp_path, count=8), mixed)
    assert outcome.result
    model = outcome.result["models"][0]
    scores = model["scores"]
    assert scores["right"] == 3
    assert scores["accuracy"]["value"] == 3 / 8
    assert scores["accuracy"]["method"] == "wilson"
    assert scores["no_answer_rate"]["value"] == 1 / 8
    assert scores["tokens"]["right"] == 9
    assert scores["tokens"]["mean"] == pytest.approx((7 * 9 + 4) / 8)
    assert scores["outcome_efficiency"] == 3 / 8
    assert scores["process_efficiency"] == 1
    assert scores["reflection"]["calculations"] == {
        "checked": 7, "stated_false": 0, "share_true": 1.0, "repaired": 0, "broken": 0,
    }  # fmt: skip
    assert {family: found["accuracy"]["value"] for family, found in model["families"].items()} == {
        "even": 0.75,
        "odd": 0,
    }
    assert outcome.result["comparisons"] == []
    assert json.loads(outcome.folder.result.read_text()) == outcome.result
    assert outcome.folder.plot.read_bytes().startswith(b"\x89PNG")
    assert "| one | 37.5% [13.7, 69.4] | 12.5% |" in outcome.folder.table.read_text()


async def test_answers_changed_on_the_way_are_counted(tmp_path: Path) -> None:
    def second_thoughts(messages: Sequence[LLMMessage], request_id: str) -> str:
        n = summand(messages)
        first, last = [(n + 1, n), (n, n + 1), (n, n), (n + 1, n + 2)][n]
        thought = f"The answer is {first + 1000}.\nWait, let me redo this.\nIt is {last}."
        return f"<think>\n{thought}\n</think>\n\nAnswer: {last + 1000}"

    outcome = await evaluated(recipe(tmp_path), second_thoughts)
    assert outcome.result
    scores = outcome.result["models"][0]["scores"]
    assert scores["reflection"]["answers"] == {"restated": 4, "wrong_to_right": 1, "right_to_wrong": 1}
    assert scores["reflection"]["samples_with_doubt"] == 1
    assert scores["solutions"] == 2
    assert 0.25 < scores["outcome_efficiency"] < 0.75, "two of them were right long before their end, one at its end"


async def test_equal_answers_vote_together_however_they_are_written(tmp_path: Path) -> None:
    written = ["\\frac{1000}{1}", "1,000", "1000.0", "7", "7", "9"]

    def voting(messages: Sequence[LLMMessage], request_id: str) -> str:
        number = int(request_id.split("#")[1].split("/")[0])
        return f"Answer: {written[number]}"

    outcome = await evaluated(recipe(tmp_path, count=1, samples=6, sampling={"temperature": 1.0}), voting)
    assert outcome.result
    scores = outcome.result["models"][0]["scores"]
    assert scores["right"] == 3
    assert scores["maj_at"]["6"]["value"] == 1, "three ways to write 1000 outvote two of 7"
    assert scores["best_of"] == {}, "a scripted engine tells no log-probabilities"


async def test_models_side_by_side_are_compared_on_the_same_problems(tmp_path: Path) -> None:
    def worse(messages: Sequence[LLMMessage], request_id: str) -> str:
        return right(messages, request_id) if summand(messages) == 4 else "Answer: 7"

    outcome = await evaluated(recipe(tmp_path, count=8, models=["good", "poor", "same"]), right, worse, right)
    assert outcome.result
    first, second, third = outcome.result["comparisons"]
    assert (first["first"], first["second"], third["first"], third["second"]) == ("good", "poor", "poor", "same")
    assert first["accuracy"]["value"] == pytest.approx(-7 / 8)
    assert first["accuracy"]["p"] == 2 / 2**7
    assert first["p_holm"] == pytest.approx(3 * 2 / 2**7)
    assert second["accuracy"]["value"] == 0
    assert second["accuracy"]["p"] == 1
    assert first["families"]["odd"]["value"] == -1
    assert "poor - good" in outcome.folder.table.read_text()


async def test_many_models_are_compared_with_the_first_alone(tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(6)]
    outcome = await evaluated(recipe(tmp_path, models=names), *[right] * 6)
    assert outcome.result
    assert [(one["first"], one["second"]) for one in outcome.result["comparisons"]] == [("m0", n) for n in names[1:]]
    every = await evaluated(recipe(tmp_path, models=names, compare="all"))
    assert every.result
    assert len(every.result["comparisons"]) == 15


async def test_seeds_depend_on_problem_and_sample_alone(tmp_path: Path) -> None:
    outcome = await evaluated(recipe(tmp_path, models=["a", "b"], **DRAWN), right, right)
    seeds = {(s.model, s.problem_id, s.sample): s.seed for s in samples_of(outcome)}
    assert len(set(seeds.values())) == 12
    assert all(seeds["a", p, n] == seeds["b", p, n] for _, p, n in seeds)


class Narrow(ScriptedEngine):
    """An engine whose window leaves `room` tokens for the completion."""

    def __init__(self, *, room: int) -> None:
        super().__init__("Answer: 1000")
        self.room = room
        self.asked: list[int] = []

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> Reply:
        self.asked.append(options["extra_create_args"]["max_tokens"])
        if self.asked[-1] > self.room:
            raise PromptTooLong("too long")
        return await super().create(messages, **options)

    def remaining_tokens(self, messages: Sequence[LLMMessage], **options: Any) -> int:
        return self.room


async def test_a_prompt_that_leaves_less_room_is_given_what_there_is(tmp_path: Path) -> None:
    engine = Narrow(room=50)
    outcome = await evaluate(recipe(tmp_path, count=1), open_engine=lambda _: engine)
    assert engine.asked == [1024, 50]
    assert outcome.result


async def test_a_prompt_that_leaves_no_room_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="problem sums-0: its prompt does not fit the window of one"):
        await evaluate(recipe(tmp_path, count=1), open_engine=lambda _: Narrow(room=0))


async def test_hostile_text_is_data(tmp_path: Path) -> None:
    texts = [
        "\ud800 Answer: 1000",
        "Answer: \u2028 1000",
        "\x1b[2J\\boxed{" * 50,
        "Answer: __import__('os').system('x')",
    ]

    def hostile(messages: Sequence[LLMMessage], request_id: str) -> str:
        return texts[summand(messages)]

    outcome = await evaluated(recipe(tmp_path), hostile)
    file = SampleFile(outcome.folder.path / "samples.jsonl")
    file.open()
    assert file.count("one") == 4
    assert {sample.status for sample in file} <= {"right", "wrong", "unparsed"}


def test_a_preview_shows_each_models_first_prompt_and_writes_nothing(tmp_path: Path) -> None:
    planned = preview(recipe(tmp_path, models=["a", "b"]))
    assert question_of(planned.prompts["b"]) == "What is 0 + 1000?"
    assert planned.problems == 4
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"samples": 2}, "greedy samples of a problem are all the same"),
        ({"k": [4]}, "k: 4 needs as many samples"),
        ({"models": []}, "name at least one model"),
        ({"models": ["a", "a"]}, "'a' is there twice"),
        ({"best_of": ["wisdom"]}, "unknown scorer 'wisdom'; known: logprob, shortest"),
        ({"name": "../x"}, "starts? with|first a letter"),
    ],
)
def test_settings_that_cannot_work_are_named(keys: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EvaluateSettings.model_validate(keys)


def test_k_is_a_power_of_two_and_all_there_are() -> None:
    def ks(samples: int) -> tuple[int, ...]:
        return EvaluateSettings.model_validate({"samples": samples, "sampling": {"temperature": 1}}).ks

    assert ks(20) == (1, 2, 4, 8, 16, 20)
    assert ks(8) == (1, 2, 4, 8)
    assert EvaluateSettings().ks == (1,)


async def test_problems_that_are_missing_are_named(tmp_path: Path) -> None:
    settings = recipe(tmp_path)
    write_sums(tmp_path, 0)
    with pytest.raises(UserError, match=r"sums\.jsonl: there is no problem in it"):
        await evaluated(settings, right)
    missing = recipe(tmp_path, problems={"source": "file", "path": str(tmp_path / "none.jsonl")})
    with pytest.raises(UserError, match=r"none\.jsonl: no such file; there is sums\.jsonl"):
        await evaluated(missing, right)


async def test_a_model_that_is_missing_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    settings = recipe(tmp_path, models=["embedded", str(tmp_path / "nowhere")], engine={"engine": "transformers"})
    with pytest.raises(UserError, match="nowhere: no such folder"):
        await evaluated(settings, right, right)
    assert not (tmp_path / "outputs").exists()
