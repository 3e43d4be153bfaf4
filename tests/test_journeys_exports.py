"""Exports: what a trainer reads is what the journeys say, no more, and both file formats say the same."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
import yaml
from datasets import load_dataset  # type: ignore[import-untyped]
from journey_material import CRITIC, PROBLEM, VOICE, failed, mended, redraft, turn
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from trl.data_utils import apply_chat_template, is_conversational

from journeys.exports import SETS, ExportCounts, ExportSettings, Provenance, accepted, export
from journeys.formats import Tags
from journeys.preferences import step_pairs
from journeys.record import Evidence, Journey, Move, Problem, Verification
from journeys.step_labels import step_labels
from journeys.stitching.gate import GateReport
from journeys.stitching.thought import Thought, stitch
from journeys.store import Store
from settings import UserError
from training.rows import Source, sft_row

RUN = Provenance(
    name="demo",
    protocol="dialogue",
    policy=VOICE,
    critic=CRITIC,
    problems="written here",
    num_problems=1,
    seed=0,
    digest="d1",
)
CONVERSATIONAL, STANDARD = ExportSettings(), ExportSettings(format="standard")


def exported(
    folder: Path, journeys: Iterable[Journey], settings: ExportSettings = CONVERSATIONAL, **more: Any
) -> tuple[ExportCounts, dict[str, list[dict[str, Any]]]]:
    """What `export` counts, and the rows of each set as JSONL has them."""
    with Store(folder / "journeys.db") as store:
        for journey in journeys:
            store.begin(redraft(journey))
            store.finish(journey)
        counts = export(store, folder / "exports", settings, run=RUN, **more)
    return counts, {name: lines(folder / "exports" / f"{name}.jsonl") for name in SETS}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def chatml() -> PreTrainedTokenizerFast:
    """A small tokenizer with ChatML's template, as SmolLM2 and Qwen have it."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token="<|im_end|>"
    )
    fast.chat_template = (
        "{% for message in messages %}"
        "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    return fast


@pytest.mark.parametrize("settings", [CONVERSATIONAL, STANDARD], ids=["conversational", "standard"])
def test_both_files_of_every_set_load_and_hold_the_same_rows(tmp_path: Path, settings: ExportSettings) -> None:
    counts, rows = exported(tmp_path, [mended(), failed()], settings)
    for name in SETS:
        files = {kind: str(tmp_path / "exports" / f"{name}.{kind}") for kind in ("jsonl", "parquet")}
        from_json = load_dataset("json", data_files=files["jsonl"], split="train").to_list()
        from_parquet = load_dataset("parquet", data_files=files["parquet"], split="train").to_list()
        assert from_json == from_parquet == rows[name]
        assert len(rows[name]) == counts.rows[name] > 0


def test_the_card_makes_every_set_loadable_by_name_and_tells_the_run(tmp_path: Path) -> None:
    counts, rows = exported(tmp_path, [mended(), failed()], ExportSettings(license="apache-2.0"))
    folder = tmp_path / "exports"
    for name in SETS:
        assert load_dataset(str(folder), name, split="train").to_list() == rows[name]
    front, text = (folder / "README.md").read_text("utf-8").split("---\n")[1:3]
    assert yaml.safe_load(front)["license"] == "apache-2.0"
    for fact in ("stepwise (scripted)", "strict (scripted)", "written here", "d1", "| unsolved | 1 |", "Accepted: 1"):
        assert fact in text
    assert counts.accepted == counts.accepted_with_backtrack == counts.accepted_with_error_removed == 1


def test_a_run_without_any_accepted_journey_still_gives_files_with_types(tmp_path: Path) -> None:
    counts, _ = exported(tmp_path, [])
    assert counts.rows == dict.fromkeys(SETS, 0)
    for name in SETS:
        table = pyarrow.parquet.read_table(tmp_path / "exports" / f"{name}.parquet")
        assert (table.num_rows, table.schema.field("prompt").type == pyarrow.null()) == (0, False)
        assert (tmp_path / "exports" / f"{name}.jsonl").read_bytes() == b""


def test_the_same_store_gives_the_same_bytes(tmp_path: Path) -> None:
    exported(tmp_path, [mended(), failed()])
    before = {path.name: path.read_bytes() for path in (tmp_path / "exports").iterdir()}
    with Store(tmp_path / "journeys.db", read_only=True) as store:
        export(store, tmp_path / "exports", CONVERSATIONAL, run=RUN)
    assert {path.name: path.read_bytes() for path in (tmp_path / "exports").iterdir()} == before


# Thoughts


def test_a_journey_row_asks_the_question_and_answers_with_thought_and_answer(tmp_path: Path) -> None:
    _, rows = exported(tmp_path, [mended()])
    (row,) = rows["journey_sft"]
    thought = stitch(mended())
    assert row["prompt"] == [{"role": "user", "content": PROBLEM.question}]
    assert row["completion"] == [{"role": "assistant", "content": f"<think>\n{thought.text}\n</think>\n\nAnswer: 34"}]
    assert (row["num_turns"], row["num_backtracks"], row["answer"], row["hinted"]) == (5, 2, "34", False)
    (shortcut,) = rows["shortcut_sft"]
    assert shortcut["prompt"] == row["prompt"]
    assert "43" in row["completion"][0]["content"]
    assert "43" not in shortcut["completion"][0]["content"]


def test_every_span_points_at_its_piece_of_the_completion(tmp_path: Path) -> None:
    _, rows = exported(tmp_path, [mended()], STANDARD)
    (row,) = rows["journey_sft"]
    told = {(s["turn"], s["part"]): row["completion"][s["start"] : s["end"]] for s in json.loads(row["spans"])}
    assert "17 + 25 = 43" in told[0, "step"]
    assert "42 - 8 = 34" in told[3, "step"]
    gone = [s["turn"] for s in json.loads(row["spans"]) if s.get("gone")]
    assert gone == [turn.id for turn in mended().turns if turn not in mended().path]
    start, end = sft_row(row, Source("x", 1)).gone[0]
    assert "17 + 25 = 43" in row["completion"][start:end]


@pytest.mark.parametrize(
    ("tags", "begins", "ends"),
    [
        ("think", "<think>\n", "\n</think>\n\nAnswer: 34"),
        (
            "begin_of_thought",
            "<|begin_of_thought|>\n\n",
            "\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\nAnswer: 34\n\n<|end_of_solution|>",
        ),
        ("thought_output", "<Thought>\n", "\n</Thought>\n\n<Output>\nAnswer: 34\n</Output>"),
        (Tags(open="[", close="] "), "[", "] Answer: 34"),
    ],
    ids=["think", "STILL", "Marco", "own"],
)
def test_the_tags_are_the_ones_asked_for(tmp_path: Path, tags: Any, begins: str, ends: str) -> None:
    _, rows = exported(tmp_path, [mended()], ExportSettings(format="standard", tags=tags))
    assert rows["journey_sft"][0]["completion"] == begins + stitch(mended()).text + ends


def test_a_system_message_and_another_answer_line_are_kept(tmp_path: Path) -> None:
    settings = ExportSettings(system="Think aloud.", answer_line=r"So it is $\boxed{$answer}$.")
    _, rows = exported(tmp_path, [mended()], settings)
    assert rows["journey_sft"][0]["prompt"][0] == {"role": "system", "content": "Think aloud."}
    assert rows["journey_sft"][0]["completion"][0]["content"].endswith(r"So it is $\boxed{34}$.")
    with pytest.raises(ValueError, match="needs the slot"):
        ExportSettings(answer_line="The end.")


def test_a_stored_thought_is_taken_before_a_stitched_one(tmp_path: Path) -> None:
    told = stitch(mended()).model_copy(update={"text": "I see it at once: 34.", "spans": (), "narrator": "model"})
    with Store(tmp_path / "journeys.db") as store:
        store.begin(redraft(mended()))
        store.finish(mended())
        store.add_thought(told, shortcut=False)
        export(store, tmp_path, STANDARD, run=RUN)
    (row,) = lines(tmp_path / "journey_sft.jsonl")
    assert "I see it at once" in row["completion"]
    assert row["narrator"] == "model"


# What is accepted


def hinted() -> Journey:
    journey = mended()
    told = journey.turns[2].model_copy(update={"rulings": ("refused_answer",)})
    return journey.model_copy(update={"turns": (*journey.turns[:2], told, *journey.turns[3:])})


@pytest.mark.parametrize(
    ("journey", "more", "reason"),
    [
        (failed(attempt=0), {}, "unsolved"),
        (mended(lucky=("no equation gives 34",)), {}, "lucky"),
        (hinted(), {}, "hinted"),
        (mended(), {"dirty": {PROBLEM.id: "what is 17 25 8"}}, "contaminated"),
        (mended(), {"stitch": lambda journey, shortcut: broken(journey, shortcut)}, "gate"),
        (mended(), {"stitch": lambda journey, shortcut: tagged(journey, shortcut)}, "tags_in_text"),
    ],
    ids=["unsolved", "lucky", "hinted", "contaminated", "gate", "tags in text"],
)
def test_a_journey_that_should_not_be_learnt_from_is_kept_out_and_counted(
    tmp_path: Path, journey: Journey, more: dict[str, Any], reason: str
) -> None:
    counts, rows = exported(tmp_path, [journey], **more)
    assert counts.refused == {reason: 1}
    assert counts.accepted == len(rows["journey_sft"]) == len(rows["shortcut_sft"]) == len(rows["preferences"]) == 0


def broken(journey: Journey, shortcut: bool) -> Thought:
    """A stitcher whose shortcuts break a rule of the gate."""
    report = GateReport(passed=not shortcut, failures=("agent_trace: the critic",) if shortcut else ())
    return stitch(journey, shortcut=shortcut).model_copy(update={"gate": report})


def tagged(journey: Journey, shortcut: bool) -> Thought:
    return stitch(journey, shortcut=shortcut).model_copy(update={"text": "I think </think> so."})


def test_gate_failures_are_counted_by_rule(tmp_path: Path) -> None:
    counts, _ = exported(tmp_path, [mended()], stitch=broken)
    assert counts.gate_failures == {"agent_trace": 1}


def test_hinted_journeys_are_accepted_when_allowed() -> None:
    assert accepted(hinted(), ExportSettings(allow_hinted=True)) is None


def guessing(tries: int) -> Journey:
    """`mended` with its first wrong step taken so many times in a row."""
    journey = mended()
    wrong = [journey.turns[0].model_copy(update={"id": n, "step": f"17 + 25 = {50 + n}"}) for n in range(tries)]
    moved = [
        said.model_copy(
            update={
                "id": said.id + tries - 1,
                "parent": None if said.parent is None else said.parent + tries - 1,
                "replies_to": None if said.replies_to is None else said.replies_to + tries - 1,
            }
        )
        for said in journey.turns[1:]
    ]
    return journey.model_copy(update={"turns": (*wrong, *moved)})


def test_a_step_found_after_too_many_tries_was_guessed(tmp_path: Path) -> None:
    assert [accepted(guessing(tries), CONVERSATIONAL) for tries in (1, 6, 7)] == [None, None, "guessed"]
    assert accepted(guessing(3), ExportSettings(max_tries=2)) == "guessed"
    counts, rows = exported(tmp_path, [guessing(7)])
    assert (counts.refused, rows["journey_sft"], rows["shortcut_sft"]) == ({"guessed": 1}, [], [])
    card = (tmp_path / "exports" / "README.md").read_text("utf-8")
    assert "| guessed | 1 |" in card
    assert "more than 6 failed" in card


def test_failed_tries_at_different_places_do_not_add_up() -> None:
    assert accepted(mended(), ExportSettings(max_tries=1)) is None
    assert mended().count(Move.BACKTRACK) == 2


def test_a_span_names_further_turns_that_its_words_tell(tmp_path: Path) -> None:
    journey = guessing(4)
    same = tuple(said.model_copy(update={"step": "17 + 25 = 43"}) for said in journey.turns[:4])
    _, rows = exported(tmp_path, [journey.model_copy(update={"turns": (*same, *journey.turns[4:])})], STANDARD)
    (row,) = rows["journey_sft"]
    shared = [span for span in json.loads(row["spans"]) if "also" in span]
    assert [(span["turn"], span["also"]) for span in shared] == [(1, [2, 3])]
    assert "43" in row["completion"][shared[0]["start"] : shared[0]["end"]]


# Preferences


def test_outcome_pairs_take_the_shortest_right_thought_and_at_most_the_pairs_allowed(tmp_path: Path) -> None:
    short = mended().turns[1], *mended().turns[3:]
    direct = mended(attempt=9).model_copy(
        update={
            "turns": tuple(
                said.model_copy(update={"id": n, "parent": n - 1 if n else None, "replies_to": None})
                for n, said in enumerate(short)
            )
        }
    )
    wrong = [failed(attempt=n, answer=str(40 + n)) for n in range(1, 5)]
    twin = failed(attempt=6, answer="41")
    settings = ExportSettings(max_pairs_per_problem=3)
    _, rows = exported(tmp_path, [mended(), direct, *wrong, twin], settings)
    pairs = [row for row in rows["preferences"] if row["kind"] == "outcome"]
    assert [pair["rejected_journey"] for pair in pairs] == ["sum-1#1", "sum-1#2", "sum-1#3"]
    for pair in pairs:
        assert pair["chosen_journey"] == direct.id
        assert pair["prompt"] == [{"role": "user", "content": PROBLEM.question}]
        assert pair["chosen"][0]["content"].endswith("</think>\n\nAnswer: 34")
        assert pair["rejected"][0]["content"].endswith(f"Answer: 4{pair['rejected_journey'][-1]}")


def test_attempts_at_different_problems_are_never_paired(tmp_path: Path) -> None:
    other = PROBLEM.model_copy(update={"id": "sum-2"})
    _, rows = exported(tmp_path, [mended(), failed(other)])
    assert [row for row in rows["preferences"] if row["kind"] == "outcome"] == []


def step_rows(journey: Journey, settings: ExportSettings = STANDARD) -> list[dict[str, Any]]:
    return list(step_pairs(journey, settings, lambda told: stitch(told, shortcut=True)))


def test_a_step_pair_shares_its_prefix_and_parts_at_the_first_word() -> None:
    first, second = step_rows(mended())
    assert first["prompt"].startswith(f"{PROBLEM.question}\n\n<think>\n")
    assert first["prompt"].endswith("17 + 25 =")
    assert (first["chosen"].split()[0].strip("."), first["rejected"].split()[0].strip(".")) == ("42", "43")
    assert "17 + 25 = 42" in second["prompt"]
    assert "43" not in second["prompt"]
    assert second["prompt"].endswith("42 - 8 =")
    assert (second["chosen_turn"], second["rejected_turn"], second["why"]) == (3, 2, "false_equation")


def test_a_chosen_step_does_not_own_a_mistake_that_its_prompt_does_not_hold() -> None:
    journey = mended()
    sorry = journey.turns[1].model_copy(update={"step": "Wait, I made a mistake there. 17 + 25 = 42"})
    (first, _) = step_rows(journey.model_copy(update={"turns": (journey.turns[0], sorry, *journey.turns[2:])}))
    assert "mistake" not in first["chosen"] + first["prompt"]
    assert "42" in first["chosen"]


def test_a_step_removed_on_the_critics_word_alone_makes_no_pair() -> None:
    journey = mended()
    unproven = tuple(said.model_copy(update={"evidence": ()}) for said in journey.turns)
    assert step_rows(journey.model_copy(update={"turns": unproven})) == []
    repeated = (Evidence(kind="repeated_step"),)
    only_repeated = tuple(said.model_copy(update={"evidence": repeated}) for said in journey.turns)
    assert step_rows(journey.model_copy(update={"turns": only_repeated})) == []


def test_a_step_pair_whose_sides_say_the_same_is_dropped() -> None:
    journey = mended()
    same = journey.turns[0].model_copy(update={"step": "17 + 25 = 42"})
    rows = step_rows(journey.model_copy(update={"turns": (same, *journey.turns[1:])}))
    assert [row["rejected_turn"] for row in rows] == [2]


def test_trl_takes_the_pairs_as_preference_data(tmp_path: Path, chatml: PreTrainedTokenizerFast) -> None:
    _, rows = exported(tmp_path, [mended(), failed()])
    assert {row["kind"] for row in rows["preferences"]} == {"outcome", "step"}
    for row in rows["preferences"]:
        example = {name: row[name] for name in ("prompt", "chosen", "rejected")}
        assert is_conversational(example)
        assert set(apply_chat_template(example, chatml)) == {"prompt", "chosen", "rejected"}
        begun = apply_chat_template({"prompt": row["prompt"]}, chatml)["prompt"]
        if row["kind"] == "step":  # the unfinished message stays open, and a completion continues it
            assert begun.endswith(row["prompt"][-1]["content"])
            assert row["chosen"][0]["content"][0] == " "
        else:
            assert begun.endswith("<|im_start|>assistant\n")


def test_trl_takes_the_thoughts_as_prompt_completion_data(tmp_path: Path, chatml: PreTrainedTokenizerFast) -> None:
    _, rows = exported(tmp_path, [mended()])
    example = {name: rows["journey_sft"][0][name] for name in ("prompt", "completion")}
    rendered = apply_chat_template(example, chatml)
    assert rendered["prompt"] == f"<|im_start|>user\n{PROBLEM.question}<|im_end|>\n<|im_start|>assistant\n"
    assert rendered["completion"] == rows["journey_sft"][0]["completion"][0]["content"] + "<|im_end|>\n"


# Step labels


def test_steps_are_labelled_by_what_is_known_of_them() -> None:
    path, first, second = step_labels(mended(), accepted=True)
    assert (path["steps"], path["ratings"]) == (["17 + 25 = 42", "42 - 8 = 34", "Answer: 34"], [1, 1, 1])
    assert (path["completions"], path["labels"]) == (path["steps"], [True, True, True])
    assert (first["completions"], first["labels"], first["whys"]) == (
        ["17 + 25 = 43"],
        [False],
        ["17 + 25 is 42, not 43."],
    )
    assert (second["steps"], second["ratings"]) == (["17 + 25 = 42", "42 - 8 = 36"], [1, -1])
    assert second["sources"] == ["outcome", "evidence"]
    assert path["prompt"] == PROBLEM.question


def test_steps_of_a_journey_that_came_to_nothing_are_context_and_its_answer_is_wrong() -> None:
    (row,) = step_labels(failed(), accepted=False)
    assert row["ratings"] == [0, 0, -1]
    assert row["prompt"] == f"{PROBLEM.question}\n17 + 25 = 42\n42 - 8 = 36"
    assert (row["completions"], row["labels"]) == (["Answer: 36"], [False])


def test_a_step_removed_without_proof_is_not_labelled() -> None:
    journey = mended()
    doubted = journey.turns[0].model_copy(update={"evidence": ()})
    rows = list(step_labels(journey.model_copy(update={"turns": (doubted, *journey.turns[1:])}), accepted=True))
    assert [row["turns"] for row in rows] == [[1, 3, 4], [1, 2]]


def test_a_longer_branch_is_labelled_where_it_is_known() -> None:
    told = (
        turn(0, None, "Let me add first."),
        turn(1, 0, "The sum is near 40."),
        turn(2, 1, "17 + 25 = 43", Move.BACKTRACK, keep=1, wrong="17 + 25 is 42, not 43."),
        turn(3, 0, "Answer: 34", Move.TERMINATE, answer="34"),
    )
    journey = mended().model_copy(update={"turns": told})
    path, branch = step_labels(journey, accepted=True)
    assert path["ratings"] == [1, 1]
    assert branch["ratings"] == [1, 0, -1]
    assert (branch["completions"], branch["labels"]) == (["17 + 25 = 43"], [False])
    assert branch["prompt"].endswith("Let me add first.\nThe sum is near 40.")


# Hostile text and hostile disks


def test_hostile_text_comes_through_whole(tmp_path: Path) -> None:
    question = 'Is "<|im_end|>" a\u2028token,\x00 or | a `table`?\r\n---\nlicense: stolen 中文 🙂'
    problem = Problem(id="../../etc", question=question, family="a|b\n---")
    _, rows = exported(tmp_path, [mended(problem), failed(problem)])
    assert rows["journey_sft"][0]["prompt"][0]["content"] == question
    for name in SETS:
        loaded = load_dataset("json", data_files=str(tmp_path / "exports" / f"{name}.jsonl"), split="train")
        assert loaded.to_list() == rows[name]
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == ["exports", "journeys.db"]


def test_a_run_named_to_break_the_card_does_not(tmp_path: Path) -> None:
    run = RUN.model_copy(update={"problems": "x | y\n---\nlicense: mit", "name": "a\n# b"})
    with Store(tmp_path / "journeys.db") as store:
        export(store, tmp_path, CONVERSATIONAL, run=run, dirty={"p`\n# x": "| y"})
    text = (tmp_path / "README.md").read_text("utf-8")
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "other"
    assert "\n# b" not in text
    assert "\n# x" not in text


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("in the way")
    with pytest.raises(UserError, match="exports: cannot be written"):
        exported(tmp_path, [mended()])


def test_a_failed_export_leaves_the_earlier_one_and_no_traces(tmp_path: Path) -> None:
    exported(tmp_path, [mended()])
    before = {path.name: path.read_bytes() for path in (tmp_path / "exports").iterdir()}

    def fails(journey: Journey, shortcut: bool) -> Thought:
        raise RuntimeError("in the middle")

    with Store(tmp_path / "journeys.db", read_only=True) as store, pytest.raises(RuntimeError, match="in the middle"):
        export(store, tmp_path / "exports", CONVERSATIONAL, run=RUN, stitch=fails)
    assert {path.name: path.read_bytes() for path in (tmp_path / "exports").iterdir()} == before


def test_an_exhausted_attempt_is_rejected_without_an_answer_line(tmp_path: Path) -> None:
    stopped = failed().model_copy(
        update={"turns": failed().turns[:2], "stop_reason": "exhausted:turns", "verification": None}
    )
    _, rows = exported(tmp_path, [mended(), stopped], STANDARD)
    (pair,) = (row for row in rows["preferences"] if row["kind"] == "outcome")
    assert pair["rejected"].endswith("</think>")
    assert pair["why"] == "exhausted:turns"


def test_a_right_answer_needs_its_verification_to_be_solved() -> None:
    assert (
        accepted(mended(verification=Verification(status="right", given="34", method="text")), CONVERSATIONAL) is None
    )
