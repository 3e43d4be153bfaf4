"""The store's tables, the statements that touch them, and what their columns say of a journey."""

import json
from typing import Any

from journeys.costs import Costs, costs_of
from journeys.record import Cost, Journey, Move, Outcome, Record, removals

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE problems (
    id TEXT PRIMARY KEY,
    position INTEGER NOT NULL UNIQUE,       -- the order in which the run takes them, from 0
    family TEXT NOT NULL,
    json TEXT NOT NULL
);
CREATE TABLE journeys (
    id TEXT PRIMARY KEY,
    problem_id TEXT NOT NULL REFERENCES problems (id),
    position INTEGER NOT NULL,              -- its problem's, so that one index gives problem order
    attempt INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    family TEXT NOT NULL,
    protocol TEXT NOT NULL,
    policy_persona TEXT NOT NULL,
    policy_model TEXT NOT NULL,
    critic_persona TEXT,                    -- null where nobody judged
    critic_model TEXT,
    status TEXT NOT NULL DEFAULT 'growing' CHECK (status IN ('growing', 'finished', 'broken')),
    outcome TEXT,                           -- this and all below: null until the journey ends, or breaks
    stop_reason TEXT,
    turns INTEGER,
    path_length INTEGER,
    backtracks INTEGER,
    reflects INTEGER,
    terminates INTEGER,
    errors_removed INTEGER,                 -- turns that left the path and carried fatal evidence
    parse_failures INTEGER,
    prompt_tokens INTEGER,                  -- of models that write; what a reward model read is in the json
    completion_tokens INTEGER,
    seconds REAL,                           -- in model calls
    lucky INTEGER,
    hinted INTEGER,
    json TEXT,                              -- the journey without its problem and turns
    gate INTEGER                            -- whether the thought passed; null until stitched
);
CREATE INDEX journeys_in_order ON journeys (position, attempt, id);
CREATE TABLE turns (
    journey_id TEXT NOT NULL REFERENCES journeys (id),
    id INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (journey_id, id)
) WITHOUT ROWID;                            -- a journey's turns lie together
CREATE TABLE trees (                        -- what searching protocols grew
    journey_id TEXT PRIMARY KEY REFERENCES journeys (id),
    json TEXT NOT NULL
);
CREATE TABLE thoughts (
    journey_id TEXT NOT NULL REFERENCES journeys (id),
    shortcut INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (journey_id, shortcut)
);
"""


class Counts(Record):
    """What a run holds. Sums over finished and broken journeys, except `growing`."""

    problems: int
    growing: int
    finished: int
    broken: int
    solved: int
    wrong: int
    unparsed: int
    exhausted: int
    lucky: int
    hinted: int
    with_backtrack: int
    with_error_removed: int
    """Journeys in which a backtrack removed a step that a checker had proven wrong."""
    turns: int
    backtracks: int
    reflects: int
    terminates: int
    parse_failures: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    """In model calls, summed over journeys that ran side by side."""

    @property
    def outcomes(self) -> dict[Outcome, int]:
        return {
            "solved": self.solved,
            "wrong": self.wrong,
            "unparsed": self.unparsed,
            "exhausted": self.exhausted,
            "engine_error": self.broken,
        }

    @property
    def continues(self) -> int:
        return self.turns - self.backtracks - self.reflects - self.terminates


def summary_row(journey: Journey) -> tuple[Any, ...]:
    """What the columns from `outcome` to `hinted` say of a journey."""
    costs = costs_of(journey)
    written = [cost for speaker, cost in costs.items() if speaker != "reward"]
    removed = [turn for _, branch in removals(journey.turns) for turn in branch]
    return (
        journey.outcome,
        journey.stop_reason,
        len(journey.turns),
        len(journey.path),
        journey.count(Move.BACKTRACK),
        journey.count(Move.REFLECT),
        journey.count(Move.TERMINATE),
        sum(any(found.fatal for found in turn.evidence) for turn in removed),
        sum("parse_failure" in turn.rulings for turn in journey.turns),
        sum(cost.prompt_tokens for cost in written),
        sum(cost.completion_tokens for cost in written),
        sum(cost.seconds for cost in costs.values()),
        bool(journey.lucky),
        journey.hinted,
    )


def lost_in(body: str | None) -> Costs:
    """What a journey that broke had lost by then, from its stored JSON; nothing where there is none."""
    lost = json.loads(body).get("lost", {}) if body else {}
    return {speaker: Cost.model_validate(cost) for speaker, cost in lost.items()}


# Each statement touches exactly one row, unless it contradicts what is stored: then none.
ADD_PROBLEM = """
INSERT INTO problems (id, position, family, json)
VALUES (?, COALESCE((SELECT MAX(position) FROM problems), -1) + 1, ?, ?)
ON CONFLICT (id) DO UPDATE SET json = json WHERE json = excluded.json"""
BEGIN = """
INSERT INTO journeys (id, problem_id, position, attempt, seed, family, protocol,
                      policy_persona, policy_model, critic_persona, critic_model)
