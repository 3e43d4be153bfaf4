"""From judgements to training rows, in the columns of the run's own step labels and preference pairs.

judged/step_labels.jsonl    the way from the root to each judged step; +1 good, -1 bad, 0 not judged
judged/preferences.jsonl    a good step against a bad one in its place; a good thought against a bad one of its problem
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, product
from pathlib import Path
from typing import Any

from journeys.formats import ExportSettings, completion, prompt, written_out
from journeys.preferences import pair_of_steps
from journeys.record import Journey, Turn
from journeys.row_files import line
from journeys.stitching.thought import stitch
from journeys.store import Store
from settings import UserError
from viewer.folders import Source
from viewer.judgements import THOUGHT, Judgement, Judgements
from viewer.story import export_settings

RATINGS = {"good": 1, "bad": -1, "": 0}
FOLDER = "judged"


def export_judged(source: Source) -> dict[Path, int]:
    """Write both files into the run's folder `judged/`. Returns the rows in each.

    Raises:
        UserError: the folder cannot be written, or a judged journey is damaged.
    """
    judged = sorted(Judgements(source.path).all(), key=lambda one: (one.journey_id, one.turn))
    by_journey = {key: list(group) for key, group in groupby(judged, key=lambda one: one.journey_id)}
    settings = export_settings(source)
    with Store(source.store, read_only=True) as store:
        found = [(journey, by_journey[key]) for key in by_journey if (journey := store.get(key)) is not None]
    rows = {
        "step_labels": [row for journey, marks in found for row in label_rows(journey, marks)],
        "preferences": list(pair_rows(found, settings)),
    }
    folder = source.path / FOLDER
    written: dict[Path, int] = {}
    for name, made in rows.items():
        file = folder / f"{name}.jsonl"
        try:
            folder.mkdir(exist_ok=True)
            file.write_text("".join(map(line, made)), encoding="utf-8")
        except OSError as error:
            raise UserError(f"{file}: cannot be written: {error.strerror}") from None
        written[file] = len(made)
    return written


def label_rows(journey: Journey, marks: Sequence[Judgement]) -> Iterator[dict[str, Any]]:
    """One row for each way through the tree that ends in a judged step and is not the beginning of another."""
    said = {one.turn: one for one in marks if one.turn != THOUGHT and one.mark}
    by_id = {turn.id: turn for turn in journey.turns}
    ways = [_way(by_id, turn) for turn in sorted(said) if turn in by_id]
    for way in ways:
        ids = [turn.id for turn in way]
        if any(len(other) > len(way) and [turn.id for turn in other[: len(way)]] == ids for other in ways):
            continue
        ratings = [RATINGS[said[turn.id].mark] if turn.id in said else 0 for turn in way]
        begin = max((place + 1 for place, rating in enumerate(ratings) if rating == 0), default=0)
        steps = [turn.step.strip() for turn in way]
        yield {
            "prompt": "\n".join([journey.problem.question, *steps[:begin]]),
            "completions": steps[begin:],
            "labels": [rating > 0 for rating in ratings[begin:]],
            "question": journey.problem.question,
            "steps": steps,
            "ratings": ratings,
            "whys": [said[turn.id].note if turn.id in said else "" for turn in way],
            "sources": ["reader" if turn.id in said else "" for turn in way],
            "turns": ids,
            "journey_id": journey.id,
            "problem_id": journey.problem.id,
            "family": journey.problem.family,
            "outcome": journey.outcome,
        }


def pair_rows(
    found: Sequence[tuple[Journey, Sequence[Judgement]]], settings: ExportSettings
) -> Iterator[dict[str, Any]]:
    """Step pairs of each journey, then thought pairs of each problem."""
    shortened = partial(stitch, shortcut=True, layout=settings.layout)
    for journey, marks in found:
        said = {one.turn: one.mark for one in marks}
        for better, worse in product(journey.turns, journey.turns):
            siblings = better.parent == worse.parent and better.id != worse.id
            if siblings and said.get(better.id) == "good" and said.get(worse.id) == "bad":
                row = pair_of_steps(journey, better, worse, settings, shortened)
                if row:
                    yield row | {"why": "reader"}
    thoughts: dict[str, dict[str, list[Journey]]] = {}
    for journey, marks in found:
        for one in marks:
            if one.turn == THOUGHT and one.mark:
                thoughts.setdefault(journey.problem.id, {"good": [], "bad": []})[one.mark].append(journey)
    for sides in thoughts.values():
        for good, bad in product(sides["good"], sides["bad"]):
            yield _thought_pair(good, bad, settings)


def _thought_pair(good: Journey, bad: Journey, settings: ExportSettings) -> dict[str, Any]:
    return {
        "prompt": prompt(good.problem, settings),
        "chosen": completion(written_out(stitch(good, layout=settings.layout), settings), settings),
        "rejected": completion(written_out(stitch(bad, layout=settings.layout), settings), settings),
        "kind": "outcome",
        "why": "reader",
        "problem_id": good.problem.id,
        "family": good.problem.family,
        "chosen_journey": good.id,
        "rejected_journey": bad.id,
        "chosen_turn": None,
        "rejected_turn": None,
    }


def _way(by_id: Mapping[int, Turn], last: int) -> list[Turn]:
    way = [by_id[last]]
    while way[-1].parent is not None:
        way.append(by_id[way[-1].parent])
    return way[::-1]
