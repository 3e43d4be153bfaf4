"""A piece of text tried in its place: what `attempt` in protocols/searching.py does with steps (Marco-o1, methods 5).

The policy goes on with its own text for so many tokens, to the letter. What judges look at, one after the other, are
the whole steps that end in the piece; the first that is held to be wrong, or that answers, is the piece's end.
"""

from collections.abc import Iterator, Sequence

from agents.roles import CriticView, Piece, PolicyView, Proposal
from journeys.draft import Draft
from journeys.record import Cost, Evidence, Move, Turn, Verdict, seed_for
from journeys.tree import Node
from protocols.base import Cast
from protocols.reflection import may_reflect
from protocols.scoring import SCORERS, Score, ScorerName
from protocols.searching import luck


async def attempt_piece(
    draft: Draft, cast: Cast, way: Sequence[Node], number: int, *, scorer: ScorerName, tokens: int
) -> Node:
    """The next `tokens` tokens after `way`, cut, checked, judged and, where a step of theirs answers, verified."""
    parent = way[-1].id if way else None
    name = f"{draft.id}~{'root' if parent is None else parent}.{number}"
    path = tuple(_steps(way))
    view = PolicyView(
        journey_id=name,
        question=draft.problem.question,
        path=path,
        # There is something to answer at the beginning of a line only.
        turns=path if way and way[-1].reflection else (),
        seed=seed_for(draft.seed, name, "policy"),
        piece=Piece(begun="".join(node.step for node in way), tokens=tokens),
    )
    proposal = await cast.policy.propose(view)
    text, lines, scores = proposal.step, list[str](), list[Score]()
    answer: str | None = None
    evidence: tuple[Evidence, ...] = ()
    for line in proposal.lines:
        evidence = await cast.referee.check(question=draft.problem.question, path=path, step=line.text, abandoned=())
        answer = cast.referee.answer_in(line.text)
        judged = _judged(draft, name, path, line.text, evidence, answer)
        scores.append(await SCORERS[scorer](judged, proposal.model_copy(update={"step": line.text}), cast))
        lines.append(line.text)
        if scores[-1].refuted or answer is not None:
            text = text[: line.end]
            break
        path = (*path, _turn(path, line.text))
    verification = None if answer is None else await cast.referee.verify(draft.problem, answer)
    return Node(
        id=0,
        parent=parent,
        step=text,
        lines=tuple(lines),
        answer=answer,
        reflection=cast.reflection if answer is not None and may_reflect(cast.reflection, path) else "",
        evidence=evidence,
        score=_lowest(scores, proposal, scorer),
        reason=scores[-1].reason if scores else "",
        refuted=bool(scores) and scores[-1].refuted,
        verification=verification,
        lucky=luck(draft, cast, path, lines[-1] if lines else "", verification),
        finish=proposal.finish,
        confidence=proposal.confidence,
        policy_cost=proposal.cost,
        judge_cost=_cost(scores),
    )


def over(node: Node) -> bool:
    """Whether a piece is the last because the text ended in it, with or without an answer."""
    return node.lines is not None and node.finish == "stop" and not node.reflection


def _steps(way: Sequence[Node]) -> Iterator[Turn]:
    """The whole steps of the way as speakers are shown them."""
    path: tuple[Turn, ...] = ()
    for node in way:
        for place, line in enumerate(node.lines or ()):
            forced = bool(node.reflection) and place == len(node.lines or ()) - 1
            path = (*path, _turn(path, line, standing=node if forced else None))
    yield from path


def _turn(path: Sequence[Turn], step: str, *, standing: Node | None = None) -> Turn:
    """A step after those of `path`. Its id, by which speakers remember it, is made of its words and all before it."""
    before = path[-1].id if path else None
    return Turn(
        id=seed_for("step of pieces", before, step),
        parent=before,
        step=step,
        verdict=standing.verdict if standing else Verdict(move=Move.CONTINUE),
        rulings=standing.rulings if standing else (),
    )


def _judged(
    draft: Draft, name: str, path: tuple[Turn, ...], step: str, evidence: tuple[Evidence, ...], answer: str | None
) -> CriticView:
    return CriticView(
        journey_id=f"{name}/{len(path)}",
        question=draft.problem.question,
        path=path,
        turns=path,
        step=step,
        evidence=evidence,
        answer=answer,
        seed=seed_for(draft.seed, name, len(path), "critic"),
    )


def _lowest(scores: Sequence[Score], proposal: Proposal, scorer: ScorerName) -> float | None:
    """The least that a step of the piece was worth; where none ended, only the policy's own confidence is known."""
    nobody = proposal.confidence if scorer == "confidence" else None
    return min((score.value for score in scores), default=nobody)


def _cost(scores: Sequence[Score]) -> Cost:
    total = Cost()
    for score in scores:
        total = total.plus(score.cost)
    return total
