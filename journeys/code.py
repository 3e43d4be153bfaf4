"""Python inside a step: found, taken out, and told apart from the words around it.

In the record code always stands in a fenced block, with the reasoning as comments (rStar-Math, methods 3). What it
printed is not the policy's word and so no part of the step: it is evidence, and stands behind the step for its readers.
"""

import re
from collections.abc import Iterable, Iterator

from journeys.record import Evidence

FAILED_CODE, CODE_OUTPUT = "failed_code", "code_output"
"""Kinds of evidence: the program stops at this step; what this step printed."""
SHOWN_CHARS = 500
"""Characters of output that are shown behind a step; the evidence has all of it."""

_BLOCK = re.compile(r"^```(?:python3?|py)[ \t]*\n(.*?)(?:^```[ \t]*$|\Z)", re.MULTILINE | re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^```\w*[ \t]*(?:\n|\Z)", re.MULTILINE)
_COMMENT = re.compile(r"#+[ \t]*(.*)")


def parts(step: str) -> Iterator[tuple[bool, str]]:
    """The pieces of a step in order, as (whether it is code, text); pieces without a word are left out."""
    at = 0
    for block in _BLOCK.finditer(step) if "```" in step else ():
        yield from _piece(False, step[at : block.start()].strip())
        yield from _piece(True, block[1].strip("\n"))
        at = block.end()
    yield from _piece(False, step[at:].strip() if at else step)


def _piece(is_code: bool, text: str) -> Iterator[tuple[bool, str]]:
    if text.strip():
        yield is_code, text


def code_in(step: str) -> str:
    """The code of a step, its blocks one below the other; empty where it has none."""
    return "\n".join(text for is_code, text in parts(step) if is_code) if "```" in step else ""


def words_in(step: str) -> str:
    """A step without its code."""
    return "\n".join(text for is_code, text in parts(step) if not is_code) if "```" in step else step


def spoken(step: str) -> str:
    """What a step says in words: the text around its code, and the comments in it."""
    if "```" not in step:
        return step
    return "\n".join(comments(text) if is_code else text for is_code, text in parts(step))


def comments(code: str) -> str:
    """The comments of some code, a line for each."""
    return "\n".join(_COMMENT.findall(code))


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def without_fences(text: str) -> str:
    """The text with its blocks opened: the lines that begin and end one are gone."""
    return _FENCE.sub("", text) if "```" in text else text


def as_code(step: str) -> str:
    """A step for those who write nothing but code: the words around it as comments."""
    return "\n".join(text if is_code else commented(text) for is_code, text in parts(step))


def commented(words: str) -> str:
    return "\n".join(f"# {line}" for line in words.splitlines() if line.strip())


def code_failed(evidence: Iterable[Evidence]) -> Evidence | None:
    """The evidence that a step's code does not run. No judge can overrule it: nothing that follows would run either."""
    return next((found for found in evidence if found.kind == FAILED_CODE), None)


def printed(evidence: Iterable[Evidence]) -> str:
    """What a step's code printed, as it is shown; empty where it printed nothing."""
    text = "".join(found.detail for found in evidence if found.kind == CODE_OUTPUT).strip()
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS].rstrip()} ..."


def with_output(step: str, evidence: Iterable[Evidence]) -> str:
    """A step as others read it, with what its code printed behind it."""
    text = printed(evidence)
    return f"{step}\n{output_block(text)}" if text else step


def output_block(text: str) -> str:
    return f"```output\n{text}\n```"
