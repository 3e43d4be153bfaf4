"""Two sides on the same problems: which went from wrong to right, and which the other way."""

import math
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from viewer.filters import Filters
from viewer.queries import condition

CHANGES = {
    "gained": "theirs.share > ours.share",
    "lost": "theirs.share < ours.share",
    "kept": "theirs.share = ours.share AND ours.share > 0",
    "missed": "theirs.share = 0 AND ours.share = 0",
}
"""What may have become of a problem, from the first side to the second. With several attempts a share counts."""
_SIDE = """
SELECT problem_id, MIN(position), AVG(outcome = 'solved'), COUNT(*), SUM(outcome = 'solved'), MIN(id)
FROM journeys WHERE status <> 'growing' AND {condition} GROUP BY problem_id"""
_COLUMNS = "problem_id TEXT PRIMARY KEY, position INTEGER, share REAL, tries INTEGER, solved INTEGER, one TEXT"
_JOINED = "FROM temp.ours AS ours JOIN temp.theirs AS theirs USING (problem_id)"


@dataclass(frozen=True)
class Side:
    """What one side came to over the shared problems."""

    tries: int
    solved: int

    @property
    def share(self) -> float:
        return self.solved / self.tries if self.tries else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, at 95%, as if every try were of its own."""
        if not self.tries:
            return (0.0, 1.0)
        z = 1.959963984540054
        middle = (self.share + z * z / (2 * self.tries)) / (1 + z * z / self.tries)
        half = (
            z
            / (1 + z * z / self.tries)
            * math.sqrt(self.share * (1 - self.share) / self.tries + z * z / (4 * self.tries**2))
        )
        return (max(0.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True)
class Comparison:
    """Both sides over the problems that they share."""

    problems: int
    only_first: int
    only_second: int
    first: Side
    second: Side
    changes: dict[str, int]
    p: float
    """Of the sign test: how likely so uneven a split of the changed problems is if neither side were better."""
    rows: list[dict[str, Any]]
    """One page of the problems that changed in the way that was asked for."""


def compare(
    first: sqlite3.Connection,
    second: sqlite3.Connection,
    sides: tuple[Filters, Filters],
    *,
    change: str,
    limit: int,
    offset: int = 0,
) -> Comparison:
    """Lay two sides beside each other. What is joined lies in temporary tables of the first index."""
    for name, db, filters in (("ours", first, sides[0]), ("theirs", second, sides[1])):
        first.execute(f"DROP TABLE IF EXISTS temp.{name}")
        first.execute(f"CREATE TEMP TABLE {name} ({_COLUMNS})")
        first.execute("BEGIN")
        first.executemany(f"INSERT INTO temp.{name} VALUES (?, ?, ?, ?, ?, ?)", _by_problem(db, filters))
        first.execute("COMMIT")
    sums = ", ".join(f"COALESCE(SUM({test}), 0)" for test in CHANGES.values())
    both, tries_a, solved_a, tries_b, solved_b, *changed = first.execute(
        "SELECT COUNT(*), COALESCE(SUM(ours.tries), 0), COALESCE(SUM(ours.solved), 0), "
        f"COALESCE(SUM(theirs.tries), 0), COALESCE(SUM(theirs.solved), 0), {sums} {_JOINED}"
    ).fetchone()
    alone = [
        first.execute(
            f"SELECT COUNT(*) FROM temp.{one} WHERE problem_id NOT IN (SELECT problem_id FROM temp.{other})"
        ).fetchone()[0]
        for one, other in (("ours", "theirs"), ("theirs", "ours"))
    ]
    changes = dict(zip(CHANGES, changed, strict=True))
    cursor = first.execute(
        "SELECT problem_id, ours.share AS first_share, ours.tries AS first_tries, ours.one AS first_id, "
        f"theirs.share AS second_share, theirs.tries AS second_tries, theirs.one AS second_id {_JOINED} "
        f"WHERE {CHANGES.get(change, '1')} ORDER BY ours.position LIMIT ? OFFSET ?",
        (limit, offset),
    )
    names = [column[0] for column in cursor.description]
    return Comparison(
        problems=both,
        only_first=alone[0],
        only_second=alone[1],
        first=Side(tries_a, solved_a),
        second=Side(tries_b, solved_b),
        changes=changes,
        p=sign_test(changes["gained"], changes["lost"]),
        rows=[dict(zip(names, row, strict=True)) for row in cursor],
    )


def sign_test(up: int, down: int) -> float:
    """The two-sided exact p of `up` against `down` under a fair coin; by the normal curve beyond a thousand."""
    n, least = up + down, min(up, down)
    if n == 0:
        return 1.0
    if n > 1000:
        return math.erfc(max(0.0, abs(up - down) - 1) / math.sqrt(2 * n))
    return min(1.0, float(2 * sum(math.comb(n, k) for k in range(least + 1)) / 2**n))


def _by_problem(db: sqlite3.Connection, filters: Filters) -> Iterator[tuple[Any, ...]]:
    where = condition(db, filters)
    yield from db.execute(_SIDE.format(condition=where.sql), where.values)
