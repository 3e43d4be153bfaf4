"""How much of a solution was needed: outcome and process efficiency of long thoughts (methods 12).

A response is a row of *solutions*, each ending where an answer is stated; a check that comes to the same answer is a
solution too. Outcome efficiency is the share of tokens up to the end of the first correct solution, 0 where none is
correct. Process efficiency is the share of tokens in solutions that try something new. Both are means over responses,
each response counted once. A response that says one solution has outcome efficiency 1 or 0 and process efficiency 1.

What is approximate: tokens are counted by characters (a span's share of the text is taken for its share of the
tokens), and whether two solutions try the same thing is decided by `by_operations` unless another clusterer is given.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from journeys.solutions import Solution, split_solutions
from problems.equations import equations

Clusterer = Callable[[Sequence[str]], Sequence[int]]
"""From the texts of a response's solutions to the number of the strategy each follows."""

SAME = 0.5
"""Overlap from which two solutions follow one strategy."""
LEADERS = 64
"""Strategies that a solution is compared with, so that a text of thousands of answers costs no quadratic time."""
_ENDING = re.compile(r"(?:\s|</?[A-Za-z]{1,20}>|<\|[a-z_]{1,40}\|>)*")


def outcome_efficiency(tokens: Sequence[int], correct: Sequence[bool], total: int) -> float:
    """Tokens through the first correct solution over all tokens; 0 where no solution is correct.

    Args:
        tokens: of each solution, in order.
        correct: whether each solution's answer is right.
        total: tokens of the response, what follows its last solution included.
    """
    through = 0
    for count, right in zip(tokens, correct, strict=True):
        through += count
        if right:
            return through / total
    return 0.0


def process_efficiency(tokens: Sequence[int], strategies: Sequence[int], total: int) -> float:
    """Tokens of solutions that are the first of their strategy over all tokens."""
    seen: set[int] = set()
    new = 0
    for count, strategy in zip(tokens, strategies, strict=True):
        if strategy not in seen:
            seen.add(strategy)
            new += count
    return new / total


def solutions_of(text: str) -> tuple[Solution, ...]:
    """The solutions of a response, the last reaching to the text's end where nothing but tags follows it.

    A text that states no answer is one unfinished solution: nothing in it was said twice.
    """
    found = split_solutions(text)
    if not found:
        return (Solution(text=text, start=0, end=len(text), answer=""),)
    last = found[-1]
    if _ENDING.fullmatch(text, last.end):
        last = last.model_copy(update={"end": len(text), "text": text[last.start :]})
    return (*found[:-1], last)


def spans(solutions: Sequence[Solution]) -> list[int]:
    """The length of each solution in characters, the blanks before it included."""
    ends = [0, *(solution.end for solution in solutions)]
    return [end - start for start, end in pairwise(ends)]


def by_operations(texts: Sequence[str]) -> list[int]:
    """Strategies told apart by the calculations they make; by their words where they make none.

    Two solutions follow one strategy where half of the smaller one's calculations are in the other. Approximate: the
    published measure has a language model judge novelty.
    """
    signatures = [_signature(text) for text in texts]
    leaders: list[tuple[int, frozenset[str]]] = []
    strategies = []
    for number, signature in enumerate(signatures):
        same = next((leader for leader, other in leaders if _overlap(signature, other) >= SAME), None)
        if same is None and len(leaders) < LEADERS:
            leaders.append((number, signature))
        strategies.append(number if same is None else same)
    return strategies


def _signature(text: str) -> frozenset[str]:
    computed = {
        re.sub(r"\s", "", equation.left)
        for line in text.splitlines()
        for equation in equations(line)
        if equation.operated
    }
    if computed:
        return frozenset(computed)
    words = re.findall(r"\w+", text.lower())
    return frozenset(" ".join(words[place : place + 3]) for place in range(max(1, len(words) - 2)))


def _overlap(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / (min(len(first), len(second)) or 1)
