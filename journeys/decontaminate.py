"""Which problems are too close to an evaluation set to be trained on.

Two texts overlap when they share `ngram` words in a row after normalisation (13 as in GPT-3's and Llama's reports, 8 as
in open-r1); a question shorter than that must be the other's whole text.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from journeys.record import Problem

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[-+*/=<>^%×÷−]")


def contaminated(problems: Iterable[Problem], questions: Iterable[str], *, ngram: int = 13) -> dict[str, str]:
    """The ids of the problems that overlap with any of `questions`, each with the words that both have.

    Memory grows with the evaluation set (about 100 bytes a word), not with the problems.
    """
    runs: set[int] = set()
    wholes: set[int] = set()
    for question in questions:
        tokens = normalised(question)
        wholes.add(hash(tokens))
        runs.update(map(hash, _runs(tokens, ngram)))
    if not wholes:
        return {}
    found = ((problem.id, _overlap(normalised(problem.question), runs, wholes, ngram)) for problem in problems)
    return {problem_id: shared for problem_id, shared in found if shared}


def normalised(text: str) -> tuple[str, ...]:
    """Words, numbers and operators, without case, spacing or punctuation."""
    return tuple(_TOKEN.findall(unicodedata.normalize("NFKC", text).casefold()))


def _overlap(tokens: tuple[str, ...], runs: set[int], wholes: set[int], ngram: int) -> str | None:
    if tokens and hash(tokens) in wholes:
        return " ".join(tokens[: 2 * ngram])
    return next((" ".join(run) for run in _runs(tokens, ngram) if hash(run) in runs), None)


def _runs(tokens: tuple[str, ...], ngram: int) -> Iterator[tuple[str, ...]]:
    """Words and numbers in a row; operators count only when whole questions are compared."""
    words = [token for token in tokens if token[0].isalnum()]
    # Their 64-bit hashes are kept: a million runs on either side meet by chance with odds of one in ten million.
    return (tuple(words[start : start + ngram]) for start in range(len(words) - ngram + 1))
