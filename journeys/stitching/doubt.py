"""A critic's words as one's own: from critique and evidence to a doubt in the first person."""

import re

from journeys.record import Evidence, Turn
from journeys.stitching import phrases
from journeys.stitching.phrases import Pick
from journeys.stitching.prose import TRACES, capital, cleaned, ended, equations, normal, numbers, sentences

LONGEST_REASON = 320
"""Characters of a critique worth saying aloud; further sentences are left out."""

_JARGON = re.compile(
    r"\b(?:backtrack\w*|terminat\w*|verdict|feedback|json|keep\s*=|quote\w*|evidence|instructions?|response|output)\b"
    r"|[{}]\s*\"|<\|",
    re.IGNORECASE,
)
_PRAISE = re.compile(
    r"^(?:yes|good|great|correct|nice|well done|excellent|perfect|right)\b|\b(?:is|are|looks?|seems?) "
    r"(?:all |quite |perfectly )?(?:correct|right|fine|good|valid|accurate|sound)\b"
    r"|\bno (?:errors?|mistakes?|issues?)\b",
    re.IGNORECASE,
)
_BUT = re.compile(r"\b(?:not|but|however|except)\b|n't\b", re.IGNORECASE)
_VACUOUS = re.compile(
    r"^(?:(?:no|wait|hmm)[,.]? )?(?:this|that|it|the step|this step|that step|here)?\s*(?:is|was|looks?|seems?|'s)?\s*"
    r"(?:not (?:right|correct|true|quite right)|wrong|incorrect|false|an? (?:error|mistake))[.!]?$",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"[^a-z?]*\b(?:is not|isn't|does not equal|doesn't equal|can't be|is)\b[^a-z?]*(?:, not\b[^a-z?]*)?\.?",
    re.IGNORECASE,
)
"""A critique that denies a calculation and gives no reason ("17 + 25 is not 43.")."""
_ORDERS = {
    "check": "check", "recheck": "check", "re-check": "check", "double-check": "double-check", "verify": "check",
    "recompute": "recompute", "recalculate": "recalculate", "reconsider": "reconsider", "revisit": "go back to",
    "redo": "redo", "re-read": "read again", "reread": "reread", "review": "look over", "examine": "look at",
    "look": "look", "try": "try", "consider": "consider", "think": "think", "compute": "compute", "start": "start",
    "calculate": "calculate", "count": "count", "use": "use", "add": "add", "subtract": "subtract", "apply": "apply",
    "multiply": "multiply", "divide": "divide", "go": "go", "read": "read", "work": "work", "focus": "focus",
    "fix": "fix", "correct": "correct", "find": "find", "simplify": "simplify", "explain": "spell out",
    "show": "spell out", "justify": "spell out", "write": "write", "compare": "compare", "include": "include",
}  # fmt: skip
_ORDERED_AFTER = re.compile(
    r"; (check|recheck|verify|recompute|recalculate|redo|reconsider|try|use|count)\b", re.IGNORECASE
)
_SUBJECT = r"(?:the |this )?(?:policy|solver|student|model|assistant|author|agent|user|writer)"
_IRREGULAR = {"is": "am", "was": "was", "has": "have", "does": "do", "isn't": "am not", "doesn't": "don't"}
_IRREGULAR |= {"hasn't": "haven't"}
_PAIRS = (
    (r"\byou(?:'re| are) (?:right|correct)\b[,.]?", ""),
    (r"\bare you\b", "am I"),
    (r"\bwere you\b", "was I"),
    (r"\byou(?:'re| are)\b", "I'm"),
    (r"\byou were\b", "I was"),
    (r"\b(to|for|with|by|from|of|at|gives?|lets?|leaves?|tells?|asks?|told|asked) you\b(?! \w+(?:ed|ing)\b)", r"\1 me"),
    (r"\byourself\b", "myself"),
    (r"\byours\b", "mine"),
    (r"\byour\b", "my"),
    (r"\byou\b", "I"),
)
_SECOND_PERSON = tuple((re.compile(pattern, re.IGNORECASE), words) for pattern, words in _PAIRS)
_STEP_NAME = re.compile(
    r"\b(?:in |at )?(?:the )?(?:(?:current|new|newest|latest|last|proposed|given|judged) step|step\s*(?:#\s*)?\d+)\b"
    r"|\bthe step(?= \w+s\b)",
    re.IGNORECASE,
)
_THIRD_PERSON = re.compile(rf"\b{_SUBJECT}(?P<own>'s)?\b(?:\s+(?P<verb>[a-z']+))?", re.IGNORECASE)
_LEAD_IN = re.compile(
    r"^\s*(?:(?:critic|critique|feedback|verdict|reason|error|mistake|note|hint|issue|problem)\s*:|backtrack\s*[:,.]"
    r"|please,?|note that|notice that|sorry,?|however,?|but|wait[,:.]?|hmm+[,:.]?|hold on[,:.]?|no[,:])\s+",
    re.IGNORECASE,
)


