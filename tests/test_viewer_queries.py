"""Filters find what a plain walk over the store finds; the index follows a run that grows or breaks."""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journey_material import failed, mended, redraft
from viewer_material import first_run, problem, source_of

from journeys.record import Journey, Move
from journeys.store import Store
from settings import UserError
from viewer.filters import Filters, read_filters, words_to_match
from viewer.folders import Source, find_sources
from viewer.index import Replaced, open_index
from viewer.queries import Judged, count, listed, means, place_of, spread
from viewer.reading import read_texts, take_columns


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRACE_CACHE", str(tmp_path / "cache"))


def store_of(folder: Path, journeys: list[Journey]) -> Source:
    folder.mkdir(parents=True, exist_ok=True)
    with Store(folder / "journeys.db") as store:
        for journey in journeys:
            store.begin(redraft(journey))
            store.finish(journey)
    return source_of(folder)


@pytest.fixture
def some(tmp_path: Path) -> tuple[Source, list[Journey]]:
    """Eighteen journeys of nine problems; every third attempt is wrong, every fifth lucky."""
    journeys = []
    for number in range(9):
        here = problem(number)
        for attempt in (0, 1):
            if (number + attempt) % 3 == 2:
                journeys.append(failed(here, attempt=attempt))
            else:
                lucky = ("out of nowhere",) if (2 * number + attempt) % 5 == 0 else ()
                journeys.append(mended(here, attempt=attempt, lucky=lucky))
    return store_of(tmp_path / "run", journeys), journeys


@pytest.fixture
def index(some: tuple[Source, list[Journey]]) -> Iterator[sqlite3.Connection]:
    with open_index(some[0]) as db:
        take_columns(db, some[0])
        while read_texts(db, some[0]):
            pass
        yield db


CASES: dict[str, tuple[Filters, Callable[[Journey], bool]]] = {
    "solved": (Filters(outcome=("solved",)), lambda j: j.solved),
    "solved or wrong": (Filters(outcome=("solved", "wrong")), lambda j: True),
    "backtracks": (Filters(backtracks_min=1), lambda j: j.count(Move.BACKTRACK) >= 1),
    "short": (Filters(turns_max=3), lambda j: len(j.turns) <= 3),
    "lucky": (Filters(flag=("lucky",)), lambda j: bool(j.lucky)),
    "move": (Filters(move=("backtrack",)), lambda j: j.count(Move.BACKTRACK) > 0),
    "said": (Filters(said="34, not 36"), lambda j: any("34, not 36" in t.verdict.critique for t in j.turns)),
    "words": (Filters(q='"42 - 8 = 34"'), lambda j: any("42 - 8 = 34" in t.step for t in j.turns)),
    "two at once": (Filters(outcome=("wrong",), flag=("lucky",)), lambda j: False),
    "judged": (Filters(flag=("good",)), lambda j: j.attempt == 0),
}


@pytest.mark.parametrize("name", CASES)
def test_a_filter_finds_what_a_walk_over_the_store_finds(
    name: str, some: tuple[Source, list[Journey]], index: sqlite3.Connection
) -> None:
    filters, wanted = CASES[name]
    judged = Judged(good=[journey.id for journey in some[1] if journey.attempt == 0])
    found = {row["id"] for row in listed(index, filters, judged=judged, limit=100)}
    assert found == {journey.id for journey in some[1] if wanted(journey)}
    assert count(index, filters, judged=judged).total == len(found)


def test_each_count_is_what_choosing_it_would_leave(index: sqlite3.Connection) -> None:
    chosen = Filters(outcome=("wrong",), backtracks_max=0)
    counted = count(index, chosen)
    for value, number in counted.facets["outcome"].items():
        assert len(listed(index, chosen.model_copy(update={"outcome": (value,)}), limit=100)) == number
    for flag, number in counted.flags.items():
        assert len(listed(index, chosen.model_copy(update={"flag": (flag,)}), limit=100)) == number
    assert counted.all == 18


def test_the_neighbours_of_a_journey_are_its_neighbours_in_the_list(index: sqlite3.Connection) -> None:
    for sort in ("order", "-tokens", "newest", "turns"):
        filters = Filters(sort=sort, outcome=("solved",))
        rows = listed(index, filters, limit=100)
        ids = [row["id"] for row in rows]
        for number, row in enumerate(rows):
            place = place_of(index, filters, row["n"])
            assert place.number == number + 1
            assert place.before == (ids[number - 1] if number else None)
            assert place.after == (ids[number + 1] if number + 1 < len(ids) else None)


def test_means_and_spreads_are_those_of_the_journeys(
    some: tuple[Source, list[Journey]], index: sqlite3.Connection
) -> None:
    lengths = [len(journey.turns) for journey in some[1]]
    assert means(index, Filters())["turns"] == pytest.approx(sum(lengths) / len(lengths))
    assert spread(index, Filters(), "turns", width=1) == dict(Counter(lengths))


def test_a_journey_that_grows_is_shown_and_followed(tmp_path: Path) -> None:
    source = store_of(tmp_path / "run", [mended(problem(0))])
    with Store(source.store) as store, open_index(source) as db:
        take_columns(db, source)
        late = mended(problem(1))
        store.begin(redraft(late))
        store.flush()
        take_columns(db, source)
        assert [row["id"] for row in listed(db, Filters(outcome=("growing",)), limit=9)] == [late.id]
        store.finish(late)
        store.flush()
        take_columns(db, source)
        assert count(db, Filters()).facets.get("outcome", {}).get("growing", 0) == 0
        assert len(listed(db, Filters(outcome=("solved",)), limit=9)) == 2


