"""Steps that carry Python: all code that stands, with the new step's behind it, run as one program in the sandbox."""

import re
from collections.abc import Sequence

from journeys.code import CODE_OUTPUT, FAILED_CODE, code_in
from journeys.record import Evidence, Turn
from sandbox import Outcome, Sandbox

_LINE = re.compile(r"line (\d+): (.*)")
_ASIDE = re.compile(r"\s*\((?:detected )?at line \d+\)|\s+on line \d+|\. (?:Perhaps|Maybe|Did) you\b.*")
"""What the interpreter adds: lines counted over all steps, and advice to somebody else."""


async def run_step(sandbox: Sandbox, *, path: Sequence[Turn], step: str) -> tuple[Evidence, ...]:
    """What came of the step's code: evidence that it failed, or what it printed, or nothing.

    Raises:
        UserError: the sandbox had to be set up again and cannot be.
    """
    code = code_in(step)
    if not code:
        return ()
    before = [earlier for turn in path if (earlier := code_in(turn.step))]
    outcome = await sandbox.run("\n".join([*before, code]))
    if outcome.verdict != "ok":
        return (_failure(outcome, code, lines_before=sum(earlier.count("\n") + 1 for earlier in before)),)
    # The steps before print again in every run, and the same: chance and hashes are fixed in the sandbox.
    known = "".join(found.detail for turn in path for found in turn.evidence if found.kind == CODE_OUTPUT)
    new = outcome.output.removeprefix(known)
    return (Evidence(kind=CODE_OUTPUT, detail=new, fatal=False),) if new.strip() else ()


def _failure(outcome: Outcome, code: str, *, lines_before: int) -> Evidence:
    """Why the program stops, and the line of the step at which it does; no line where it stops in an earlier step."""
    located = _LINE.fullmatch(outcome.detail)
    number = int(located[1]) - lines_before if located else 0
    lines = code.split("\n")
    quote = lines[number - 1].strip() if 1 <= number <= len(lines) else ""
    words = _ASIDE.sub("", located[2] if located else outcome.detail).rstrip(".")
    stopped = "stops with" if outcome.verdict in ("error", "memory") else "did not come to its end:"
    return Evidence(kind=FAILED_CODE, quote=quote, detail=f"The code {stopped} {words}.")