def in_first_person(critique: str, *, allowed: str = "") -> str:
    """`critique` as its receiver would think it, or "" where it cannot honestly be said as a thought.

    Args:
        critique: what the critic wrote: a statement, a question, an order, second or third person.
        allowed: the problem's question; its own words ("agent", "policy") are no trace of the machinery.
    """
    kept: list[str] = []
    for sentence in sentences(cleaned(critique)):
        said = _said(sentence)
        if not said or _foreign(said, allowed) or (_PRAISE.search(said) and not _BUT.search(said)):
            continue
        if kept and len(" ".join([*kept, said])) > LONGEST_REASON:
            break
        kept.append(said)
    text = " ".join(ended(said) for said in kept)
    return text if len(text) <= 2 * LONGEST_REASON else ""


def _foreign(said: str, allowed: str) -> bool:
    return bool(_JARGON.search(said)) or any(
        word.group().lower() not in allowed.lower() for word in TRACES.finditer(said)
    )


def _said(sentence: str) -> str:
    """One sentence of a critique, turned."""
    before = None
    while before != sentence:
        before, sentence = sentence, _LEAD_IN.sub("", sentence)
    sentence = _STEP_NAME.sub(_step_named, sentence)
    sentence = _THIRD_PERSON.sub(_turned, sentence)
    if "you" in sentence.lower():
        for pattern, words in _SECOND_PERSON:
            sentence = pattern.sub(words, sentence)
    sentence = _ORDERED_AFTER.sub(lambda order: f"; let me {order[1].lower()}", sentence)
    sentence = re.sub(r"\bam I to\b", "should I", sentence).strip(" ,")
    return capital(_own_order(sentence))


def _step_named(found: re.Match[str]) -> str:
    return "here" if found.group().lower().startswith(("in ", "at ")) else "that step"


def _turned(found: re.Match[str]) -> str:
    if found["own"]:
        return f"my {found['verb'] or ''}".rstrip()
    verb = (found["verb"] or "").lower()
    if verb in _IRREGULAR:
        verb = _IRREGULAR[verb]
    elif verb.endswith("ies"):
        verb = verb[:-3] + "y"
    elif verb.endswith(("shes", "ches", "xes", "sses", "zes", "oes")):
        verb = verb[:-2]
    elif verb.endswith("s") and not verb.endswith(("ss", "us")):
        verb = verb[:-1]
    return f"I {verb}".rstrip()


def _own_order(sentence: str) -> str:
    """ "Check the sum." -> "Let me check the sum."; "Don't forget ..." -> "I must not forget ..."."""
    match = re.match(r"(?:(?:could|can|would|will) I (?:please )?)?([A-Za-z-]+)\b(.*)", sentence, re.DOTALL)
    negative = re.match(r"(?:do not|don't|never)\s+(.*)", sentence, re.IGNORECASE | re.DOTALL)
    if negative:
        return f"I must not {negative[1]}"
    if sure := re.match(r"(?:make sure|ensure|be careful|remember)\b(.*)", sentence, re.IGNORECASE | re.DOTALL):
        return f"I have to {sentence[: sure.start(1)].lower()}{sure[1]}"
    if match and match[1].lower() in _ORDERS and not re.match(r"(?:ing|s)?\s*(?:is|are|was|were|gives|=)\b", match[2]):
        polite = not sentence[: match.start(1)]
        order = f"Let me {_ORDERS[match[1].lower()]}{match[2]}"
        return order if polite else order.replace("?", ".")
    return sentence


