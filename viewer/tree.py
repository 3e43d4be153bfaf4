"""Where each turn of a journey is drawn: depth downwards, the path straight, every branch in a lane of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from journeys.preferences import PROOFS
from journeys.record import Move, Turn, standing

ROW, LANE = 34, 38
"""Pixels from one depth to the next, and from one lane to the next."""
MARGIN = 22
RADIUS = 12


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
    title: str


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
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]
    root: tuple[int, int]


def draw(turns: Sequence[Turn], *, solved: bool | None) -> Drawing:
    """Lay the tree out. `solved` is what the verifier said of the answer that ended it, None where it said nothing."""
    on_path = [turn.id for turn in standing(turns)]
    depth = _depths(turns)
    lane = _lanes(turns, frozenset(on_path), depth)
    place = {turn.id: (MARGIN + LANE * lane[turn.id], MARGIN + ROW * depth[turn.id]) for turn in turns}
    root = (MARGIN, MARGIN)
    states = {turn.id: _state(turn, stands=turn.id in on_path, solved=solved) for turn in turns}
    nodes, lines = [], []
    path: list[int] = []
    for turn in turns:
        x, y = place[turn.id]
        begin = root if turn.parent is None else place[turn.parent]
        lines.append(Line(turn=turn.id, path=_down(begin, (x, y)), state=states[turn.id]))
        path.append(turn.id)
        if turn.removes:
            del path[turn.verdict.keep :]
            end = place[path[-1]] if path else root
            lines.append(Line(turn=turn.id, path=_back((x, y), end), state="back", back=True))
        nodes.append(
            Node(
                turn=turn.id,
                x=x,
                y=y,
                state=states[turn.id],
                move=turn.verdict.move.value,
                confidence=None if turn.confidence is None else min(5, 1 + int(5 * max(0.0, turn.confidence))),
                title=f"{turn.id}: {' '.join(turn.step.split())[:160]}",
            )
        )
    return Drawing(
        width=MARGIN * 2 + LANE * max(lane.values(), default=0),
        height=MARGIN * 2 + ROW * max(depth.values(), default=0),
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


def _depths(turns: Sequence[Turn]) -> dict[int, int]:
    depth: dict[int, int] = {}
    for turn in turns:  # parents come before their children
        depth[turn.id] = 1 if turn.parent is None else depth[turn.parent] + 1
    return depth


def _lanes(turns: Sequence[Turn], path: frozenset[int], depth: dict[int, int]) -> dict[int, int]:
    """Lane 0 is the path. A branch takes the first lane that is free over its whole depth."""
    branches = _branches(turns, path)
    lane = dict.fromkeys(path, 0)
    taken: list[list[tuple[int, int]]] = []
    for branch in branches:
        top, bottom = depth[branch[0]] - 1, depth[branch[-1]]
        number = next((n for n, spans in enumerate(taken) if all(bottom < a or b < top for a, b in spans)), len(taken))
        if number == len(taken):
            taken.append([])
        taken[number].append((top, bottom))
        lane.update(dict.fromkeys(branch, number + 1))
    return lane


def _branches(turns: Sequence[Turn], path: frozenset[int]) -> list[list[int]]:
    """Chains of abandoned turns, in the order of time; the first child goes on in its parent's chain."""
    chain: dict[int, list[int]] = {}
    branches: list[list[int]] = []
    for turn in turns:
        if turn.id in path:
            continue
        above = chain.get(turn.parent) if turn.parent is not None else None
        if above is None or above[-1] != turn.parent:
            above = []
            branches.append(above)
        above.append(turn.id)
        chain[turn.id] = above
    return branches


def _down(begin: tuple[int, int], end: tuple[int, int]) -> str:
    (x0, y0), (x1, y1) = begin, end
    if x0 == x1:
        return f"M{x0} {y0}V{y1}"
    return f"M{x0} {y0}C{x1} {y0} {x1} {y0} {x1} {y1}"


def _back(begin: tuple[int, int], end: tuple[int, int]) -> str:
    (x0, y0), (x1, y1) = begin, end
    bow = 16 if x0 == x1 else 0
    return f"M{x0} {y0}C{x0 - bow} {(y0 + y1) // 2} {x1 + 14} {y0} {x1 + RADIUS - 2} {y1 + RADIUS - 3}"
