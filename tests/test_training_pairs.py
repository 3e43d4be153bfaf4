"""Pairs out of samples and preferences: which stand against which, and where their token ids part."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.embedded import embedded_folder
from evaluation.samples import Sample
from journeys.formats import TAG_STYLES
from settings import UserError
from training.dpo_settings import DPOSettings
from training.pairs import EncodedPair, Pair, PairCounts, Side, encode_pairs, read_pairs, repaired
from training.rows import Message, Source
from training.tokens import Encoder

THINK = TAG_STYLES["think"]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    from transformers import AutoTokenizer

    return Encoder(AutoTokenizer.from_pretrained(embedded_folder()))


def sample(problem: str, number: int, *, text: str, status: str, **more: Any) -> dict[str, Any]:
    row = {"model": "m", "problem_id": problem, "question": f"{problem}?", "sample": number, "text": text}
    return row | {"status": status, "finish": "stop", "tokens": len(text), "answer": "4"} | more


def written(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "samples.jsonl") -> str:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def many(problem: str, *, right: int, wrong: int) -> list[dict[str, Any]]:
    rows = [
        sample(problem, n, text=f"<think>\n{'so ' * n}4\n</think>\n\nAnswer: 4", status="right") for n in range(right)
    ]
    rows += [
        sample(problem, right + n, text=f"<think>\nhm {n}\n</think>\n\nAnswer: {n + 9}", status="wrong")
        for n in range(wrong)
    ]
    return rows


def recipe(*data: str, **keys: Any) -> DPOSettings:
    return DPOSettings(data=data, **keys)


def preference(kind: str = "outcome", **more: Any) -> dict[str, Any]:
    begun = [{"role": "assistant", "content": "<think>\nFirst, 3 + 4 = 7."}] if kind == "step" else []
    ours = " Then 7 + 1 = 8." if kind == "step" else "<think>\nIt is 8.\n</think>\n\nAnswer: 8"
    theirs = " Then 7 + 1 = 9." if kind == "step" else "<think>\nIt is 9.\n</think>\n\nAnswer: 9"
    row = {"prompt": [{"role": "user", "content": "3 + 4 + 1?"}, *begun], "kind": kind}
    row["chosen"] = [{"role": "assistant", "content": ours}]
    row["rejected"] = [{"role": "assistant", "content": theirs}]
    return row | more


# Which stand against which


def test_five_right_and_five_wrong_samples_make_five_pairs_with_the_shortest_right_one_chosen(tmp_path: Path) -> None:
    data = written(tmp_path, many("a", right=12, wrong=8) + many("b", right=2, wrong=3))
    pairs, counts = read_pairs(recipe(data))
    by_question = Counter(pair.prompt[-1].content for pair in pairs)
    assert by_question == {"a?": 5, "b?": 3}
    assert (counts.outcome, counts.questions, counts.one_sided) == (8, 2, 0)
    assert {pair.chosen.text for pair in pairs} == {"<think>\n4\n</think>\n\nAnswer: 4"}
    assert len({(pair.prompt, pair.rejected.text) for pair in pairs}) == 8


def test_plain_pairs_are_drawn_at_random_each_sample_once_and_the_seed_draws_them_again(tmp_path: Path) -> None:
    data = written(tmp_path, many("a", right=12, wrong=8))
    drawn = [read_pairs(recipe(data, plain=True, seed=seed))[0] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == len({pair.chosen.text for pair in drawn[0]}) == 5


def test_equal_texts_count_once_and_blank_ones_not_at_all(tmp_path: Path) -> None:
    rows = [sample("a", n, text=text, status="wrong") for n, text in enumerate(("x", "x ", "y", " "))]
    data = written(
        tmp_path, [*rows, sample("a", 9, text="4", status="right"), sample("a", 10, text="4", status="right")]
    )
    pairs, _ = read_pairs(recipe(data))
    assert sorted(pair.rejected.text.strip() for pair in pairs) == ["x", "y"]


def test_questions_with_one_kind_of_sample_are_counted_and_all_of_them_are_an_error(tmp_path: Path) -> None:
    pairs, counts = read_pairs(recipe(written(tmp_path, many("a", right=2, wrong=2) + many("b", right=3, wrong=0))))
    assert (len(pairs), counts.questions, counts.one_sided) == (2, 2, 1)
    with pytest.raises(UserError, match="none of its 1 questions has both right and wrong"):
        read_pairs(recipe(written(tmp_path, many("b", right=3, wrong=0))))


def test_an_answer_that_could_not_be_read_is_rejected_and_one_cut_off_gets_no_stop(
    tmp_path: Path, encoder: Encoder
) -> None:
    rows = [
        sample("a", 0, text="<think>\n4\n</think>\n\nAnswer: 4", status="right"),
        sample("a", 1, text="<think>\nand on and on", status="unparsed", finish="length"),
    ]
    pairs, counts = read_pairs(recipe(written(tmp_path, rows)))
    (pair,) = encode_pairs(pairs, encoder, settings=recipe(), counts=counts)
    assert pair.chosen[-1] == encoder.stop_id
    assert encoder.stop_id not in pair.rejected


def test_what_evaluation_writes_is_what_is_read_here(tmp_path: Path) -> None:
    said = {"model": "m", "problem_id": "p", "family": "f", "question": "3 + 4?", "sample": 0, "finish": "stop"}
    counts = {"tokens": 9, "prompt_tokens": 5, "mean_logprob": None, "seconds": 0.1, "seed": 1}
    rows = [
        Sample.model_validate({**said, **counts, "text": text, "status": status, "answer": answer})
        for text, status, answer in (("7", "right", "7"), ("8", "wrong", "8"), ("hm", "unparsed", None))
    ]
    pairs, _ = read_pairs(recipe(written(tmp_path, [row.model_dump(mode="json") for row in rows])))
    assert sorted((pair.chosen.text, pair.rejected.text) for pair in pairs) == [("7", "8"), ("7", "hm")]


def test_samples_of_several_models_are_refused_until_one_is_named(tmp_path: Path) -> None:
    rows = many("a", right=1, wrong=1)
    data = written(tmp_path, [*rows, *(row | {"model": "other"} for row in rows)])
    with pytest.raises(UserError, match=r"several models \(m, other\).*--sampled-from"):
        read_pairs(recipe(data))
    assert len(read_pairs(recipe(data, sampled_from="other"))[0]) == 1
    with pytest.raises(UserError, match="no samples of 'third'; there are some of m, other"):
        read_pairs(recipe(data, sampled_from="third"))


def test_sampled_questions_are_asked_under_the_system_text_they_were_sampled_with(tmp_path: Path) -> None:
    pairs, _ = read_pairs(recipe(written(tmp_path, many("a", right=1, wrong=1))), system="Think.")
    assert [message.role for message in pairs[0].prompt] == ["system", "user"]


def test_a_run_gives_both_kinds_of_its_preferences_or_one(tmp_path: Path) -> None:
    written(tmp_path / "run", [], "journeys.db")
    exports = tmp_path / "run" / "exports"
    exports.mkdir()
    written(exports, [preference(), preference("step"), preference("step")], "preferences.jsonl")
    run = str(tmp_path / "run")
    assert [pair.kind for pair in read_pairs(recipe(run))[0]] == ["outcome", "step", "step"]
    assert [pair.kind for pair in read_pairs(recipe(run, pairs="outcome"))[0]] == ["outcome"]
    pairs, counts = read_pairs(recipe(run, pairs="step"))
    assert (len(pairs), counts.left_out) == (2, {"outcome": 1})


def test_a_folder_of_samples_and_a_run_can_be_put_together(tmp_path: Path) -> None:
    written(tmp_path / "evaluated", many("a", right=1, wrong=1))
    other = written(tmp_path, [preference()], "pairs.jsonl")
    assert len(read_pairs(recipe(str(tmp_path / "evaluated"), other))[0]) == 2


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"question": "?"}], r"row 1: column 'prompt' is missing"),
        ([preference(rejected=None)], r"row 1: rejected: expected a text"),
        ([preference(), preference(chosen=" ")], r"row 2: chosen: is blank"),
        ([preference("step", prompt="3 + 4?\n\n<think>\n3")], r"row 1: prompt: a step pair's must be messages"),
        ([sample("a", 0, text="4", status="good")], r"row 1: status: is 'good'"),
        ([sample("a", 0, text="4", status="right", question=None)], r"row 1: question: expected a text"),
        ([], "is empty"),
        ([preference("step")], "but 1 step pairs; say --pairs step"),
    ],
)
def test_a_row_that_is_no_pair_is_one_line_that_says_where(
    rows: list[dict[str, Any]], says: str, tmp_path: Path
) -> None:
    data = written(tmp_path, rows, "rows.jsonl")
    with pytest.raises(UserError, match=says) as error:
        read_pairs(recipe(data, pairs="outcome" if "--pairs step" in says else "all"))
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="nothing to train on"):
        read_pairs(recipe())


# What the loss falls on


def pair_of(chosen: str, rejected: str, *, ends: bool = True) -> Pair:
    source = Source("pairs.jsonl", 3)
    kind = "outcome" if ends else "step"
    return Pair((Message("user", "3 + 4?"),), Side(source, chosen, ends), Side(source, rejected, ends), kind, "7")  # type: ignore[arg-type]


def encoded(pair: Pair, encoder: Encoder, **keys: Any) -> EncodedPair:
    (one,) = encode_pairs([pair], encoder, settings=recipe(**keys), counts=PairCounts())
    return one


WORDS = st.lists(
    st.sampled_from(["7", " 7", "8", " so", "\n", "Wait", " é", "🙂", " 3 + 4 = 7", ".", "  "]), max_size=6
)


@settings(deadline=None, max_examples=60)
@given(shared=WORDS, chosen=WORDS, rejected=WORDS, ends=st.booleans())
def test_what_both_sides_share_is_in_the_prompt_and_they_differ_in_their_first_token(
    encoder: Encoder, shared: list[str], chosen: list[str], rejected: list[str], ends: bool
) -> None:
    ours, theirs = ("".join(["<think>\n", *shared, *side]) for side in (chosen, rejected))
    counts = PairCounts()
    try:
        pairs = encode_pairs([pair_of(ours, theirs, ends=ends)], encoder, settings=recipe(), counts=counts)
    except UserError:
        assert counts.no_difference == 1
        return
    (pair,) = pairs
    (whole,) = encode_pairs(
        [pair_of(ours, theirs, ends=ends)], encoder, settings=recipe(plain=True), counts=PairCounts()
    )
    assert pair.chosen[0] != pair.rejected[0]
    # The same ids as without the move, and as SFT would train on: only the border has moved.
    assert pair.prompt + pair.chosen == whole.prompt + whole.chosen
    assert pair.prompt + pair.rejected == whole.prompt + whole.rejected
    for side in (whole.chosen, whole.rejected):
        assert list(side).count(encoder.stop_id) == ends
        assert not ends or side[-1] == encoder.stop_id


def test_a_step_pair_goes_on_with_what_is_begun_and_has_no_stop(tmp_path: Path, encoder: Encoder) -> None:
    pairs, counts = read_pairs(recipe(written(tmp_path, [preference("step")], "pairs.jsonl")))
    (pair,) = encode_pairs(pairs, encoder, settings=recipe(), counts=counts)
    assert encoder.tokenizer.decode(list(pair.prompt)).endswith("assistant\n<think>\nFirst, 3 + 4 = 7. Then 7 + 1 = ")
    assert encoder.tokenizer.decode(list(pair.chosen)) == "8."
    assert encoder.tokenizer.decode(list(pair.rejected)) == "9."


def test_one_side_that_only_begins_the_other_is_no_pair(encoder: Encoder) -> None:
    counts = PairCounts()
    good = pair_of("<think>\n7", "<think>\n8")
    pairs = [pair_of("<think>\n7", "<think>\n7 and", ends=False), pair_of("7", "7"), good]
    assert len(encode_pairs(pairs, encoder, settings=recipe(), counts=counts)) == 1
    assert counts.no_difference == 2
    with pytest.raises(UserError, match="no pair whose sides differ"):
        encode_pairs(pairs[:2], encoder, settings=recipe("d"), counts=PairCounts())


def test_a_stop_that_is_in_the_text_already_is_not_doubled(encoder: Encoder) -> None:
    pair = encoded(pair_of("7<|im_end|>\n", "8<|im_end|>"), encoder)
    assert [list(side).count(encoder.stop_id) for side in (pair.chosen, pair.rejected)] == [1, 1]


def test_a_pair_that_is_too_long_is_named_with_its_length(encoder: Encoder) -> None:
    with pytest.raises(
        UserError, match=r"pairs\.jsonl: row 3: this side of a pair is \d+ tokens long, max_length is 64"
    ):
        encoded(pair_of("7", "8 and so on " * 40), encoder, max_length=64)


def test_thought_only_leaves_out_the_answer_and_the_stop(encoder: Encoder) -> None:
    pair = pair_of("<think>\n3 + 4 = 7.\n</think>\n\nAnswer: 7", "<think>\nIt is 8.\n</think>\n\nAnswer: 8")
    (bare,) = repaired([pair], recipe(thought_only=True), tags=THINK)
    assert (bare.chosen.text, bare.rejected.text) == ("<think>\n3 + 4 = 7.", "<think>\nIt is 8.")
    assert encoder.stop_id not in encoded(bare, encoder).chosen


def test_trimming_shortens_the_chosen_side_alone() -> None:
    said = "3 + 4 = 7. The answer is 7. Let me check. 7 - 4 = 3. The answer is 7."
    pair = pair_of(f"<think>\n{said}\n</think>\n\nAnswer: 7", f"<think>\n{said} No.\n</think>\n\nAnswer: 8")
    (short,) = repaired([pair], recipe(trim="fcs"), tags=THINK)
    assert short.chosen.text == "<think>\n3 + 4 = 7. The answer is 7.\n</think>\n\nAnswer: 7"
    assert short.rejected.text == pair.rejected.text


def test_plain_turns_every_repair_off_whatever_else_is_said() -> None:
    plain = DPOSettings.model_validate({"plain": True, "sft_weight": 2.0, "prefix_in_prompt": True, "trim": "fcs"})
    assert (plain.sft_weight, plain.prefix_in_prompt, plain.chosen, plain.thought_only, plain.trim) == (
        0.0,
        False,
        "random",
        False,
        "none",
    )
    default = DPOSettings()
    assert (default.sft_weight, default.prefix_in_prompt, default.chosen, default.beta) == (1.0, True, "shortest", 0.1)
    assert (default.peak_learning_rate, DPOSettings(lora=None).peak_learning_rate) == (5e-6, 5e-7)
