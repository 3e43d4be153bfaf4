"""From filters to SQL to rows and counts. Pure reading of an index; knows nothing of pages."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from viewer.filters import Filters, words_to_match
from viewer.index import KIND

FACETS = ("outcome", "protocol", "persona", "critic", "model", "family")
"""What one value is chosen of, or several: counted beside the list."""
FLAGS: dict[str, tuple[str, int]] = {
    "lucky": ("lucky", 1),
    "not-lucky": ("lucky", 0),
    "hinted": ("hinted", 1),
    "error-removed": ("error-removed", 1),
    "parse-failure": ("parse-failure", 1),
    "gate-failed": ("gate", 0),
    "gate-passed": ("gate", 1),
    "damaged": ("damaged", 1),
}
"""A flag, and what a kind must have for it."""
MOVES = ("backtrack", "reflect", "terminate")
RANGES = {
    "backtracks": "backtracks",
    "turns": "turns",
    "tokens": "completion_tokens",
    "chars": "thought_chars",
}
_IN_ORDER = ("position", "attempt", "n")
SORTS: dict[str, tuple[tuple[str, ...], bool]] = {
    "order": (_IN_ORDER, False),
    "newest": (("n",), True),
    **{
        sign + name: ((f"COALESCE({column}, -1)", *_IN_ORDER), bool(sign))
        for name, column in (
            *(("turns", "turns"), ("backtracks", "backtracks"), ("tokens", "completion_tokens")),
            *(("thought", "thought_chars"), ("seconds", "seconds")),
        )
        for sign in ("", "-")
    },
}
"""For each order the columns that it goes by, and whether downwards."""
LISTED = (
    "offset, "
    "n, id, problem_id, family, protocol, policy_persona, policy_model, critic_persona, status, outcome, stop_reason, "
    "turns, path_length, backtracks, reflects, completion_tokens, seconds, lucky, hinted, gate, thought_chars, moves, "
    "text_id, errors_removed"
)


@dataclass(frozen=True)
class Judged:
    """Ids of judged journeys: they are kept elsewhere, and are few."""

    good: Collection[str] = ()
    bad: Collection[str] = ()

    def of(self, flag: str) -> list[str]:
        return sorted({*(self.good if flag != "bad" else ()), *(self.bad if flag != "good" else ())})


@dataclass
class Where:
    """A condition and the values in it."""

    parts: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, part: str, *values: Any) -> None:
        self.parts.append(part)
        self.values += values

    @property
    def sql(self) -> str:
        return " AND ".join(self.parts) or "1"


Kind = dict[str, Any]
"""What journeys of one kind have in common, by the names of `index.KIND`."""


def kinds(db: sqlite3.Connection) -> dict[int, Kind]:
    """Every kind there is."""
    return {
        number: dict(zip(KIND, json.loads(key), strict=True)) for number, key in db.execute("SELECT id, key FROM kinds")
    }


def fits(kind: Kind, filters: Filters, *, apart_from: str = "") -> bool:
    """Whether journeys of a kind meet the filters, as far as their kind tells, one condition set aside."""
    for name in FACETS:
        wanted = getattr(filters, name)
        if wanted and name != apart_from and str(kind[name]) not in wanted:
            return False
    if apart_from != "move" and not all(kind[move] for move in filters.move):
        return False
    flags = () if apart_from == "flag" else [FLAGS[flag] for flag in filters.flag if flag in FLAGS]
    return all(kind[name] == value for name, value in flags)


def condition(db: sqlite3.Connection, filters: Filters, judged: Judged = Judged()) -> Where:
    """The filters as SQL; every value is bound, none is written into the text."""
    where = _beside_kinds(db, filters, judged)
    known = kinds(db)
    wanted = [number for number, kind in known.items() if fits(kind, filters)]
    if len(wanted) < len(known):
        where.add(f"+kind IN ({', '.join(map(str, wanted))})")  # `+`: the order's own index is the better way
    return where


def _beside_kinds(db: sqlite3.Connection, filters: Filters, judged: Judged) -> Where:
    """The conditions that a journey's kind does not decide."""
    where = Where()
    for flag in filters.flag:
        if flag not in FLAGS:
            where.add("id IN (SELECT value FROM json_each(?))", json.dumps(judged.of(flag)))
    for name, column in RANGES.items():
        if (least := getattr(filters, f"{name}_min")) is not None:
            where.add(f"{column} >= ?", least)
        if (most := getattr(filters, f"{name}_max")) is not None:
            where.add(f"{column} <= ?", most)
    if filters.problem:
        where.add("problem_id = ?", filters.problem)
    for column, text in (("", filters.q), ("said : ", filters.said), ("thought : ", filters.thought)):
        if match := words_to_match(text):
            where.add(f"text_id IN (SELECT id FROM temp.{_hits(db, f'{column}({match})')})")
        elif text:
            where.add("0")
    return where


