"""Where a text tells each turn of a journey: as written, in other words, or in the few that are enough."""

import re
from collections.abc import Sequence

from journeys.stitching.prose import equations, sentences
from journeys.stitching.steps import Told
from journeys.stitching.tries import Try

Place = tuple[int, int]
"""Start and end in `normal` text."""

SAME_SENTENCE = 0.6
"""Share of a step's words that a sentence must hold to tell that step in other words."""

DOUBTS = re.compile(
    r"\?|\b(?:wait|hmm+|hold on|hang on|no[,.:]|oh|oops|not|isn't|aren't|wasn't|doesn't|don't|didn't|can't|cannot|won't"
    r"|wrong|mistakes?|incorrect|off|errors?|false|forgot|missed|misread|misc\w+|again|instead|circle|redo|haven't"
    r"|no (?:better|good|help|use)|already have|start(?:ing)? over|contradict\w*|clash\w*|impossible|actually|fails?"
    r"|let me|went|slip\w*|overlooked|reconsider|mixed up)"
)
"""Words that reject what was said before them, or ask whether it holds."""
_AGAIN = re.compile(r"\b(?:again|same|keep|kept|still|back (?:at|to)|once more|twice)\b")
_SENTENCE_ENDS = re.compile(r"[.?!](?=\s|$)")


def told_places(plain: str, told: Sequence[Told], tries: Sequence[Try]) -> list[Place | None]:
    """Where each turn is told, each after the one before it; None where it is not."""
    places: list[Place | None] = []
    last: Place | None = None
    cursor = 0
    for one, how in zip(told, tries, strict=True):
        place = last if how.joins else told_at(one, how, plain, cursor)
        places.append(place)
        last = place or last
        cursor = last[1] if last else 0
    return places


def told_at(one: Told, how: Try, plain: str, cursor: int) -> Place | None:
    """Where a turn is first told after `cursor`: as written, or in the few words that are enough for it."""
    found = [place for place in (place_of(one.core, plain, cursor), briefly(how, plain, cursor)) if place]
    return min(found, default=None)


def briefly(how: Try, plain: str, cursor: int) -> Place | None:
    """The first sentence after `cursor` that names the result and rejects it, or says that it came again."""
    if how.telling not in ("value", "again"):
        return None
    minus = "" if how.value.startswith("-") else "-"
    named = re.compile(rf"(?<![\d.=+*/^{minus}]){re.escape(how.value)}(?![\d.]*\d|[=+*/^-])")
    at = plain.find(how.value, cursor)
    while at >= 0:
        found = named.search(plain, at)
        if not found:
            return None
        before = max(plain.rfind(mark, cursor, found.start()) for mark in (". ", "? ", "! "))
        start = before + 2 if before >= 0 else cursor
        end = _SENTENCE_ENDS.search(plain, found.end())
        sentence = plain[start : end.end() if end else len(plain)]
        if plain[found.end() : found.end() + 1] == "?" and (
            more := _SENTENCE_ENDS.search(plain, start + len(sentence))
        ):
            sentence = plain[start : more.end()]  # "121? no."
        if (_AGAIN if how.telling == "again" else DOUBTS).search(sentence.replace("?", "")):
            return start, start + len(sentence)
        at = found.end()
    return None


def place_of(core: str, plain: str, cursor: int) -> Place | None:
    """The step as written, or one of its equations, or a sentence that says nearly the same."""
    if not core:
        return None
    if place := locate(core, plain, cursor):
        return place
    stated = equations(core)
    for equation in stated:
        if place := locate(equation, plain, cursor):
            return place
    return None if stated else like(core, plain, cursor)


def locate(part: str, plain: str, start: int = 0) -> Place | None:
    """Where `part` stands in `plain` as a whole: not as "7+25=42" inside "17+25=42"."""
    part = part.strip(".,:; ")
    while part and (at := plain.find(part, start)) >= 0:
        end = at + len(part)
        before = plain[at - 1 : at] if part[0].isalnum() else ""
        inside = before.isalnum() or (before in (".", "*", "/", "^") and plain[at - 2 : at - 1].isalnum())
        after = plain[end : end + 2]
        runs_on = part[-1].isalnum() and bool(re.match(r"\w|\.\d|[*/^]\S", after))
        if not inside and not runs_on:
            return at, end
        start = at + 1
    return None


def like(core: str, plain: str, cursor: int) -> Place | None:
    """The sentence after `cursor` that holds most of the step's words, if any holds enough."""
    words = _words(core)
    if not words:
        return None
    best, place = 0.0, None
    at = cursor
    for sentence in sentences(plain[cursor:]):
        at = plain.index(sentence, at)
        share = len(words & _words(sentence)) / len(words)
        if share > best:
            best, place = share, (at, at + len(sentence))
        at += len(sentence)
    return place if best >= SAME_SENTENCE else None


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"[^\W_]+", text) if len(word) > 3 or word.isdigit()}
