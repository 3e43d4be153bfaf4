"""The store: what is flushed stays, what is repeated changes nothing, and every fault is one line."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journey_material import PROBLEM, draft, failed, grown, mended, redraft, turn

from journeys.draft import Draft
from journeys.record import Journey, Problem
from journeys.stitching.thought import stitch
from journeys.store import Store
from settings import UserError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journeys.db"


def keep(store: Store, *journeys: Journey) -> None:
    for journey in journeys:
        store.begin(redraft(journey))
        for said in journey.turns:
            store.add_turn(journey.id, said)
        store.finish(journey)


def problems(count: int) -> list[Problem]:
    return [PROBLEM.model_copy(update={"id": f"p{n}"}) for n in range(count)]


def test_a_journey_comes_back_as_it_was(path: Path) -> None:
    with Store(path) as store:
        keep(store, mended())
    with Store(path, read_only=True) as store:
        assert store.get(mended().id) == mended()
        assert [journey.digest() for journey in store.journeys()] == [mended().digest()]


@settings(max_examples=30, deadline=None)
@given(grown(), st.integers(0, 8))
def test_any_half_grown_journey_resumes_with_the_turns_it_had(
    tmp_path_factory: pytest.TempPathFactory, growing: Draft, stored: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "journeys.db"
    with Store(path) as store:
        store.begin(draft())
        for said in growing.turns[:stored]:
            store.add_turn(growing.id, said)
    with Store(path) as store:
        (resumed,) = store.growing()
        assert resumed.turns == growing.turns[:stored]
        store.begin(resumed)
        journey = growing.finish("exhausted:turns")
        store.finish(journey)  # with the turns that the store had not seen
        assert store.get(journey.id) == journey
        assert list(store.growing()) == []


def test_saying_the_same_again_changes_nothing(path: Path) -> None:
    with Store(path) as store:
        for _ in range(3):
            store.add_problems([PROBLEM])
            store.begin(draft())
            store.add_turn(draft().id, mended().turns[0])
        store.finish(mended())
        store.finish(mended())
        assert list(store.journeys()) == [mended()]
        assert list(store.problems()) == [PROBLEM]


def test_another_turn_in_a_stored_turns_place_is_refused_with_its_whole_batch(path: Path) -> None:
    with Store(path) as store:
        store.begin(draft())
        store.add_turn(draft().id, turn(0, None, "17 + 25 = 42"))
        store.flush()
        store.set_meta("later", "lost with the batch")
        store.add_turn(draft().id, turn(0, None, "17 + 25 = 43"))
        with pytest.raises(ValueError, match="turn 0 is already stored with other content"):
            store.flush()
        with pytest.raises(ValueError, match="already stored"):
            store.add_turn(draft().id, turn(1, 0, "42 - 8 = 34"))
        assert store.meta("later") is None
    with Store(path) as store:
        assert [said.step for said in next(store.growing()).turns] == ["17 + 25 = 42"]


def test_a_finished_journey_is_never_finished_otherwise_nor_begun_again(path: Path) -> None:
    other = failed(attempt=0)
    with Store(path) as store:
        keep(store, mended())
        store.flush()
        store.begin(redraft(mended()))
        with pytest.raises(ValueError, match="contradicts"):
            store.flush()
    with Store(path) as store:
        store.finish(other.model_copy(update={"turns": mended().turns}))
        with pytest.raises(ValueError, match="contradicts"):
            store.flush()
    with Store(path) as store:
        assert store.get(mended().id) == mended()


def test_a_turn_without_the_one_before_it_is_refused(path: Path) -> None:
    with Store(path) as store:
        store.begin(draft())
        with pytest.raises(ValueError, match="cannot follow 0 stored turns"):
            store.add_turn(draft().id, turn(1, 0, "42 - 8 = 34"))


def test_a_changed_problem_under_an_old_id_is_one_line_for_the_user(path: Path) -> None:
    with Store(path) as store:
        store.add_problems([PROBLEM])
    store = Store(path)
    store.add_problems([PROBLEM.model_copy(update={"question": "Another?"})])
    with pytest.raises(UserError, match="problem 'sum-1' is not the one this run began with"):
        store.flush()
    store.close()


def test_a_journey_broken_by_the_engine_can_be_grown_on(path: Path) -> None:
    broken = draft()
    broken.add(mended().turns[0])
    with Store(path) as store:
        store.begin(broken)
        store.finish(broken.finish("engine_error", error="EngineDead: gone"))
        assert store.ids() == {broken.id: "broken"}
        assert [journey.error for journey in store.journeys(outcome="engine_error")] == ["EngineDead: gone"]
    with Store(path) as store:
        assert list(store.growing(broken=False)) == []
        (again,) = store.growing()
        store.begin(again)
        assert store.status(again.id) == "growing"
        store.finish(mended())
        assert store.get(again.id) == mended()


def test_what_is_begun_while_the_leftovers_are_read_is_not_among_them(path: Path) -> None:
    first, second = problems(2)
    with Store(path) as store:
        store.begin(draft(first))
        seen = []
        for left in store.growing():
            seen.append(left.id)
            store.begin(draft(second))
        assert seen == ["p0#0"]


def test_journeys_come_in_the_order_of_their_problems_however_they_ended(path: Path) -> None:
    order = problems(150)
    with Store(path) as store:
        store.add_problems(order)
        shuffled = [failed(problem, attempt=attempt) for problem in order for attempt in (0, 1)]
        random.Random(0).shuffle(shuffled)
        keep(store, *shuffled)
        assert [journey.id for journey in store.journeys()] == [
            f"p{n}#{attempt}" for n in range(150) for attempt in (0, 1)
        ]
        assert list(store.problems()) == order


def test_journeys_are_found_by_outcome_family_and_problem(path: Path) -> None:
    plain, other = PROBLEM, Problem(id="w", question="?", answer="1", family="words")
    with Store(path) as store:
        keep(store, mended(plain), failed(plain), failed(other))
        assert [journey.id for journey in store.journeys(outcome="wrong")] == ["sum-1#1", "w#1"]
        assert [journey.id for journey in store.journeys(family="words")] == ["w#1"]
        assert [journey.id for journey in store.journeys(problem_id="sum-1", outcome="solved")] == ["sum-1#0"]


def test_counts_are_those_of_the_journeys(path: Path) -> None:
    with Store(path) as store:
        keep(store, mended(), failed())
        store.begin(draft(attempt=2))
        counts = store.counts()
    assert (counts.problems, counts.growing, counts.finished, counts.broken) == (1, 1, 2, 0)
    assert counts.outcomes == {"solved": 1, "wrong": 1, "unparsed": 0, "exhausted": 0, "engine_error": 0}
    assert (counts.turns, counts.backtracks, counts.terminates, counts.continues) == (8, 2, 2, 4)
    assert (counts.with_backtrack, counts.with_error_removed) == (1, 1)


def test_a_thought_survives_and_solved_journeys_without_one_are_named(path: Path) -> None:
    with Store(path) as store:
        keep(store, mended(), failed())
        assert store.unnarrated() == [mended().id]
        thought = stitch(mended()).model_copy(update={"narrator": "model"})
        store.add_thought(thought, shortcut=False)
    with Store(path) as store:
        assert store.unnarrated() == []
        assert store.thought(mended().id, shortcut=False) == thought
        assert store.thought(mended().id, shortcut=True) is None


def test_the_buffer_is_flushed_by_number_and_by_age(path: Path) -> None:
    with Store(path, max_rows=3, max_seconds=3600) as store, Store(path, read_only=True) as reader:
        store.set_meta("a", "1")
        store.set_meta("b", "2")
        assert reader.meta("a") is None
        store.set_meta("c", "3")
        assert reader.meta("a") == "1"
    with Store(path, max_rows=1000, max_seconds=0.05) as store, Store(path, read_only=True) as reader:
        store.set_meta("d", "4")
        assert reader.meta("d") is None
        time.sleep(0.06)
        store.set_meta("e", "5")
        assert reader.meta("d") == "4"


def test_a_reader_sees_whole_journeys_while_the_writer_goes_on(path: Path) -> None:
    with Store(path) as store, Store(path, read_only=True) as reader:
        for attempt in range(50):
            keep(store, mended(attempt=attempt))
            store.flush()
            assert all(len(journey.turns) == 5 for journey in reader.journeys())
        assert len(reader.ids()) == 50


def test_a_reader_cannot_write(path: Path) -> None:
    Store(path).close()
    with Store(path, read_only=True) as reader, pytest.raises(ValueError, match="reading only"):
        reader.set_meta("a", "1")


def test_a_second_writer_is_told_to_wait_and_a_dead_one_does_not_block(path: Path) -> None:
    with Store(path), pytest.raises(UserError, match="another process is writing this run"):
        Store(path)
    program = f"from journeys.store import Store; import os; Store({str(path)!r}); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[1]).returncode == -signal.SIGKILL
    Store(path).close()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"not a database at all" * 100, "not a store of this program"),
        (bytes(random.Random(1).randbytes(8192)), "not a store of this program"),
        (b"SQLite format 3\0" + b"\xff" * 4080, "not a store of this program|damaged"),
    ],
    ids=["text", "binary", "broken header"],
)
def test_a_file_that_is_no_store_is_one_clear_line(path: Path, content: bytes, complaint: str) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(UserError, match=complaint) as caught:
            Store(path, read_only=read_only)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE theirs (a)")
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(UserError, match="not a store of this program"):
        Store(path)
    assert path.read_bytes() == before


def test_a_store_of_another_version_is_refused(path: Path) -> None:
    with Store(path) as store:
        store.set_meta("schema_version", "99")
    with pytest.raises(UserError, match="schema version 99"):
        Store(path)


def test_no_store_to_read_is_said_so(path: Path) -> None:
    with pytest.raises(UserError, match="there is no store here"):
        Store(path, read_only=True)


def test_a_damaged_page_is_one_clear_line(path: Path) -> None:
    with Store(path) as store:
        keep(store, *(mended(attempt=attempt) for attempt in range(200)))
    content = bytearray(path.read_bytes())
    for page in range(4096 * 8, len(content) - 4096, 4096):
        content[page : page + 2048] = b"\xff" * 2048
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"damaged") as caught, Store(path) as store:
        list(store.journeys())
    assert "\n" not in str(caught.value)


def test_a_journey_tampered_with_is_named(path: Path) -> None:
    with Store(path) as store:
        keep(store, mended())
    db = sqlite3.connect(path)
    db.execute("UPDATE turns SET json = '{\"id\": 0}' WHERE id = 0")
    db.commit()
    db.close()
    with Store(path) as store, pytest.raises(UserError, match="journey sum-1#0 is damaged"):
        list(store.journeys())


def test_a_full_disk_is_one_clear_line_and_what_was_stored_stays(path: Path) -> None:
    with Store(path) as store:
        keep(store, mended())
    store = Store(path)
    store._db.execute(f"PRAGMA max_page_count = {path.stat().st_size // 4096}")  # SQLite's own way to a full disk
    with pytest.raises(UserError, match="the disk is full; free some space"):
        keep(store, *(mended(attempt=attempt) for attempt in range(1, 500)))
    store.close()
    with Store(path) as store:
        assert [journey.id for journey in store.journeys()] == [mended().id]


def test_a_folder_that_cannot_be_made_or_opened_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot make this folder"):
        Store(tmp_path / "file" / "journeys.db")
    (tmp_path / "run" / "journeys.db").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be opened"):
        Store(tmp_path / "run" / "journeys.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_clear_line_for_a_writer_and_no_hindrance_for_a_reader(path: Path) -> None:
    with Store(path) as store:
        keep(store, mended())
    path.parent.chmod(0o500)
    try:
        with pytest.raises(UserError, match=r"cannot be opened|cannot be written"):
            Store(path)
        with Store(path, read_only=True) as store:
            assert store.get(mended().id) == mended()
    finally:
        path.parent.chmod(0o700)


WRITER = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, "tests")
from journey_material import PROBLEM, mended, redraft
from journeys.store import Store

with Store(Path(sys.argv[1]), max_rows=7) as store:
    known = store.ids()
    for left in store.growing():
        store.begin(left)
        store.finish(mended(attempt=left.attempt))
    for attempt in itertools.count():
        if f"{PROBLEM.id}#{attempt}" not in known:
            journey = mended(attempt=attempt)
            store.begin(redraft(journey))
            for turn in journey.turns:
                store.add_turn(journey.id, turn)
            store.finish(journey)
            print(store.counts().finished if attempt % 5 == 0 else "", flush=True)
"""


def test_kill_9_loses_nothing_that_was_flushed_and_doubles_nothing(path: Path) -> None:
    moments = random.Random(7)
    promised = 0
    for _ in range(8):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as writer:
            assert writer.stdout is not None
            said = [writer.stdout.readline() for _ in range(6)]  # it is under way
            time.sleep(moments.uniform(0, 0.05))
            writer.kill()
            said += writer.stdout.read().splitlines()
        promised = max([promised, *(int(line) for line in said if line.strip())])
        with Store(path, read_only=True) as store:
            finished = list(store.journeys())
            assert len(finished) >= promised > 0
            assert all(journey == mended(attempt=journey.attempt) for journey in finished)
            assert [journey.attempt for journey in finished] == list(range(len(finished)))
            for left in store.growing():
                assert tuple(left.turns) == mended().turns[: len(left.turns)]