VALUES (?, ?, (SELECT position FROM problems WHERE id = ?), ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET status = 'growing', outcome = NULL
WHERE status <> 'finished' AND problem_id = excluded.problem_id AND seed = excluded.seed"""
ADD_TURN = """
INSERT INTO turns (journey_id, id, json) VALUES (?, ?, ?)
ON CONFLICT (journey_id, id) DO UPDATE SET json = json WHERE json = excluded.json"""
FINISH = """
UPDATE journeys SET status = ?, outcome = ?, stop_reason = ?, turns = ?, path_length = ?, backtracks = ?, reflects = ?,
    terminates = ?, errors_removed = ?, parse_failures = ?, prompt_tokens = ?, completion_tokens = ?, seconds = ?,
    lucky = ?, hinted = ?, json = ?
WHERE id = ? AND (status <> 'finished' OR json = ?)"""
ADD_TREE = "INSERT OR REPLACE INTO trees (journey_id, json) VALUES (?, ?)"
ADD_THOUGHT = "INSERT OR REPLACE INTO thoughts (journey_id, shortcut, json) VALUES (?, ?, ?)"
SET_GATE = "UPDATE journeys SET gate = ? WHERE id = ?"
SET_META = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"

PROBLEMS_AFTER = "SELECT position, json FROM problems WHERE position > ? ORDER BY position LIMIT ?"
TREE = "SELECT json FROM trees WHERE journey_id = ?"
HAS_TREES = "SELECT 1 FROM sqlite_master WHERE name = 'trees'"
ANY_TREE = "SELECT 1 FROM trees LIMIT 1"
TURNS = "SELECT json FROM turns WHERE journey_id = ? ORDER BY id"
JOURNEY_ROW = """
SELECT journeys.json, problems.json FROM journeys JOIN problems ON problems.id = problem_id WHERE journeys.id = ?"""
DRAFT_ROW = """
SELECT attempt, seed, protocol, policy_persona, policy_model, critic_persona, critic_model, problems.json, journeys.json
FROM journeys JOIN problems ON problems.id = problem_id WHERE journeys.id = ?"""
COUNT = """
SELECT (SELECT COUNT(*) FROM problems),
    COALESCE(SUM(status = 'growing'), 0), COALESCE(SUM(status = 'finished'), 0), COALESCE(SUM(status = 'broken'), 0),
    COALESCE(SUM(outcome = 'solved'), 0), COALESCE(SUM(outcome = 'wrong'), 0),
    COALESCE(SUM(outcome = 'unparsed'), 0), COALESCE(SUM(outcome = 'exhausted'), 0),
    COALESCE(SUM(lucky), 0), COALESCE(SUM(hinted), 0),
    COALESCE(SUM(backtracks > 0), 0), COALESCE(SUM(errors_removed > 0), 0),
    COALESCE(SUM(turns), 0), COALESCE(SUM(backtracks), 0), COALESCE(SUM(reflects), 0), COALESCE(SUM(terminates), 0),
    COALESCE(SUM(parse_failures), 0), COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(completion_tokens), 0),
    COALESCE(SUM(seconds), 0.0)
FROM journeys"""
UNNARRATED = """
SELECT id FROM journeys WHERE outcome = 'solved' AND NOT lucky AND NOT EXISTS
    (SELECT 1 FROM thoughts WHERE journey_id = journeys.id AND NOT shortcut)
ORDER BY position, attempt, id LIMIT ?"""
