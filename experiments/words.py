"""A difference in words chosen by rules that were written before there were figures.

It counts as shown only when its interval leaves 0 out and every seed agrees on its sign. Everything else is said to be
not shown, whichever way it points.
"""

from collections.abc import Sequence

from evaluation.intervals import Difference


def shown(found: Difference, by_seed: Sequence[float]) -> int:
    """1 where the second side is shown to be higher, -1 where it is shown to be lower, 0 where nothing is shown."""
    if found.low > 0 and all(value > 0 for value in by_seed):
        return 1
    if found.high < 0 and all(value < 0 for value in by_seed):
        return -1
    return 0


def in_words(found: Difference, by_seed: Sequence[float], *, told: str, better: str, worse: str) -> str:
    """A difference as a predicate: `is better: +3.1 [+1.0, +5.2] points`. `told` is the difference itself."""
    match shown(found, by_seed):
        case 1:
            return f"is {better}: {told}"
        case -1:
            return f"is {worse}: {told}"
        case _ if found.low > 0 or found.high < 0:
            return f"differs by {told}, but its seeds do not agree on the sign: not shown"
        case _:
            return f"differs by {told}: no difference is shown"


def points(found: Difference) -> str:
    """`+3.1 [+1.0, +5.2]`."""
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