def _hits(db: sqlite3.Connection, match: str) -> str:
    """The table that holds the texts which a search finds: looked for once, however many queries of a page ask."""
    name = f"hits_{hashlib.sha256(match.encode()).hexdigest()[:16]}"
    if not db.execute("SELECT 1 FROM temp.sqlite_master WHERE name = ?", (name,)).fetchone():
        db.execute(f"CREATE TEMP TABLE {name} (id INTEGER PRIMARY KEY)")
        db.execute(f"INSERT INTO temp.{name} SELECT rowid FROM texts WHERE texts MATCH ?", (match,))
    return name


def listed(
    db: sqlite3.Connection, filters: Filters, *, judged: Judged = Judged(), limit: int, offset: int = 0
) -> list[dict[str, Any]]:
    """One page of the list."""
    where = condition(db, filters, judged)
    columns, down = SORTS[filters.sort]
    order = ", ".join(f"{column} {'DESC' if down else 'ASC'}" for column in columns)
    return _rows(
        db,
        f"SELECT {LISTED} FROM journeys WHERE {where.sql} ORDER BY {order} LIMIT ? OFFSET ?",
        [*where.values, limit, offset],
    )


@dataclass(frozen=True)
class Counted:
    """How many journeys there are, and how many each further choice would leave."""

    total: int
    all: int
    """Without any filter."""
    facets: dict[str, dict[str, int]]
    """For each facet its values with the journeys that they would leave, the facet's own choice set aside. A facet with
    one value only is left out, since there is nothing to choose; how journeys ended is always told."""
    flags: dict[str, int]
    moves: dict[str, int]


def count(db: sqlite3.Connection, filters: Filters, *, judged: Judged = Judged(), most: int = 40) -> Counted:
    """Everything that is counted beside a list, from one pass over it."""
    known = kinds(db)
    where = _beside_kinds(db, filters, judged)
    per_kind = dict(db.execute(f"SELECT kind, COUNT(*) FROM journeys WHERE {where.sql} GROUP BY kind", where.values))
    every = per_kind if not where.parts else dict(db.execute("SELECT kind, COUNT(*) FROM journeys GROUP BY kind"))

    def tally(name: str, value: Callable[[Kind], Any]) -> dict[Any, int]:
        counted: Counter[Any] = Counter()
        for number, kind in known.items():
            if number in per_kind and fits(kind, filters, apart_from=name):
                counted[value(kind)] += per_kind[number]
        return counted

    found: dict[str, dict[str, int]] = {}
    for name in FACETS:
        values = tally(name, lambda kind, name=name: str(kind[name]))  # type: ignore[misc]
        ranked = sorted(values.items(), key=lambda item: (-item[1], item[0]))
        chosen = getattr(filters, name)
        if chosen or name == "outcome" or len({kind[name] for kind in known.values()}) > 1:
            found[name] = dict(ranked[:most]) | {value: values.get(value, 0) for value in chosen}
    flags = {flag: tally("flag", lambda kind, key=key: kind[key])[value] for flag, (key, value) in FLAGS.items()}  # type: ignore[misc]
    moves = {move: tally("move", lambda kind, move=move: kind[move])[1] for move in MOVES}  # type: ignore[misc]
    total = sum(tally("", lambda kind: None).values())
    return Counted(total=total, all=sum(every.values()), facets=found, flags=flags, moves=moves)


