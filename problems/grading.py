"""What a worker process does: equality by math-verify, scores by reasoning-gym. `python -m problems.grading SECONDS`.

math-verify is asked about two final answers, never about a text: each is wrapped in one box of its own. Its timeouts
are off (they need the main thread and cannot stop C code); the kernel ends this process once a request has used up its
CPU time.
"""

import json
import re
import signal
import sys
from contextlib import suppress
from typing import Any

MEMORY_LIMIT_BYTES = 4 * 1024**3
MAX_CHARS = 1000
SAMPLE_POINTS = (0.73, 1.37, 2.19)


def parse(answer: str) -> list[Any]:
    """What math-verify reads in one final answer; empty when it reads nothing."""
    from latex2sympy2_extended import NormalizationConfig  # type: ignore[import-untyped]
    from math_verify import ExprExtractionConfig, LatexExtractionConfig  # type: ignore[import-untyped]
    from math_verify import parse as read

    if len(answer) > MAX_CHARS:
        return []
    latex = LatexExtractionConfig(
        boxed_match_priority=0,
        normalization_config=NormalizationConfig(
            basic_latex=True, units=True, malformed_operators=True, nits=True, boxed="all"
        ),
    )
    found = read(rf"$\boxed{{{plain_latex(answer)}}}$", [latex, ExprExtractionConfig()], parsing_timeout=None)
    return [part for part in found if not isinstance(part, str)]


def plain_latex(answer: str) -> str:
    """An answer as the inside of one box: words that only label it are dropped, glued boxes cannot arise."""
    text = re.sub(r"\\f?boxed", "", answer).replace("\\$", "").replace("$", "")
    text = re.sub(r"\\(?:text|mathrm|mbox)\s*\{\s*(?:or|and)\s*\}", ",", text)
    text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?|°", "", text)
    text = re.sub(r"(?<=\d)(?:,\\!|\{,\})(?=\d{3})", "", text)
    text = re.sub(r"\s*([-+*/=^])\s*", r"\1", text)  # "a + b + c" reads as nothing, "a+b+c" as a sum
    return text.replace("\\!", "").replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")


def equal(gold: str, answer: str) -> str:
    """`right`, `wrong`, or `unparsed` (the answer cannot be read), or `no_gold` (the reference cannot)."""
    from math_verify import verify

    read_gold, read_answer = parse(gold), parse(answer)
    if not read_gold:
        return "no_gold"
    if not read_answer:
        return "unparsed"
    same = verify(read_gold, read_answer, timeout_seconds=None, strict=True)  # gold first: the order matters
    if same and not agree_numerically(read_gold[0], read_answer[0]):
        return "wrong"
    return "right" if same else "wrong"


def agree_numerically(gold: Any, answer: Any) -> bool:
    """A second opinion on a yes: math-verify 0.9.0 holds 1 - 1/e and 1 + 1/e for equal.

    True wherever the two cannot be compared as numbers (sets, relations, matrices).
    """
    import sympy  # type: ignore[import-untyped]

    if isinstance(gold, sympy.Tuple | sympy.FiniteSet) and isinstance(answer, sympy.Tuple | sympy.FiniteSet):
        if len(gold.args) != len(answer.args):
            return True
        ordered = isinstance(gold, sympy.Tuple)
        rest = list(answer.args)
        for place, part in enumerate(gold.args):
            candidates = [rest[place]] if ordered else rest
            if not any(agree_numerically(part, other) for other in candidates):
                return False
        return True
    if not isinstance(gold, sympy.Expr) or not isinstance(answer, sympy.Expr):
        return True
    with suppress(TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, NotImplementedError):
        symbols = sorted(gold.free_symbols | answer.free_symbols, key=str)
        for shift in SAMPLE_POINTS:
            values = {symbol: shift + 0.31 * place for place, symbol in enumerate(symbols)}
            first, second = complex(gold.subs(values).evalf(15)), complex(answer.subs(values).evalf(15))
            if abs(first - second) > max(1e-6 * abs(first), 1e-12):
                return False
    return True


def respond(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request; whatever a library raises on an odd answer is an `unparsed`, with the reason."""
    try:
        match request["kind"]:
            case "math":
                return {"status": equal(request["gold"], request["answer"])}
            case "gym":
                from problems.gym import score

                return {"score": score(request["task"], request["config"], request["entry"], request["answer"])}
            case _:
                return {}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error)[:200]}"}


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def main(seconds: float) -> None:
    """Serve JSON lines until the pipe closes."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the kernel ends the process, wherever it is
    _limit_memory()
    replies, sys.stdout = sys.stdout, sys.stderr  # a library that prints must not speak for us
    import logging

    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        request = json.loads(line)
        if request["kind"] == "gym":
            import reasoning_gym  # type: ignore[import-untyped]  # noqa: F401  imports are not the answer's time
        else:
            parse("1")
        signal.setitimer(signal.ITIMER_PROF, seconds)
        reply = respond(request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]))
