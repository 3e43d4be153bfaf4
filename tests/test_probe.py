"""What a run says of its critic: false alarms from its journeys, precision and recall from finishing what was cut."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from generation_material import finished, forking_runs, journeys_of, scripted, summary_of, write_script

import run
from evaluation.intervals import ratio
from evaluation.probing import sheets
from generation.alarms import alarms_in
from generation.probe import judged_turns
from journeys.finishes import finish_id, finish_of
from journeys.record import Evidence, Journey, Move, Problem, Turn, Verdict, Verification, Voice
from journeys.store import Store

# The critic cuts "2 + 2 = 5" everywhere; finished alone it comes to 15, but in p-5 the policy mends it by itself.
# In p-1 the critic cuts a right step as well, which the policy says again.
SCRIPT = """
latency: {latency}
replies:
  "stepwise/*/0/*": "2 + 2 = 5"
  "stepwise/*/1/*": "2 + 2 = 4"
  "stepwise/*/2/*": "4 * 3 = 12"
  "stepwise/*/3/*": "Answer: 12"
  "stepwise/p-*1#0/3/*": "Three of those are 4 * 3 = 12"
  "stepwise/p-*1#0/4/*": "Answer: 12"
  "stepwise/*~0/1/*": "5 * 3 = 15"
  "stepwise/*~0/2/*": "Answer: 15"
  "stepwise/p-*5#0~0/1/*": "2 + 2 = 4"
  "stepwise/p-*5#0~0/2/*": "Answer: 12"
  "strict/*/0/*": {{move: backtrack, critique: "2 + 2 is not 5.", quote: "2 + 2 = 5", keep: 0}}
  "strict/p-*1#0/2/*": {{move: backtrack, critique: "Is that so?", quote: "4 * 3", keep: 1}}