def test_another_run_in_the_same_place_is_noticed(tmp_path: Path) -> None:
    source = store_of(tmp_path / "run", [mended(problem(0)), mended(problem(1))])
    with open_index(source) as db:
        take_columns(db, source)
        with sqlite3.connect(source.store) as store:  # the same file, with other journeys in it
            store.execute("UPDATE journeys SET id = 'other' WHERE rowid = 2")
        store.close()
        with pytest.raises(Replaced):
            take_columns(db, source)


def test_a_damaged_journey_is_marked_and_the_others_are_found(tmp_path: Path) -> None:
    source = store_of(tmp_path / "run", [mended(problem(0)), mended(problem(1))])
    with sqlite3.connect(source.store) as store:
        store.execute("UPDATE turns SET json = '{' WHERE journey_id = ? AND id = 2", (mended(problem(0)).id,))
    store.close()
    with open_index(source) as db:
        take_columns(db, source)
        while read_texts(db, source):
            pass
        assert [row["id"] for row in listed(db, Filters(flag=("damaged",)), limit=9)] == [mended(problem(0)).id]
        assert len(listed(db, Filters(q="42"), limit=9)) == 1


def test_columns_come_in_bit_by_bit_where_time_is_short(tmp_path: Path) -> None:
    source = store_of(tmp_path / "run", [mended(problem(number)) for number in range(4)])
    with open_index(source) as db:
        assert take_columns(db, source, seconds=-1) == ("", 4)
        assert take_columns(db, source) == ("", 0)


def test_a_link_reproduces_the_filters() -> None:
    filters = Filters(
        outcome=("solved", "wrong"),
        family=("a & b",),
        backtracks_min=2,
        q='"two words" x',
        sort="-tokens",
        flag=("lucky",),
    )
    assert read_filters(parse_qsl(filters.link())) == filters
    assert read_filters(parse_qsl(filters.link_as("a.")), prefix="a.") == filters


@pytest.mark.parametrize(
    "query", [("turns_min", "x"), ("sort", "; DROP TABLE journeys"), ("flag", "nice"), ("q", "x" * 999)]
)
def test_a_link_that_cannot_be_met_is_one_line(query: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=query[0]):
        read_filters([query])


@given(text=st.text(max_size=60))
def test_no_search_words_break_the_query(text: str) -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE texts USING fts5(said, thought)")
    if match := words_to_match(text.replace("\0", "")):
        db.execute("SELECT rowid FROM texts WHERE texts MATCH ?", (f"said : ({match})",)).fetchall()
    db.close()


def test_every_value_of_a_filter_is_bound_and_never_written_into_the_query(index: sqlite3.Connection) -> None:
    evil = "') OR 1=1; DROP TABLE journeys; --"
    filters = Filters(outcome=(evil,), family=(evil,), persona=(evil,), problem=evil, said=evil, thought=evil)
    assert listed(index, filters, limit=9) == []
    assert count(index, Filters()).all == 18


def test_folders_are_told_by_what_is_in_them(tmp_path: Path) -> None:
    run = first_run(tmp_path / "a")
    (tmp_path / "b" / "first").mkdir(parents=True)
    (tmp_path / "b" / "first" / "samples.jsonl").touch()
    found = find_sources([run, tmp_path / "b"])
    assert [(source.key, source.kind) for source in found] == [("first", "run"), ("first-2", "evaluation")]
    with pytest.raises(UserError, match="no such folder"):
        find_sources([tmp_path / "nothing"])
    with pytest.raises(UserError, match="nothing to look at in it"):
        find_sources([tmp_path / "a" / "runs" / "first" / "exports"])


def test_a_large_run_opens_and_answers_in_little_time(tmp_path: Path) -> None:
    """A twentieth of the 100,000 that benchmarks/viewer_times.py measures, with bounds for a busy machine."""
    from benchmarks.store import write

    folder = tmp_path / "large"
    folder.mkdir()
    write(folder, 5_000)
    source = source_of(folder)
    with open_index(source) as db:
        began = time.perf_counter()
        take_columns(db, source)
        rows = listed(db, Filters(), limit=50)
        assert count(db, Filters()).total == 5_000
        assert len(rows) == 50
        assert time.perf_counter() - began < 2
        for filters in (Filters(outcome=("solved",)), Filters(backtracks_min=2, sort="-tokens"), Filters(turns_max=4)):
            began = time.perf_counter()
            listed(db, filters, limit=50)
            count(db, filters)
            means(db, filters)
            assert time.perf_counter() - began < 0.3


def test_samples_are_taken_in_as_they_are_written(tmp_path: Path) -> None:
    """A half-written line waits, a line that is no sample is named, and a file that was begun anew is noticed."""

    def line(number: int) -> str:
        sample = {
            "model": "m",
            "problem_id": f"q-{number}",
            "family": "sums",
            "question": "1 + 1?",
            "sample": 0,
            "text": "Wait. 2.",
            "finish": "stop",
            "status": "right",
            "answer": "2",
            "tokens": 3,
            "prompt_tokens": 2,
            "seconds": 0.1,
        }
        return json.dumps(sample) + "\n"

    file = tmp_path / "scores" / "samples.jsonl"
    file.parent.mkdir()
    file.write_text(line(0) + line(1)[:20])
    source = source_of(file.parent)
    with open_index(source) as db:
        assert take_columns(db, source) == ("", 0)
        assert count(db, Filters()).total == 1
        file.write_text(line(0) + line(1) + "{}\n" + line(2))
        damage, _ = take_columns(db, source)
        assert "line 3 is no sample" in damage
        assert count(db, Filters(thought="wait")).total == 3
        file.write_text(line(0))
        with pytest.raises(Replaced):
            take_columns(db, source)
