"""Where each turn of a journey is drawn: time runs downwards, a row a turn; what was taken back stands further in.

A turn stands in the lane of the turn that it continues if that went on through it, and one lane further in if it was
given up for another try. Between a turn and the one that took over lie only rows of what was tried in vain, further in,
so no line crosses a turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from journeys.preferences import PROOFS
from journeys.record import Move, Turn, standing

ROW, LANE = 27, 21
"""Pixels from one turn to the next, and from one lane to the next."""
TOP, LEFT, RADIUS, LABEL = 16, 14, 10, 190
LANES = 9
"""Lanes that are drawn apart; what is further in stands in the last."""


@dataclass(frozen=True)
class Node:
    """A turn on the drawing."""

    turn: int
    x: int
    y: int
    state: str
    """`stands`, `answer`, `refuted` (a program proved it wrong), `repeated`, `dropped` (somebody took it back)."""
    move: str
    confidence: int | None
    """A fifth of the scale, 1 to 5, where the engine gave log-probabilities."""
    label: str


@dataclass(frozen=True)
class Line:
    """From a turn to one that continues it, or (`back`) from a verdict to the turn that it went back to."""

    turn: int
    path: str
    state: str
    back: bool = False


@dataclass(frozen=True)
class Drawing:
    """A journey's tree."""

    width: int
    height: int
    labels_at: int
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]
    root: tuple[int, int]


def draw(turns: Sequence[Turn], *, solved: bool | None) -> Drawing:
    """Lay the tree out. `solved` is what the verifier said of the answer that ended it, None where it said nothing."""
    on_path = frozenset(turn.id for turn in standing(turns))
    lane = _lanes(turns, on_path)
    root = (LEFT, TOP)
    place = {turn.id: (LEFT + LANE * min(LANES, lane[turn.id]), TOP + ROW * (turn.id + 1)) for turn in turns}
    nodes, lines = [], []
    path: list[int] = []
    for turn in turns:
        state = _state(turn, stands=turn.id in on_path, solved=solved)
        here = place[turn.id]
        lines.append(
            Line(turn=turn.id, path=_on(root if turn.parent is None else place[turn.parent], here), state=state)
        )
        path.append(turn.id)
        if turn.removes:
            del path[turn.verdict.keep :]
            lines.append(Line(turn=turn.id, path=_back(here, place[path[-1]] if path else root), state="", back=True))
        nodes.append(
            Node(
                turn=turn.id,
                x=here[0],
                y=here[1],
                state=state,
                move=turn.verdict.move.value,
                confidence=None if turn.confidence is None else min(5, 1 + int(5 * max(0.0, turn.confidence))),
                label=" ".join(turn.step.split())[:160],
            )
        )
    labels_at = max((x for x, _ in place.values()), default=LEFT) + RADIUS + 9
    return Drawing(
        width=labels_at + LABEL,
        height=TOP * 2 + ROW * len(turns),
        labels_at=labels_at,
        nodes=tuple(nodes),
        lines=tuple(lines),
        root=root,
    )


def _state(turn: Turn, *, stands: bool, solved: bool | None) -> str:
    kinds = {found.kind for found in turn.evidence if found.fatal}
    if stands:
        ends = turn.answer is not None and turn.verdict.move is Move.TERMINATE
        return ("answer" if solved else "refuted") if ends and solved is not None else "stands"
    if kinds & PROOFS or "refused_answer" in turn.rulings:
        return "refuted"
    return "repeated" if kinds else "dropped"


def _lanes(turns: Sequence[Turn], path: frozenset[int]) -> dict[int, int]:
    """How far in each turn stands: one more than its parent, unless its parent went on through it."""
    last_child = {turn.parent: turn.id for turn in turns}
    lane: dict[int | None, int] = {None: 0}
    for turn in turns:  # parents come before their children
        parent_stands = turn.parent is None or turn.parent in path
        goes_on = turn.id in path if parent_stands else last_child[turn.parent] == turn.id
        lane[turn.id] = lane[turn.parent] + (0 if goes_on else 1)
    return {turn.id: lane[turn.id] for turn in turns}


def _on(begin: tuple[int, int], end: tuple[int, int]) -> str:
    (x0, y0), (x1, y1) = begin, end
    if x0 == x1:
        return f"M{x0} {y0}V{y1}"
    bend = y1 - ROW // 2
    return f"M{x0} {y0}V{bend - 4}Q{x0} {y1} {x1} {y1}"


def _back(begin: tuple[int, int], end: tuple[int, int]) -> str:
    (x0, y0), (x1, y1) = begin, end
    bow = max(x0, x1) + 26
    return f"M{x0 + RADIUS} {y0}C{bow} {y0} {bow} {y1} {x1 + RADIUS + 1} {y1}"