def reason(turn: Turn, pick: Pick, *, question: str, again: bool = False) -> str:
    """Why a step cannot stand, in the first person and without an opener; a full sentence or two.

    Evidence speaks where the critique is empty, empty of content, or not fit to be thought.

    Args:
        turn: the turn whose verdict rejects its step.
        pick: chooses among phrases.
        question: the problem's question.
        again: whether the same step was already rejected once.
    """
    critique = in_first_person(turn.verdict.critique, allowed=question)
    if _VACUOUS.match(critique) or len(critique.split()) == 1:  # "Why?" is no reason
        critique = ""
    if _breaks_early(turn) and only_denies(turn):
        return capital(ended(pick(phrases.CHAIN)))
    found = next((item for item in turn.evidence if item.fatal), None)
    if found is None or (critique and _covers(critique, found)):
        return critique or capital(ended(_from_quote(turn, pick, again=again)))
    if again:
        return capital(ended(pick(phrases.AGAIN)))
    stated = capital(ended(_from_evidence(found, turn, pick, question=question, again=again)))
    if not critique or normal(critique) == normal(found.detail) or found.kind in ("repeated_step", "refused_answer"):
        return stated
    return f"{stated} {critique}"


def only_denies(turn: Turn) -> bool:
    """Whether the verdict says that the step is wrong, and nothing about why that a telling would lose."""
    critique = " ".join(turn.verdict.critique.split())
    return (
        not critique
        or bool(_VACUOUS.match(critique) or _DENIAL.fullmatch(critique))
        or any(normal(critique) == normal(item.detail) for item in turn.evidence)
    )


def _breaks_early(turn: Turn) -> bool:
    """Whether the equation that a checker found false is a link inside a chain ("20 + 78 = 78 + 10 = 278").

    To deny that link would deny nothing that the chain was after, and its end may even be right.
    """
    found = next((item for item in turn.evidence if item.fatal), None)
    if found is None or found.kind != "false_equation":
        return False
    link = normal(found.quote).strip(". ")
    return any(
        chain.count("=") > 1 and link in chain and not chain.endswith(link) for chain in equations(normal(turn.step))
    )


def _covers(critique: str, found: Evidence) -> bool:
    """Whether the critique already says what the checker found."""
    quoted = numbers(normal(found.quote))
    return bool(quoted) and set(quoted[-1:]) <= set(numbers(normal(critique)))


def _from_quote(turn: Turn, pick: Pick, *, again: bool) -> str:
    if again:
        return pick(phrases.AGAIN)
    quote = " ".join(turn.verdict.quote.split()).rstrip(".")
    if not quote or len(quote) > 80 or normal(quote) not in normal(turn.step) or cleaned(quote) != quote:
        return pick(phrases.VAGUE)
    return _denied(quote, pick) if "=" in quote else pick(phrases.DOUBTFUL_QUOTE).format(quote=quote)


def _from_evidence(found: Evidence, turn: Turn, pick: Pick, *, question: str, again: bool) -> str:
    quote = " ".join(found.quote.split()).rstrip(".")
    match found.kind:
        case "false_equation" if "=" in quote and len(quote) <= 120:
            return _denied(quote, pick)
        case "failed_code":
            return phrases.FAILED if _foreign(found.detail, question) else found.detail
        case "repeated_step":
            return pick(phrases.AGAIN if again else phrases.STANDS)
        case "contradiction":
            return pick(phrases.CONTRADICTION)
        case "empty_step":
            return pick(phrases.EMPTY)
        case "refused_answer":
            return pick(phrases.REFUSED)
        case _:
            return in_first_person(found.detail, allowed=question) or _from_quote(turn, pick, again=False)


def _denied(equation: str, pick: Pick) -> str:
    """ "17 + 25 = 43" -> "17 + 25 isn't 43"."""
    sides = [side.strip() for side in equation.split("=")]
    if not all(re.search(r"\w", side) for side in sides):
        return pick(phrases.VAGUE)
    if len(sides) != 2 or "$" in equation or "\\" in equation:
        return pick(phrases.FALSE_CHAIN).format(quote=equation)
    return pick(phrases.FALSE_EQUATION).format(left=sides[0], right=sides[1])
