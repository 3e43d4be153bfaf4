"""From a tree of pieces of text to the tree of the steps that they spell.

A search may go on by so many tokens (Marco-o1's mini-steps, methods 5). A piece may end in the middle of a step and
another may hold several; what a journey walks through, and all that is told and exported, are whole steps.
"""

from journeys.tree import Node, Tree


def whole_steps(tree: Tree) -> Tree:
    """The tree with whole steps as nodes; the same tree where they are that already.

    A step stands where the piece does in which it ends, and has its visits, its rewards and, as the last of its piece,
    its cost. The same step after the same steps is one. What never came to the end of a step is left out.
    """
    if all(node.lines is None for node in tree.nodes):
        return tree
    steps: list[Node] = []
    found: dict[tuple[int | None, str, bool], int] = {}
    at: dict[int | None, int | None] = {None: None}
    """The last step that had ended when a piece did."""
    for piece in tree.nodes:
        parent = at[piece.parent]
        lines = piece.lines or ()
        for place, line in enumerate(lines):
            ends = place == len(lines) - 1
            key = (parent, line, ends and piece.refuted)
            if key in found:
                steps[found[key]] = _together(steps[found[key]], piece, ends=ends)
            else:
                found[key] = len(steps)
                steps.append(_step(piece, line, id=len(steps), parent=parent, ends=ends))
            parent = found[key]
        at[piece.id] = parent
    return tree.model_copy(update={"nodes": tuple(steps)})


def _step(piece: Node, line: str, *, id: int, parent: int | None, ends: bool) -> Node:
    """A step of a piece; what is known of the piece is known of the last one."""
    if not ends:
        return Node(id=id, parent=parent, step=line, visits=piece.visits, value=piece.value)
    return piece.model_copy(update={"id": id, "parent": parent, "step": line, "lines": None, "finish": "stop"})


def _together(step: Node, piece: Node, *, ends: bool) -> Node:
    """The step, which another piece spells too."""
    changes: dict[str, object] = {"visits": step.visits + piece.visits, "value": step.value + piece.value}
    if ends:
        changes["policy_cost"] = step.policy_cost.plus(piece.policy_cost)
        changes["judge_cost"] = step.judge_cost.plus(piece.judge_cost)
    if ends and step.score is None:  # it was in the middle of its piece, where nothing is written down of it
        known = ("answer", "reflection", "evidence", "score", "reason", "verification", "lucky", "confidence")
        changes |= {name: getattr(piece, name) for name in known}
    return step.model_copy(update=changes)
