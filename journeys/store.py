"""Journeys on disk: one SQLite file per run folder, one writer, any number of readers while it is written.

    with Store(run / "journeys.db") as store:
        store.add_problems(problems)
        for draft in store.growing():            # what an interrupted run left behind, turns and all
            ...
        store.begin(draft)
        store.add_turn(draft.id, turn)
        store.finish(journey)

Writes are buffered and committed together, in the order in which they were made: a killed process loses at most the
turns it had not flushed, and never leaves a finished journey without its turns.

`synchronous=NORMAL` under WAL: a commit survives the death of the process. A power cut may take back the last commits,
but whole ones from the end only, so the run resumes from a slightly earlier moment; the file is never inconsistent.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from journeys import tables
from journeys.database import connect, hold_writer_lock, one_line_errors
from journeys.draft import Draft, Status
from journeys.record import Journey, Outcome, Problem, Turn, Voice
from journeys.tables import Counts, lost_in, summary_row
from journeys.tree import Tree
from journeys.write_buffer import WriteBuffer
from settings import UserError

if TYPE_CHECKING:
    from journeys.stitching.thought import Thought

PAGE = 64
"""Rows read in one query. Short queries, because a long one keeps the write-ahead log from being emptied."""


class Store:
    """The journeys of one run.

    Writes (`add_problems`, `begin`, `add_turn`, `finish`, `add_thought`, `set_meta`) wait in a buffer. It is flushed
    when a write finds it holding `max_rows` rows or its oldest row `max_seconds` old, and before every read; a caller
    that may pause between writes calls `flush` itself. Every write can be repeated: the same again changes nothing.

    Raises:
        UserError: the file or folder cannot be used: missing, foreign, damaged, read-only, full, or being written by
            another process.
        ValueError: a write contradicts what is stored, found at the flush. After a failed flush nothing of its batch
            is stored and every later write fails in the same way, since it could rest on what is missing.
    """

    def __init__(self, path: Path, *, read_only: bool = False, max_rows: int = 500, max_seconds: float = 1.0) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._held: dict[str, int] = {}
        """Turns stored or buffered, for journeys that grow here."""
        self._lock = None if read_only else hold_writer_lock(self.path)
        try:
            self._db = connect(self.path, read_only=read_only)
        except BaseException:
            if self._lock:
                self._lock.close()
            raise
        self._buffer = WriteBuffer(self._db, self.path, max_rows=max_rows, max_seconds=max_seconds)

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Keep problems in their order; those already stored keep their place."""
        for problem in problems:
            self._write(tables.ADD_PROBLEM, (problem.id, problem.family, problem.model_dump_json()))

    def begin(self, draft: Draft) -> None:
        """Enter a journey, with the turns it has, as growing; also one that an engine's fault had stopped."""
        self.add_problems([draft.problem])
        critic = (draft.critic.persona, draft.critic.model) if draft.critic else (None, None)
        about = (draft.attempt, draft.seed, draft.problem.family, draft.protocol)
        spoken = (draft.policy.persona, draft.policy.model, *critic)
        self._write(tables.BEGIN, (draft.id, draft.problem.id, draft.problem.id, *about, *spoken))
        for turn in draft.turns[self._turns_held(draft.id) :]:
            self.add_turn(draft.id, turn)

    def add_turn(self, journey_id: str, turn: Turn) -> None:
        """Append a turn to a journey that was begun. Raises ValueError when the turn before it is missing."""
        held = self._turns_held(journey_id)
        if turn.id > held:
            raise ValueError(f"{journey_id}: turn {turn.id} cannot follow {held} stored turns")
        self._held[journey_id] = max(held, turn.id + 1)
        self._write(tables.ADD_TURN, (journey_id, turn.id, turn.model_dump_json()))

    def finish(self, journey: Journey) -> None:
        """Close a journey that was begun, with the turns not yet added: `broken` when the engine failed (resumable)."""
        for turn in journey.turns[self._turns_held(journey.id) :]:
            self.add_turn(journey.id, turn)
        del self._held[journey.id]
        status: Status = "broken" if journey.stop_reason == "engine_error" else "finished"
        body = journey.model_dump_json(exclude={"turns", "problem"})
        self._write(tables.FINISH, (status, *summary_row(journey), body, journey.id, body))

    def add_tree(self, journey_id: str, tree: Tree) -> None:
        """Keep what a search grew for a journey that was begun."""
        self._write(tables.ADD_TREE, (journey_id, tree.model_dump_json()))

    def add_thought(self, thought: "Thought", *, shortcut: bool) -> None:
        """Keep the thought stitched from a journey, in place of an earlier one."""
        self._write(tables.ADD_THOUGHT, (thought.journey_id, shortcut, thought.model_dump_json()))
        if not shortcut:
            self._write(tables.SET_GATE, (thought.gate.passed, thought.journey_id))

    def set_meta(self, key: str, value: str) -> None:
        """Keep a word about the run, its config digest say, in place of an earlier one."""
        self._write(tables.SET_META, (key, value))

    def flush(self) -> None:
        """Commit what is buffered as one transaction: all of it or nothing."""
        self._buffer.flush()

    def problems(self) -> Iterator[Problem]:
        """All problems, in order."""
        after = -1
        while rows := self._read(tables.PROBLEMS_AFTER, (after, PAGE)):
            yield from (Problem.model_validate_json(text) for _, text in rows)
            after = rows[-1][0]

    def growing(self, *, broken: bool = True) -> Iterator[Draft]:
        """What is left behind when the first is asked for: journeys not ended, or `broken` too, with their turns."""
        left = [row for row in self.ids().items() if row[1] == "growing" or (broken and row[1] == "broken")]
        for journey_id, _ in left:
            draft = self.draft(journey_id)
            self._held[journey_id] = len(draft.turns)
            yield draft

    def draft(self, journey_id: str) -> Draft:
        """A journey that was begun, as far as it has come."""
        row, turns = self._read(tables.DRAFT_ROW, (journey_id,))[0], self._turns(journey_id)
        tree = self.tree(journey_id)
        attempt, seed, protocol, policy, policy_model, critic, critic_model, problem, broken = row
        with self._sound(journey_id):
            return Draft(
                journey_id,
                Problem.model_validate_json(problem),
                attempt=attempt,
                seed=seed,
                protocol=protocol,
                policy=Voice(persona=policy, model=policy_model),
                critic=None if critic is None else Voice(persona=critic, model=critic_model),
                turns=map(Turn.model_validate_json, turns),
                tree=tree,
                lost=lost_in(broken),
            )

    def journeys(
        self, *, outcome: Outcome | None = None, family: str | None = None, problem_id: str | None = None
    ) -> Iterator[Journey]:
        """Journeys that ended, in the order of their problems and attempts, read as they are asked for."""
        equal = {"outcome": outcome, "family": family, "problem_id": problem_id}
        wanted = {column: value for column, value in equal.items() if value is not None}
        query = (
            "SELECT position, attempt, id FROM journeys WHERE (position, attempt, id) > (?, ?, ?)"
            f" AND status <> 'growing' {''.join(f' AND {column} = ?' for column in wanted)}"
            " ORDER BY position, attempt, id LIMIT ?"
        )
        after = (-1, 0, "")
        while page := self._read(query, (*after, *wanted.values(), PAGE)):
            for *_, journey_id in page:
                yield self._journey(journey_id)
            after = page[-1]

    def get(self, journey_id: str) -> Journey | None:
        """A journey that ended; None when there is no such, or it still grows."""
        if self.status(journey_id) in (None, "growing"):
            return None
        return self._journey(journey_id)

    def status(self, journey_id: str) -> Status | None:
        """None for a journey that was never begun."""
        rows = self._read("SELECT status FROM journeys WHERE id = ?", (journey_id,))
        return rows[0][0] if rows else None

    def ids(self) -> dict[str, Status]:
        """Every journey's status, in problem order; about 150 bytes each."""
        return dict(self._read("SELECT id, status FROM journeys ORDER BY position, attempt, id"))

    def counts(self) -> Counts:
        names = list(Counts.model_fields)
        return Counts.model_validate(dict(zip(names, self._read(tables.COUNT)[0], strict=True)))

    def thought(self, journey_id: str, *, shortcut: bool) -> "Thought | None":
        """The thought kept for a journey, if one was."""
        from journeys.stitching.thought import Thought

        rows = self._read("SELECT json FROM thoughts WHERE journey_id = ? AND shortcut = ?", (journey_id, shortcut))
        return Thought.model_validate_json(rows[0][0]) if rows else None

    @property
    def has_trees(self) -> bool:
        """Whether any of its journeys was searched for."""
        return bool(self._read(tables.HAS_TREES) and self._read(tables.ANY_TREE))

    def tree(self, journey_id: str) -> Tree | None:
        """What a search grew for a journey; None where its protocol does not search."""
        # Runs of earlier releases have no such table.
        rows = self._read(tables.TREE, (journey_id,)) if self._read(tables.HAS_TREES) else []
        return Tree.model_validate_json(rows[0][0]) if rows else None

    def unnarrated(self, *, limit: int = 256) -> list[str]:
        """The first solved and not lucky journeys that have no thought yet; empty when all have one."""
        return [journey_id for (journey_id,) in self._read(tables.UNNARRATED, (limit,))]

    def meta(self, key: str) -> str | None:
        rows = self._read("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    def close(self) -> None:
        """Flush and let go of the file; safe to call twice."""
        try:
            if not self._buffer.failed:
                self.flush()
        finally:
            self._db.close()
            if self._lock:
                self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        if self.read_only:
            raise ValueError(f"{self.path}: opened for reading only")
        self._buffer.add(statement, values)

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        if not self._buffer.failed:
            self.flush()
        return self._query(query, values)

    def _query(self, query: str, values: Sequence[Any]) -> list[Any]:
        """What is on disk, leaving out what is buffered."""
        with one_line_errors(self.path):
            return self._db.execute(query, values).fetchall()

    def _turns_held(self, journey_id: str) -> int:
        if journey_id not in self._held:
            # The buffer holds no turn of a journey that is not in `_held`, so nothing need be flushed for this.
            self._held[journey_id] = self._query("SELECT COUNT(*) FROM turns WHERE journey_id = ?", (journey_id,))[0][0]
        return self._held[journey_id]

    def _turns(self, journey_id: str) -> list[str]:
        return [text for (text,) in self._read(tables.TURNS, (journey_id,))]

    def _journey(self, journey_id: str) -> Journey:
        body, problem = self._read(tables.JOURNEY_ROW, (journey_id,))[0]
        with self._sound(journey_id):
            turns = ",".join(self._turns(journey_id))
            # The stored parts are joined as text, so that one pass parses and validates the whole.
            return Journey.model_validate_json(f'{body[:-1]},"problem":{problem},"turns":[{turns}]}}')

    @contextmanager
    def _sound(self, journey_id: str) -> Iterator[None]:
        try:
            yield
        except (ValidationError, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{self.path}: journey {journey_id} is damaged ({reason}); remove it or restore a copy"
            ) from None
