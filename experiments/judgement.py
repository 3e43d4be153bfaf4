"""What the data say, by the rules of experiments/words.py."""

from collections.abc import Callable

from experiments import words
from experiments.dead_ends import DeadEnds
from experiments.results import IN_WORDS, Comparison, Results
from experiments.words import points

TARGET = 0.08
"""Journey over shortcut, at the same problems: O1 Journey's headline is +8.4 and +8.0 points on MATH."""
MAIN = "trained-greedy"
"""The setting that decides whether the target is reached; chosen beforehand, being nearest to O1 Journey's."""


def shown(comparison: Comparison) -> int:
    """1 where the second arm is shown to be better, -1 where it is shown to be worse, 0 where nothing is shown."""
    return words.shown(comparison.accuracy, comparison.by_seed)


def in_words(comparison: Comparison) -> str:
    """A comparison as a predicate: `is better: +3.1 [+1.0, +5.2] points`."""
    found = comparison.accuracy
    told = f"{points(found)} points"
    return words.in_words(found, comparison.by_seed, told=told, better="better", worse="worse")


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


def searches(results: Results, setting: str) -> str:
    """Whether the journey models do what they were taught: leave tries that missed, keep one that hit, make up none."""
    journey, shortcut = (results.pooled[setting][arm].dead_ends for arm in ("journey", "shortcut"))

    def both(figure: Callable[[DeadEnds], tuple[int, int]]) -> str:
        (mine, whole), (theirs, their_whole) = figure(journey), figure(shortcut)
        return f"{mine / max(1, whole):.1%} (shortcut: {theirs / max(1, their_whole):.1%})"

    more, fewer = (arm.tries / max(1, arm.samples) for arm in (journey, shortcut))
    return (
        f"behind {both(lambda arm: (arm.seen, arm.misses))} of the tries that missed they try again, behind "
        f"{both(lambda arm: (arm.left, arm.hits))} of those that hit; the first try hits in "
        f"{both(lambda arm: (arm.at_once, arm.samples))}; {more:.1f} tries an answer (shortcut: {fewer:.1f}); of the "
        f"lines that state the target {both(lambda arm: (arm.bent, arm.claimed))} get there by a false calculation"
    )


def bought(results: Results, setting: str) -> str:
    """A journey answer against shortcut answers of as many tokens; "" where the two are about equally long."""
    journey, shortcut = (results.pooled[setting][arm] for arm in ("journey", "shortcut"))
    k = round(journey.tokens / shortcut.tokens)
    if k < 2 or k not in shortcut.several:
        return ""
    return (
        f"A journey answer takes {journey.tokens:.0f} tokens and is right in {journey.accuracy.value:.1%} "
        f"({IN_WORDS[setting]}); {k} shortcut answers take {k * shortcut.tokens:.0f}, and an oracle finds a right one "
        f"among them in {shortcut.several[k].value:.1%}."
    )
