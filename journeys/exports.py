"""From a store to training data: four sets of rows, each as JSONL and Parquet, and a card that says what they are.

    journey_sft    the whole thought, wrong turns and repairs included        prompt, completion
    shortcut_sft   the same prompts, the path alone, or every right way       prompt, completion
    preferences    outcome pairs and step pairs                               prompt, chosen, rejected
    step_labels    what is known about single steps                           prompt, completions, labels

and of a run that searched a fifth:

    ppm            steps that were tried in the same place, by their Q        prompt, chosen, rejected, weight

Column names and types are those of TRL's datasets. Rows come in the order of the problems, so the same store always
gives the same files; one problem's journeys are in memory at a time.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from journeys.card import Provenance, write_card
from journeys.formats import ExportSettings, breaks_tags, completion, prompt, spans_json, written_out
from journeys.pieces import whole_steps
from journeys.preferences import outcome_pairs, ppm_row, searched_pair, step_pairs
from journeys.record import Journey, Move, Record
from journeys.row_files import row_files
from journeys.shortcuts import other_ways
from journeys.step_labels import step_labels
from journeys.stitching.thought import Thought
from journeys.stitching.thought import stitch as by_template
from journeys.stitching.tries import most_tries
from journeys.store import Store
from journeys.tree import Tree
from journeys.tree_pairs import tree_pairs
from settings.files import write_json

__all__ = ["SETS", "ExportCounts", "ExportSettings", "Provenance", "accepted", "export"]

SETS = ("journey_sft", "shortcut_sft", "preferences", "step_labels")
SEARCHED = (*SETS, "ppm")
"""What a run has whose protocol searches."""
CONTAMINATED = "contaminated.json"
"""Beside the sets: the problems that were left out because a file of evaluation problems holds them too, and where."""
Refusal = Literal["unsolved", "lucky", "hinted", "guessed", "contaminated", "tags_in_text", "gate"]


class ExportCounts(Record):
    """What became of the journeys, and the rows written."""

    accepted: int
    accepted_with_backtrack: int
    accepted_with_error_removed: int
    """Accepted journeys in which a step that a checker had proven wrong left the path."""
    accepted_with_forced_reflection: int
    """Accepted journeys in which a line of the recipe had the policy look again (`policy.reflection`)."""
    refused: dict[str, int]
    """Journeys that are not in journey_sft, by reason."""
    gate_failures: dict[str, int]
    """Solved journeys kept out by the fidelity gate, by the rule they broke."""
    fell_back: int
    """Accepted journeys whose model-written thought failed the gate; the template's stands in its place."""
    contaminated: int
    """Journeys of problems that overlap with an evaluation file."""
    rows: dict[str, int]


def accepted(journey: Journey, settings: ExportSettings, *, dirty: Mapping[str, str] = {}) -> Refusal | None:
    """Why a journey may not be learnt from, before its thought is looked at; None when it may."""
    if journey.problem.id in dirty:
        return "contaminated"
    if not journey.solved:
        return "unsolved"
    if journey.lucky:
        return "lucky"
    if journey.hinted and not settings.allow_hinted:
        return "hinted"
    if most_tries(journey) > settings.max_tries:
        return "guessed"
    return None