@dataclass(frozen=True)
class Place:
    """Where a journey stands in a filtered list."""

    number: int
    """From 1; 0 where it is not in the list."""
    total: int
    before: str | None
    """The id of the journey before it."""
    after: str | None


def place_of(db: sqlite3.Connection, filters: Filters, n: int, *, judged: Judged = Judged()) -> Place:
    """A journey's place in the list, and its neighbours."""
    where = condition(db, filters, judged)
    columns, down = SORTS[filters.sort]
    key = ", ".join(columns)
    here = f"(SELECT {key} FROM journeys WHERE n = {int(n)})"
    inside = db.execute(f"SELECT COUNT(*) FROM journeys WHERE n = ? AND ({where.sql})", (n, *where.values)).fetchone()
    found: dict[str, str | None] = {}
    for name, below in (("before", not down), ("after", down)):
        order = ", ".join(f"{column} {'DESC' if below else 'ASC'}" for column in columns)
        row = db.execute(
            f"SELECT id FROM journeys WHERE ({key}) {'<' if below else '>'} {here} AND ({where.sql}) "
            f"ORDER BY {order} LIMIT 1",
            where.values,
        ).fetchone()
        found[name] = row[0] if row else None
    earlier, total = db.execute(
        f"SELECT COALESCE(SUM(({key}) {'>' if down else '<'} {here}), 0), COUNT(*) FROM journeys WHERE {where.sql}",
        where.values,
    ).fetchone()
    return Place(number=earlier + 1 if inside[0] else 0, total=total, **found)


def row_of(db: sqlite3.Connection, journey_id: str) -> dict[str, Any] | None:
    """The index's row of one journey."""
    rows = _rows(db, f"SELECT {LISTED}, attempt, critic_model FROM journeys WHERE id = ?", [journey_id])
    return rows[0] if rows else None


def siblings(db: sqlite3.Connection, problem_id: str) -> list[dict[str, Any]]:
    """Every attempt at a problem."""
    query = f"SELECT {LISTED} FROM journeys WHERE problem_id = ? ORDER BY policy_model, attempt, n LIMIT 60"
    return _rows(db, query, [problem_id])


def means(db: sqlite3.Connection, filters: Filters, *, judged: Judged = Judged()) -> dict[str, float | None]:
    """What a journey has on average; None where nothing is known of any."""
    where = condition(db, filters, judged)
    columns = ", ".join(f"AVG({column}) AS {name}" for name, column in RANGES.items())
    return _rows(db, f"SELECT {columns} FROM journeys WHERE {where.sql}", where.values)[0]


def spread(
    db: sqlite3.Connection, filters: Filters, name: str, *, judged: Judged = Judged(), width: float, start: float = 0
) -> dict[int, int]:
    """How often a column's value falls into each bin of `width`, by the bin's number; none are left out."""
    where = condition(db, filters, judged)
    column = RANGES[name]
    rows = db.execute(
        f"SELECT CAST(({column} - ?) / ? AS INTEGER), COUNT(*) FROM journeys "
        f"WHERE {column} IS NOT NULL AND {where.sql} GROUP BY 1",
        (start, float(width), *where.values),
    )
    return {int(bin): number for bin, number in rows}


def extent(db: sqlite3.Connection, filters: Filters, name: str, *, judged: Judged = Judged()) -> tuple[int, int] | None:
    """The least and the greatest value of a column; None where there is none."""
    where = condition(db, filters, judged)
    column = RANGES[name]
    low, high = db.execute(
        f"SELECT MIN({column}), MAX({column}) FROM journeys WHERE {where.sql}", where.values
    ).fetchone()
    return None if low is None else (low, high)


def _rows(db: sqlite3.Connection, query: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    cursor = db.execute(query, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def shares(counted: Mapping[str, int]) -> dict[str, float]:
    """Each value's share of the whole."""
    whole = sum(counted.values())
    return {name: number / whole if whole else 0.0 for name, number in counted.items()}
