"""Exports: what a trainer reads is what the journeys say, no more, and both file formats say the same."""

import json
from pathlib import Path
from typing import Any

import pyarrow  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
import yaml
from datasets import load_dataset  # type: ignore[import-untyped]
from export_material import CONVERSATIONAL, RUN, STANDARD, exported, lines
from journey_material import PROBLEM, failed, mended, redraft
from test_journeys_accepted import guessing

from journeys.exports import SETS, ExportSettings, accepted, export
from journeys.formats import Tags
from journeys.record import Journey, Problem, Verification, Voice
from journeys.stitching.thought import Thought, stitch
from journeys.store import Store
from settings import UserError
from training.rows import Source, sft_row


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


def test_a_span_names_further_turns_that_its_words_tell(tmp_path: Path) -> None:
    journey = guessing(4)
    same = tuple(said.model_copy(update={"step": "17 + 25 = 43"}) for said in journey.turns[:4])
    _, rows = exported(tmp_path, [journey.model_copy(update={"turns": (*same, *journey.turns[4:])})], STANDARD)
    (row,) = rows["journey_sft"]
    shared = [span for span in json.loads(row["spans"]) if "also" in span]
    assert [(span["turn"], span["also"]) for span in shared] == [(1, [2, 3])]
    assert "43" in row["completion"][shared[0]["start"] : shared[0]["end"]]


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


def test_the_card_says_where_a_critic_is_no_model(tmp_path: Path) -> None:
    run = RUN.model_copy(update={"critic": Voice(persona="evidence", model="")})
    with Store(tmp_path / "journeys.db") as store:
        export(store, tmp_path, CONVERSATIONAL, run=run)
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "| critic | evidence (no model) |" in text
    assert "| policy | stepwise (scripted) |" in text


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


def test_a_right_answer_needs_its_verification_to_be_solved() -> None:
    assert (
        accepted(mended(verification=Verification(status="right", given="34", method="text")), CONVERSATIONAL) is None
    )