def export(
    store: Store,
    folder: Path,
    settings: ExportSettings,
    *,
    run: Provenance,
    dirty: Mapping[str, str] = {},
    stitch: Callable[..., Thought] | None = None,
) -> ExportCounts:
    """Write the sets and their card into `folder`, replacing earlier ones.

    Thoughts come from the store; a journey without one is told by `stitch`, by default the template in the settings'
    layout. `dirty` names the problems to leave out
    (see decontaminate.py). Every file is complete or absent.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    exporter = _Exporter(store, settings, dirty, stitch or partial(by_template, layout=settings.layout))
    sets = SEARCHED if store.has_trees else SETS
    with row_files(folder, sets, settings.format) as files:
        for _, attempts in groupby(store.journeys(), key=lambda journey: journey.problem.id):
            for name, row in exporter.rows(attempts):
                files[name].add(row)
        rows = {name: files[name].rows for name in sets}
        counts = exporter.counts(rows)
        hidden = files["journey_sft"].folder
        write_json(hidden / CONTAMINATED, dict(dirty))
        write_card(hidden / "README.md", settings=settings, counts=counts, run=run, dirty=dirty)
    return counts


class _Exporter:
    """One pass over the store: what each problem's attempts give, and what was counted on the way."""

    def __init__(
        self, store: Store, settings: ExportSettings, dirty: Mapping[str, str], stitch: Callable[..., Thought]
    ) -> None:
        self.store = store
        self.settings = settings
        self.dirty = dirty
        self.stitch = stitch
        self.refused: Counter[str] = Counter()
        self.gate_failures: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()

    def rows(self, attempts: Iterator[Journey]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of one problem, each with the name of its set."""
        right: list[tuple[Journey, Thought]] = []
        wrong: list[tuple[Journey, Thought]] = []
        for journey in attempts:
            refusal = accepted(journey, self.settings, dirty=self.dirty)
            thoughts = None if refusal else self._thoughts(journey)
            if thoughts is not None:
                right.append((journey, thoughts[0]))
                self._count(journey, thoughts[0])
                yield "journey_sft", sft_row(journey, thoughts[0], self.settings)
                for row in self._shortcut_rows(journey, thoughts[1]):
                    yield "shortcut_sft", row
                for pair in step_pairs(journey, self.settings, self._shortcut):
                    yield "preferences", pair
            elif refusal:
                self.refused[refusal] += 1
            if refusal == "unsolved" and journey.turns and journey.outcome != "engine_error":
                thought = self._told(journey, shortcut=False)
                if _sound(thought, may_lack={"no_answer"}) and not breaks_tags(thought.text, self.settings):
                    wrong.append((journey, thought))
            if refusal != "contaminated":
                for row in step_labels(journey, accepted=refusal is None, tree=self._tree(journey)):
                    yield "step_labels", row
                yield from self._searched(journey)
        for pair in outcome_pairs(right, wrong, self.settings):
            yield "preferences", pair

    def _searched(self, journey: Journey) -> Iterator[tuple[str, dict[str, Any]]]:
        """Pairs out of the tree that was searched for a journey, solved or not."""
        # Other searches back up something else than the verifier's word (rstar: a share of votes), or nothing.
        tree = self._tree(journey) if journey.protocol == "mcts" else None
        for pair in tree_pairs(tree, self.settings.tree_pairs) if tree else ():
            steps = (node.step for side in (pair.before, pair.better, pair.worse) for node in side)
            if all(step.strip() and not breaks_tags(step, self.settings) for step in steps):
                yield "ppm", ppm_row(journey, pair, self.settings)
                if row := searched_pair(journey, pair, self.settings, self._shortcut):
                    yield "preferences", row

    def counts(self, rows: dict[str, int]) -> ExportCounts:
        return ExportCounts(
            accepted=self.seen["accepted"],
            accepted_with_backtrack=self.seen["with_backtrack"],
            accepted_with_error_removed=self.seen["with_error_removed"],
            accepted_with_forced_reflection=self.seen["with_forced_reflection"],
            refused=dict(sorted(self.refused.items())),
            gate_failures=dict(sorted(self.gate_failures.items())),
            fell_back=self.seen["fell_back"],
            contaminated=self.refused["contaminated"],
            rows=rows,
        )

    def _thoughts(self, journey: Journey) -> tuple[Thought, Thought] | None:
        """The thought and its shortcut, if both may be learnt from."""
        thought, shortcut = self._told(journey, shortcut=False), self._told(journey, shortcut=True)
        if not (_sound(thought) and _sound(shortcut)):
            self.gate_failures.update(_broken_rules(thought) | _broken_rules(shortcut))
            self.refused["gate"] += 1
            return None
        if self._breaks_tags(thought) or self._breaks_tags(shortcut):
            self.refused["tags_in_text"] += 1
            return None
        return thought, shortcut

    def _shortcut_rows(self, journey: Journey, told: Thought) -> Iterator[dict[str, Any]]:
        """The told way; with `shortcuts: all` also the other right ways of its search, told by the template."""
        yield sft_row(journey, told, self.settings) | {"leaf": None}
        tree = self._tree(journey) if self.settings.shortcuts == "all" else None
        for leaf, way in other_ways(journey, tree, most=self.settings.max_shortcuts - 1) if tree else ():
            thought = self._shortcut(way)
            if _sound(thought) and not self._breaks_tags(thought):
                yield sft_row(way, thought, self.settings) | {"leaf": leaf}

    def _breaks_tags(self, thought: Thought) -> bool:
        return any(breaks_tags(text, self.settings) for text in (thought.text, thought.answer or ""))

    def _tree(self, journey: Journey) -> Tree | None:
        """What was searched for a journey, in whole steps: no row holds half a step."""
        tree = self.store.tree(journey.id)
        return whole_steps(tree) if tree else None

    def _told(self, journey: Journey, *, shortcut: bool) -> Thought:
        stored = self.store.thought(journey.id, shortcut=shortcut)
        return stored or self.stitch(journey, shortcut=shortcut)

    def _shortcut(self, journey: Journey) -> Thought:
        return self.stitch(journey, shortcut=True)

    def _count(self, journey: Journey, thought: Thought) -> None:
        standing = {turn.id for turn in journey.path}
        removed = [turn for turn in journey.turns if turn.id not in standing]
        self.seen["accepted"] += 1
        self.seen["with_backtrack"] += journey.count(Move.BACKTRACK) > 0
        self.seen["with_error_removed"] += any(found.fatal for turn in removed for found in turn.evidence)
        self.seen["with_forced_reflection"] += journey.forced
        self.seen["fell_back"] += thought.fell_back


def sft_row(journey: Journey, thought: Thought, settings: ExportSettings) -> dict[str, Any]:
    """A prompt and what to write for it, with where it comes from."""
    return {
        "prompt": prompt(journey.problem, settings),
        "completion": completion(written_out(thought, settings), settings),
        "journey_id": journey.id,
        "problem_id": journey.problem.id,
        "family": journey.problem.family,
        "answer": thought.answer,
        "num_turns": len(journey.turns),
        "num_backtracks": journey.count(Move.BACKTRACK),
        "num_reflects": journey.count(Move.REFLECT),
        "thought_chars": len(thought.text),
        "narrator": thought.narrator,
        "hinted": journey.hinted,
        "spans": spans_json(thought, settings, standing={turn.id for turn in journey.path}),
    }


def _sound(thought: Thought, *, may_lack: Set[str] = frozenset()) -> bool:
    return _broken_rules(thought) <= may_lack


def _broken_rules(thought: Thought) -> set[str]:
    return {failure.partition(":")[0] for failure in thought.gate.failures}
