"""Judgements are kept, replaced and taken back, and become rows that training reads."""

from pathlib import Path

import pytest
from journey_material import failed, mended, redraft
from viewer_material import problem, source_of

from journeys.exports import ExportSettings
from journeys.preferences import step_pairs
from journeys.step_labels import step_labels
from journeys.stitching.thought import stitch
from journeys.store import Store
from settings import UserError
from training.dpo_settings import DPOSettings
from training.pairs import read_pairs
from viewer.folders import Source
from viewer.judged_rows import export_judged, label_rows, pair_rows
from viewer.judgements import Judgement, Judgements

GOOD, BAD = mended(problem(0)), failed(problem(0))


@pytest.fixture
def source(tmp_path: Path) -> Source:
    folder = tmp_path / "run"
    folder.mkdir()
    with Store(folder / "journeys.db") as store:
        for journey in (GOOD, BAD):
            store.begin(redraft(journey))
            store.finish(journey)
    return source_of(folder)


def test_a_judgement_is_replaced_by_the_next_and_taken_back_by_none(source: Source) -> None:
    kept = Judgements(source.path)
    assert kept.all() == []
    assert not kept.path.exists(), "reading makes no file"
    kept.put(Judgement(journey_id=GOOD.id, turn=1, mark="good"))
    kept.put(Judgement(journey_id=GOOD.id, turn=1, mark="bad", note="no"))
    assert [(one.mark, one.note) for one in kept.all()] == [("bad", "no")]
    assert kept.judged().bad == {GOOD.id}
    kept.put(Judgement(journey_id=GOOD.id, turn=1, note="only a note"))
    assert kept.judged().bad == set()
    kept.put(Judgement(journey_id=GOOD.id, turn=1))
    assert kept.all() == []


def test_judged_steps_have_the_columns_of_the_runs_own_rows() -> None:
    marks = [
        Judgement(journey_id=GOOD.id, turn=0, mark="bad", note="not 43"),
        Judgement(journey_id=GOOD.id, turn=1, mark="good"),
        Judgement(journey_id=GOOD.id, turn=3, mark="good"),
    ]
    rows = list(label_rows(GOOD, marks))
    assert [row["turns"] for row in rows] == [[0], [1, 3]], "turn 1 lies on the way to turn 3"
    assert [row["labels"] for row in rows] == [[False], [True, True]]
    assert rows[0]["whys"] == ["not 43"]
    ours = next(step_labels(GOOD, accepted=True))
    assert rows[0].keys() == ours.keys()
    (pair,) = pair_rows([(GOOD, marks)], ExportSettings())
    assert (pair["chosen_turn"], pair["rejected_turn"]) == (1, 0)
    own = next(step_pairs(GOOD, ExportSettings(), lambda one: stitch(one, shortcut=True)))
    assert pair.keys() == own.keys()
    assert {key: pair[key] for key in ("prompt", "chosen", "rejected")} == {
        key: own[key] for key in ("prompt", "chosen", "rejected")
    }


def test_a_step_that_was_not_judged_is_context_and_no_label() -> None:
    (row,) = label_rows(GOOD, [Judgement(journey_id=GOOD.id, turn=3, mark="bad")])
    assert row["completions"] == ["42 - 8 = 34"]
    assert row["labels"] == [False]
    assert "17 + 25 = 42" in row["prompt"]
    assert row["ratings"] == [0, -1]


def test_judgements_are_trained_on_as_they_are_written(source: Source) -> None:
    kept = Judgements(source.path)
    kept.put(Judgement(journey_id=GOOD.id, turn=0, mark="bad"))
    kept.put(Judgement(journey_id=GOOD.id, turn=1, mark="good"))
    kept.put(Judgement(journey_id=GOOD.id, mark="good"))
    kept.put(Judgement(journey_id=BAD.id, mark="bad"))
    kept.put(Judgement(journey_id="gone", mark="bad"))
    written = export_judged(source)
    assert {path.name: rows for path, rows in written.items()} == {"step_labels.jsonl": 2, "preferences.jsonl": 2}
    (file,) = [str(path) for path in written if path.name == "preferences.jsonl"]
    pairs, _ = read_pairs(DPOSettings(model="embedded", data=(file,)))
    assert len(pairs) == 2


def test_a_folder_that_cannot_be_written_is_one_line(source: Source) -> None:
    Judgements(source.path).put(Judgement(journey_id=GOOD.id, mark="good"))
    (source.path / "judged").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be written"):
        export_judged(source)
