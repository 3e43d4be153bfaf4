"""What the data say, in words chosen by rules that were written before there were figures.

A difference counts as shown only when its interval leaves 0 out and every seed agrees on its sign. Everything else is
said to be not shown, whichever way it points.
"""

from evaluation.intervals import Difference
from experiments.results import Comparison, Results

TARGET = 0.08
"""Journey over shortcut, at the same problems: O1 Journey's headline is +8.4 and +8.0 points on MATH."""
MAIN = "trained-greedy"
"""The setting that decides whether the target is reached; chosen beforehand, being nearest to O1 Journey's."""


def shown(comparison: Comparison) -> int:
    """1 where the second arm is shown to be better, -1 where it is shown to be worse, 0 where nothing is shown."""
    found = comparison.accuracy
    if found.low > 0 and all(value > 0 for value in comparison.by_seed):
        return 1
    if found.high < 0 and all(value < 0 for value in comparison.by_seed):
        return -1
    return 0


def in_words(comparison: Comparison) -> str:
    """A comparison as a predicate: `is better by 3.1 points [1.0, 5.2]`."""
    found = comparison.accuracy
    told = f"{points(found)} points"
    match shown(comparison):
        case 1:
            return f"is better: {told}"
        case -1:
            return f"is worse: {told}"
        case _ if found.low > 0 or found.high < 0:
            return f"differs by {told}, but its seeds do not agree on the sign: not shown"
        case _:
            return f"differs by {told}: no difference is shown"


def target_verdict(results: Results) -> list[str]:
    """Whether the journey arm reached its target, first where it was to be decided, then everywhere."""
    main = results.compared(MAIN, "shortcut", "journey")
    value, low = main.accuracy.value, main.accuracy.low
    if value >= TARGET and shown(main) == 1:
        head = "**Reached**" + (
            " (the whole interval lies above it)" if low >= TARGET else " (the interval goes below it)"
        )
    elif shown(main) == 1:
        head = "**Not reached**: better, but by less"
    elif shown(main) == -1:
        head = "**Not reached**: journeys did harm"
    else:
        head = "**Not reached**: no difference is shown"
    lines = [
        f"{head}. Target: journey at least {100 * TARGET:.0f} points over shortcut; found {points(main.accuracy)}."
    ]
    tokens = results.compared(MAIN, "shortcut-tokens", "journey")
    lines.append(f"Against the shortcut arm that learnt from as many tokens, journey {in_words(tokens)}.")
    if shown(main) == 1 and shown(tokens) != 1:
        lines.append("So the gain over the shortcut arm may be no more than the gain of learning from more tokens.")
    return lines


def dpo_verdict(results: Results, setting: str, arm: str) -> str:
    """Whether DPO kept what SFT had: accuracy and answers."""
    found = results.compared(setting, "journey", arm)
    missing = found.no_answer
    if missing.low > 0:
        answers = f"its no-answer rate rose ({points(missing)} points)"
    elif missing.value > 0:
        answers = f"its no-answer rate is higher within chance ({points(missing)} points)"
    else:
        answers = f"its no-answer rate did not rise ({points(missing)} points)"
    return f"{in_words(found)}; {answers}"


def points(found: Difference) -> str:
    """`+3.1 [+1.0, +5.2]`."""
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def mends(results: Results, setting: str) -> str:
    """Whether the journey models do what they were taught: doubt false lines, and mend them."""
    journey, shortcut = (results.pooled[setting][arm] for arm in ("journey", "shortcut"))
    false_rates = [arm.stated_false / arm.calculations if arm.calculations else 0.0 for arm in (shortcut, journey)]
    shares = [arm.repaired / arm.stated_false if arm.stated_false else 0.0 for arm in (shortcut, journey)]
    return (
        f"of its calculations {false_rates[1]:.1%} are false when first stated (shortcut: {false_rates[0]:.1%}), and "
        f"of those {shares[1]:.1%} are mended before the end (shortcut: {shares[0]:.1%}); {journey.broken} true ones "
        f"were talked into false ones (shortcut: {shortcut.broken})"
    )
