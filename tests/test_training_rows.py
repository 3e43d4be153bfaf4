"""Bad data is one clear line that names the place, before any model is loaded."""

import json
from pathlib import Path
from typing import Any

import pyarrow  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from training_material import sums, write_rows

from settings import UserError
from training.command import preview
from training.rows import Message, drawn, find_file, read_sft
from training.sft_settings import SFTSettings

GOOD = sums(1)[0]


def refusal(*data: str, **keys: Any) -> str:
    """What a training says to this data. The model named does not exist: it must not come to that."""
    with pytest.raises(UserError) as caught:
        preview(SFTSettings(data=data, **{"model": "/nowhere/model", **keys}))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": GOOD["prompt"]}, "column 'completion' is missing (there is prompt)"),
        ({"text": "Once upon a time"}, "column 'prompt' is missing (there is text)"),
        (GOOD | {"completion": None}, "completion: expected a text or a list of messages, found nothing"),
        (GOOD | {"completion": float("nan")}, "completion: expected a text or a list of messages, found nothing"),
        (GOOD | {"completion": "so \ud800"}, "completion: half a character"),
        (GOOD | {"completion": " \n"}, "completion: is blank"),
        (GOOD | {"completion": [{"role": "assistant", "content": ""}]}, "completion: the assistant's message is blank"),
        (
            GOOD | {"completion": [{"role": "user", "content": "hi"}]},
            "completion: expected one message of the assistant",
        ),
        (GOOD | {"prompt": []}, "prompt: expected a text or a list of messages, found nothing"),
        (GOOD | {"prompt": [{"role": "robot", "content": "hi"}]}, "prompt: a message needs a role"),
        (GOOD | {"prompt": [{"role": "user", "content": 7}]}, "prompt: a message needs a role"),
        ([1, 2], "expected an object with named columns, found list"),
    ],
)
def test_a_bad_row_is_named_by_file_and_number(tmp_path: Path, row: Any, says: str) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [GOOD, row])
    assert refusal(file).startswith(f"{file}: row 2: {says}")


def test_text_that_is_no_json_is_named_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(GOOD) + "\n\n{oops\n")
    assert refusal(str(file)).startswith(f"{file}: row 3: is not JSON: ")
    file.write_bytes(b"\xff\xfe\n")
    assert "is not" in refusal(str(file))


def test_places_without_rows_say_what_is_missing(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    assert refusal() == "data: nothing to train on; name a run folder or a file of rows with --data"
    assert refusal(str(tmp_path / "runs" / "min")).endswith(
        f"no such file or run folder; there is mine in {run.parent}"
    )
    assert refusal(str(run)).endswith("no exports/journey_sft.jsonl or .parquet in this folder; is it a run?")
    (run / "journeys.db").touch()
    assert "this run has no exports/journey_sft.jsonl yet; finish it" in refusal(str(run))
    (run / "exports").mkdir()
    (run / "exports" / "step_labels.jsonl").write_text("")
    with pytest.raises(UserError, match="no search of mcts grew this run, so it has no pairs"):
        find_file(str(run), exports="ppm")
    write_rows(run / "exports" / "journey_sft.jsonl", [])
    assert "this run has no accepted journeys to learn from (journey_sft.jsonl is empty)" in refusal(str(run))
    empty = write_rows(tmp_path / "empty.jsonl", [])
    assert refusal(empty) == f"data: {empty}: is empty; there is nothing to train on"
    (tmp_path / "rows.csv").write_text("a,b\n")
    assert "unknown kind of file '.csv'; use .jsonl or .parquet" in refusal(str(tmp_path / "rows.csv"))
    (tmp_path / "rows.parquet").write_text("no parquet")
    assert "cannot be read as Parquet" in refusal(str(tmp_path / "rows.parquet"))


def test_an_unknown_model_or_persona_is_one_line(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [GOOD])
    assert refusal(file) == "model: /nowhere/model: no such folder"
    assert "a server's weights cannot be trained" in refusal(file, model="http://localhost:8000/v1")
    assert refusal(file, model="embedded", persona="nobody").startswith(
        "persona: no policy persona 'nobody'; there is "
    )


def test_a_run_gives_its_journeys_or_their_shortcuts(tmp_path: Path) -> None:
    for kind, answer in (("journey", "4"), ("shortcut", "5")):
        write_rows(tmp_path / "exports" / f"{kind}_sft.jsonl", [GOOD | {"answer": answer}])
        assert [row.answer for row in read_sft([str(tmp_path)], data_kind=kind)] == [answer]
    assert find_file(str(tmp_path / "exports"), exports="journey_sft").name == "journey_sft.jsonl"


def test_jsonl_parquet_messages_and_plain_text_give_the_same_row(tmp_path: Path) -> None:
    question, told = GOOD["prompt"][0]["content"], GOOD["completion"][0]["content"]
    shapes = [
        GOOD,
        {"prompt": question + "\n\n", "completion": told},
        {"messages": [*GOOD["prompt"], *GOOD["completion"]]},
    ]
    lines = write_rows(tmp_path / "rows.jsonl", shapes)
    table = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([GOOD]), table)
    rows = read_sft([lines, str(table)], data_kind="journey")
    assert {(row.prompt, row.completion) for row in rows} == {((Message("user", question),), told)}
    assert [str(row.source) for row in rows][-1] == f"{table}: row 1"


def test_a_limit_draws_by_the_seed_and_keeps_the_order() -> None:
    rows = list(range(100))
    some = drawn(rows, limit=10, seed=3)
    assert some == sorted(some) == drawn(rows, limit=10, seed=3) != drawn(rows, limit=10, seed=4)
    assert drawn(rows, limit=None, seed=3) == drawn(rows, limit=100, seed=3) == rows
