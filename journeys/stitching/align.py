"""Provenance for rewritten text: which turn each sentence of a model's telling most likely comes from."""

from difflib import SequenceMatcher
from itertools import groupby

from journeys.stitching.narrator import Telling
from journeys.stitching.page import Span
from journeys.stitching.prose import equations, normal, sentences

EQUATION_WEIGHT = 2.0
"""What a shared equation counts for beside the likeness of the words, which is at most 1."""


def align(text: str, draft: Telling) -> tuple[Span, ...]:
    """Spans for `text`: its sentences, each with the turn and part of the draft's sentence it tells.

    Both tell the same journey in the same order, so sentences are matched in order too: of all such matchings the one
    with the greatest likeness (shared equations, then words) is taken, by dynamic programming.
    """
    sources = [
        (span, normal(sentence)) for span in draft.spans for sentence in sentences(draft.text[span.start : span.end])
    ]
    targets = list(_placed(text))
    if not sources or not targets:
        return ()
    chosen = _matched([normal(text[start:end]) for start, end in targets], [source for _, source in sources])
    origins = [(sources[place][0].turn, sources[place][0].also, sources[place][0].part) for place in chosen]
    spans = []
    for (turn, also, part), run in groupby(zip(origins, targets, strict=True), key=lambda pair: pair[0]):
        ends = [target for _, target in run]
        spans.append(Span(start=ends[0][0], end=ends[-1][1], turn=turn, also=also, part=part))
    return tuple(spans)


def _placed(text: str) -> list[tuple[int, int]]:
    """Where each sentence of `text` stands; every character that is no space belongs to one."""
    placed, at = [], 0
    for paragraph in text.split("\n"):
        for sentence in sentences(paragraph):
            bare = sentence.strip()
            if bare:
                start = text.index(bare, at)
                at = start + len(bare)
                placed.append((start, at))
    return placed


def _matched(targets: list[str], sources: list[str]) -> list[int]:
    """For each target the place of its source, never falling, so that the summed likeness is greatest."""
    likeness = [[_likeness(target, source) for source in sources] for target in targets]
    best, came = [0.0] * len(sources), list[list[int]]()
    for row in likeness:
        place, reached, origins = 0, list[float](), list[int]()
        for at, score in enumerate(row):
            place = at if best[at] > best[place] else place
            origins.append(place)
            reached.append(best[place] + score)
        best = reached
        came.append(origins)
    place = max(range(len(sources)), key=best.__getitem__)
    chosen = []
    for origins in reversed(came):
        chosen.append(place)
        place = origins[place]
    return chosen[::-1]


def _likeness(target: str, source: str) -> float:
    shared = set(equations(target)) & set(equations(source))
    words = SequenceMatcher(None, target.split(), source.split(), autojunk=False).ratio()
    return EQUATION_WEIGHT * len(shared) + words
