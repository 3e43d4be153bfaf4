"""One journey, ready to be read: its turns, its tree, its thought by the turns that it tells, and what became of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from journeys.exports import CONTAMINATED, accepted, sft_row
from journeys.formats import ExportSettings
from journeys.preferences import step_pairs
from journeys.record import Journey, Turn
from journeys.step_labels import step_labels
from journeys.stitching.thought import Thought, stitch
from journeys.store import Store
from settings import UserError, read_yaml
from viewer.folders import Source
from viewer.tree import Drawing, draw

REFUSALS = {
    "unsolved": "it did not end in a right answer",
    "lucky": "its answer is right and does not follow from the steps that stand",
    "hinted": "the policy was told once that its answer does not hold",
    "contaminated": "its problem is in a file of evaluation problems too",
    "guessed": "a step was found after more tries than a journey to learn from may need",
}
"""Why a journey is not among the accepted, in a sentence's second half."""


@dataclass(frozen=True)
class Piece:
    """A stretch of the thought, and the turns that it tells."""

    text: str
    turns: tuple[int, ...]
    """Its own turn first; empty for the space between two pieces."""
    part: str


@dataclass(frozen=True)
class Rows:
    """The rows that exports make of a journey."""

    sft: Mapping[str, Any] | None
    shortcut: str
    """The thought told from the path alone."""
    pairs: tuple[Mapping[str, Any], ...]
    labels: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Story:
    """Everything that the reading page shows of a journey."""

    journey: Journey
    growing: bool
    turns: tuple[Turn, ...]
    standing: frozenset[int]
    removed_by: Mapping[int, int]
    """For each abandoned turn the turn whose verdict removed it."""
    drawing: Drawing
    thought: Thought | None
    pieces: tuple[Piece, ...]
    refused: str
    """Why it is no row to learn from, or ''."""
    searched: bool = False
    """Whether a search tree is kept beside it."""


def read_story(source: Source, journey_id: str) -> Story | None:
    """The journey with that id; None where the run has none.

    Raises:
        UserError: the store or the journey is damaged.
    """
    with Store(source.store, read_only=True) as store:
        status = store.status(journey_id)
        if status is None:
            return None
        # A growing journey as if it ended here; what its stop reason says is not shown.
        journey = store.draft(journey_id).finish("exhausted:turns") if status == "growing" else store.get(journey_id)
        if journey is None:
            return None
        stored = store.thought(journey_id, shortcut=False)
        searched = store.tree(journey_id) is not None
    settings, dirty = export_settings(source), contaminated(source)
    told = tell(journey, settings=settings, dirty=dirty, stored=stored, growing=status == "growing")
    return replace(told, searched=searched)


def tell(
    journey: Journey,
    *,
    settings: ExportSettings,
    dirty: Mapping[str, str] = {},
    stored: Thought | None = None,
    growing: bool = False,
) -> Story:
    """Everything about a journey, from the journey alone."""
    thought = stored or (stitch(journey, layout=settings.layout) if journey.turns else None)
    removed_by: dict[int, int] = {}
    path: list[int] = []
    for turn in journey.turns:
        path.append(turn.id)
        if turn.removes:
            removed_by.update(dict.fromkeys(path[turn.verdict.keep :], turn.id))
            del path[turn.verdict.keep :]
    solved = None if journey.verification is None else journey.verification.status == "right"
    return Story(
        journey=journey,
        growing=growing,
        turns=journey.turns,
        standing=frozenset(path),
        removed_by=removed_by,
        drawing=draw(journey.turns, solved=solved),
        thought=thought,
        pieces=tuple(pieces(thought)) if thought else (),
        refused=_refused(journey, thought, settings, dirty),
    )


def pieces(thought: Thought) -> Sequence[Piece]:
    """The thought cut at its spans; together they are its text, character for character."""
    found: list[Piece] = []
    end = 0
    for span in thought.spans:
        if span.start > end:
            found.append(Piece(text=thought.text[end : span.start], turns=(), part="gap"))
        found.append(Piece(text=thought.text[span.start : span.end], turns=(span.turn, *span.also), part=span.part))
        end = span.end
    if end < len(thought.text):
        found.append(Piece(text=thought.text[end:], turns=(), part="gap"))
    return found


def export_settings(source: Source) -> ExportSettings:
    """How the run wrote its rows; the defaults where its recipe cannot be read any more."""
    try:
        return ExportSettings.model_validate(read_yaml(source.path / "config.yaml").get("export", {}))
    except (UserError, ValueError):
        return ExportSettings()


def contaminated(source: Source) -> Mapping[str, str]:
    """The problems that the run's exports left out, by id; none where nothing was exported yet."""
    try:
        found = json.loads((source.path / "exports" / CONTAMINATED).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def rows_of(source: Source, journey_id: str) -> Rows | None:
    """The rows of one journey; None where the run has none, or it has not ended. Raises UserError."""
    settings, dirty = export_settings(source), contaminated(source)
    with Store(source.store, read_only=True) as store:
        journey = store.get(journey_id)
        thought = store.thought(journey_id, shortcut=False) if journey else None
        tree = store.tree(journey_id)
    if journey is None or not journey.turns:
        return None
    thought = thought or stitch(journey, layout=settings.layout)
    good = not _refused(journey, thought, settings, dirty)
    shortened = partial(stitch, shortcut=True, layout=settings.layout)
    return Rows(
        sft=sft_row(journey, thought, settings) if good else None,
        shortcut=shortened(journey).text if journey.path else "",
        pairs=tuple(step_pairs(journey, settings, shortened)) if good else (),
        labels=tuple(step_labels(journey, accepted=accepted(journey, settings, dirty=dirty) is None, tree=tree)),
    )


def _refused(journey: Journey, thought: Thought | None, settings: ExportSettings, dirty: Mapping[str, str]) -> str:
    refusal = accepted(journey, settings, dirty=dirty)
    if refusal:
        return REFUSALS.get(refusal, refusal)
    return "" if thought and thought.gate.passed else "its thought failed the fidelity gate"
