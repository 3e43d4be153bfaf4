"""Steps with code in a thought: code stands as it was written, what it printed behind it, words around it as ever."""

import re
from collections.abc import Callable, Iterator, Sequence

from journeys.code import code_in, comments, fenced, output_block, parts, printed, without_fences
from journeys.record import Turn
from journeys.stitching.prose import capital, cleaned

_ANY_BLOCK = re.compile(r"^```\w*\n(.*?)\n?^```[ \t]*$", re.MULTILINE | re.DOTALL)


def head_of(step: str) -> str:
    """The words before a step's code: all of it where there is none."""
    if not code_in(step):
        return step
    is_code, text = next(parts(step))
    return "" if is_code else text


def with_program(head: str, turn: Turn, *, told: Callable[[str], str]) -> str:
    """A step's head, as it is told, with the code that follows and what that printed.

    Args:
        told: how words behind the code are told.
    """
    step = turn.step
    if not code_in(step):
        return head
    pieces = list(parts(step))
    rest = [text for is_code, text in pieces[not pieces[0][0] :] for text in [_told(text, is_code, told)] if text]
    output = printed(turn.evidence)
    return "\n".join([*([head] if head else []), *rest, *([output_block(output)] if output else [])])


def _told(text: str, is_code: bool, told: Callable[[str], str]) -> str:
    return fenced(text) if is_code else capital(told(cleaned(text)))


def apart(text: str, steps: Sequence[str]) -> tuple[str, str]:
    """A thought's words, and the comments in its code. Code that no step holds stays among the words."""
    if "```" not in text:
        return text, ""
    known = {line.strip() for step in steps if "```" in step for line in without_fences(step).splitlines()}

    said: list[str] = []

    def taken_out(block: re.Match[str]) -> str:
        if not known.issuperset(line.strip() for line in block[1].splitlines()):
            return block[0]
        said.append(comments(block[1]))
        return ""

    return _ANY_BLOCK.sub(taken_out, text), "\n".join(said)


def lost_code(text: str, steps: Sequence[str]) -> Iterator[str]:
    """Code of steps that the text does not hold letter by letter."""
    for step in steps:
        for is_code, code in parts(step) if "```" in step else ():
            if is_code and code not in text:
                yield code