fallback: '{{"move": "continue", "critique": "", "quote": "", "keep": 0}}'
"""


def told(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run.main([*argv, "--json"]) == 0
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    return figures


@pytest.fixture
def argv(tmp_path: Path) -> list[str]:
    argv = scripted(tmp_path, count=8)
    write_script(tmp_path, text=SCRIPT)
    return argv


def test_a_probe_finds_what_the_script_planted(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(argv) == 0
    place = tmp_path / "runs" / "run"
    alarms = summary_of(place)["false_alarms"]
    assert alarms == {
        "verified_journeys": 8,
        "journeys_with_one": 1,
        "verdicts_on_right_steps": 8 * 3 + 1,
        "backtracks": 1,  # the very step came back in other words
        "reflects": 0,
        "rate": 0.04,
    }
    found = told(capsys, "probe", str(place), "--passes", "1")["backtracks"]
    # Nine cuts: eight of the false step, of which p-5's finish comes right, and the false alarm, which comes right too.
    assert (found["cut"], found["passed"], found["problems"]) == (9, 8, 8)
    assert found["precision"]["value"] == pytest.approx(7 / 9)
    assert found["precision"]["low"] < 7 / 9 < found["precision"]["high"]
    assert found["passed_fails"]["value"] == 0
    assert found["recall"]["value"] == 1
    text = "\n".join(sheet.markdown for sheet in sheets({"backtracks": found}))
    assert "77.8%" in text
    assert json.loads((place / "probe.json").read_text())["backtracks"] == found
    assert run.main(["report", str(place)]) == 0
    assert "of cut branches fail when finished" in (place / "report.html").read_text()


def test_a_larger_probe_keeps_the_finishes_of_a_smaller_one(argv: list[str], tmp_path: Path) -> None:
    assert run.main(argv) == 0
    place = tmp_path / "runs" / "run"
    assert run.main(["probe", str(place), "--num-journeys", "3", "--passes", "1"]) == 0
    few = _finishes(place)
    assert run.main(["probe", str(place), "--num-journeys", "8", "--passes", "2"]) == 0
    many = _finishes(place)
    assert few.items() < many.items()
    assert len(many) == 9 + 2 * 8
    before = (place / "probe.json").read_bytes()
    assert run.main(["probe", str(place), "--num-journeys", "8", "--passes", "2"]) == 0
    assert (place / "probe.json").read_bytes() == before


def test_a_finish_begins_with_what_the_policy_had_seen(argv: list[str], tmp_path: Path) -> None:
    assert run.main(argv) == 0
    place = tmp_path / "runs" / "run"
    assert run.main(["probe", str(place)]) == 0
    journeys = {journey.id: journey for journey in journeys_of(place)}
    with Store(place / "probe.db", read_only=True) as store:
        finishes = list(store.journeys())
    for finish in finishes:
        journey_id, place_of_turn = finish_of(finish.id)
        begun = journeys[journey_id].turns[: place_of_turn + 1]
        assert [turn.step for turn in finish.turns[: len(begun)]] == [turn.step for turn in begun]
        assert [turn.verdict for turn in finish.turns[:place_of_turn]] == [turn.verdict for turn in begun[:-1]]
        assert not any(turn.removes for turn in finish.turns[place_of_turn:])
        new = finish.turns[len(begun) :]
        assert finish.completion_tokens == sum(turn.policy_cost.completion_tokens for turn in new)
        assert finish_id(journey_id, place_of_turn) == finish.id


def test_a_killed_probe_loses_no_finish_and_ends_as_if_undisturbed(argv: list[str], tmp_path: Path) -> None:
    assert run.main(argv) == 0
    place, other = tmp_path / "runs" / "run", tmp_path / "runs" / "other"
    assert run.main([*argv, "--name", "other"]) == 0
    assert run.main(["probe", str(other)]) == 0
    write_script(tmp_path, latency=0.03, text=SCRIPT)
    held: dict[str, str] = {}
    with forking_runs() as runs:
        for _ in range(3):
            pid = runs.start(["probe", str(place)])
            begun = time.monotonic()
            while len(_finishes(place)) <= len(held) and time.monotonic() < begun + 20:
                time.sleep(0.01)
            os.kill(pid, signal.SIGKILL)
            runs.wait()
            now = _finishes(place)
            assert held.items() <= now.items(), "a finish was lost or changed"
            held = now
        assert held, "the kills came too early to test going on"
        runs.start(["probe", str(place)])
        assert runs.wait() == 0
    assert _finishes(place) == _finishes(other)
    assert (place / "probe.json").read_text() == (other / "probe.json").read_text()


def test_what_a_point_costs_is_told_only_where_one_was_gained(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(argv) == 0
    alone = [*argv, "--name", "alone", "--protocol.kind", "solo"]
    write_script(tmp_path, text=SCRIPT.replace('"Answer: 12"', '"Answer: 13"'))
    assert run.main(alone) == 0
    ours, theirs = (tmp_path / "runs" / name for name in ("run", "alone"))
    found = told(capsys, "probe", str(ours), "--num-journeys", "0", "--against", str(theirs))
    assert "backtracks" not in found
    gained = found["against"]
    assert gained["solved"]["value"] == 1
    assert gained["problems"] == 8
    extra = sum(one.completion_tokens for one in journeys_of(ours)) - sum(
        one.completion_tokens for one in journeys_of(theirs)
    )
    assert gained["tokens_per_point"]["value"] == pytest.approx(extra / 8 / 100)
    lost = told(capsys, "probe", str(theirs), "--num-journeys", "0", "--against", str(ours))["against"]
    assert lost["solved"]["value"] == -1
    assert lost["tokens_per_point"] is None
    assert "no gain shown" in sheets({"against": lost})[0].markdown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--num-journeys", "-1"], "--num-journeys and --passes are 0 or more"),
        (["--num-journeys", "0"], "nothing probed yet"),
        (["--nonsense", "3"], "not an option of probe"),
        (["--against", "nowhere"], "nowhere/journeys.db: there is no store here"),
    ],
)
def test_bad_input_is_one_line(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    assert run.main(argv) == 0
    capsys.readouterr()
    assert run.main(["probe", str(tmp_path / "runs" / "run"), *change]) == 2
    complaint = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in complaint


def test_runs_that_nobody_judged_or_that_are_not_there_are_one_line(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["probe", str(tmp_path / "nothing")]) == 2
    assert "there is no store here" in capsys.readouterr().err
    assert run.main([*argv, "--protocol.kind", "solo"]) == 0
    capsys.readouterr()
    assert run.main(["probe", str(tmp_path / "runs" / "run")]) == 2
    assert "nobody judged its steps (solo)" in capsys.readouterr().err


def test_false_alarms_are_told_by_verified_journeys_alone() -> None:
    again = [("1 + 1 = 2", Move.BACKTRACK), ("1 + 1 = 2", Move.REFLECT), ("Answer: 2", Move.TERMINATE)]
    found = alarms_in(_journey(again))
    assert found is not None
    assert (found.verdicts, found.backtracks, found.reflects) == (3, 1, 1)
    assert alarms_in(_journey(again, lucky=("a guess",))) is None
    assert alarms_in(_journey(again, right=False)) is None


def test_going_in_circles_and_proven_slips_are_no_false_alarms() -> None:
    circle = [("1 + 1 = 2", Move.CONTINUE), ("1 + 1 = 2", Move.BACKTRACK), ("Answer: 2", Move.TERMINATE)]
    found = alarms_in(_journey(circle))
    assert found is not None
    assert (found.verdicts, found.backtracks) == (2, 0)
    slip = [("1 + 1 = 3", Move.BACKTRACK), ("1 + 1 = 3", Move.CONTINUE), ("Answer: 2", Move.TERMINATE)]
    found = alarms_in(_journey(slip, evidence=(Evidence(kind="false_equation", quote="1 + 1 = 3"),)))
    assert found is not None
    assert found.backtracks == 0


def test_what_the_verifier_refused_is_not_the_critics_cut() -> None:
    journey = _journey([("Answer: 3", Move.BACKTRACK), ("1 + 1 = 2", Move.CONTINUE), ("Answer: 2", Move.TERMINATE)])
    assert [turn.id for turn in judged_turns(journey, seed=0, passes=0)] == [0]
    refused = journey.turns[0].model_copy(update={"rulings": ("refused_answer",)})
    hinted = journey.model_copy(update={"turns": (refused, *journey.turns[1:])})
    assert judged_turns(hinted, seed=0, passes=0) == []
    one, two = (judged_turns(journey, seed=0, passes=passes) for passes in (1, 2))
    assert one == two[:2]


def test_a_ratio_draws_problems_above_and_below_the_line_together() -> None:
    found = ratio([10, 20, 30, 40], [1, 2, 3, 4])
    assert (found.value, found.low, found.high) == (10, 10, 10)
    assert ratio([0, 0, 0], [2, 2, 0]).high == ratio([0, 0], [1, 1]).high > 0.5
    whole = ratio([2, 1], [2, 1])
    assert (whole.value, whole.high) == (1, 1)
    assert whole.low < 0.5
    with pytest.raises(ValueError, match="below the line"):
        ratio([1.0], [0.0])


def _finishes(place: Path) -> dict[str, str]:
    if not (place / "probe.db").is_file():
        return {}
    copy = place / "look"
    copy.mkdir(exist_ok=True)
    link = copy / "journeys.db"
    if not link.exists():
        link.symlink_to(place / "probe.db")
    return finished(copy)


def _journey(
    said: list[tuple[str, Move]],
    *,
    right: bool = True,
    lucky: tuple[str, ...] = (),
    evidence: tuple[Evidence, ...] = (),
) -> Journey:
    """A journey in which every backtrack takes back its own step alone."""
    turns: list[Turn] = []
    path: list[int] = []
    for place, (step, move) in enumerate(said):
        verdict = Verdict(move=move, keep=len(path) if move is Move.BACKTRACK else 0)
        parent = path[-1] if path else None
        turns.append(Turn(id=place, parent=parent, step=step, verdict=verdict, evidence=evidence if place == 0 else ()))
        if move is not Move.BACKTRACK:
            path.append(place)
    status = "right" if right else "wrong"
    return Journey(
        id="p#0",
        problem=Problem(id="p", question="1 + 1?", answer="2"),
        protocol="dialogue",
        policy=Voice(persona="p", model="m"),
        turns=tuple(turns),
        stop_reason="solved" if right else "wrong",
        verification=Verification(status=status, given="2", method="math-verify"),
        lucky=lucky,
    )
