"""What text is made of: sentences, equations, numbers, stated answers; and text without machine traces."""

import json
import re

_TEMPLATE_TOKENS = re.compile(
    r"<\|[^<>|\n]{0,40}\|>|<｜[^<>｜\n]{0,40}｜>|\[/?INST\]|<</?SYS>>|<<[^<>\n]{0,80}>>"
    r"|</?(?:s|think|thought|answer|bos|eos|pad|unk|start_of_turn|end_of_turn|im_start|im_end)>",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"^\s*(?:#+\s+)?(?:\*\*|__)?\s*(?:"
    r"(?:next |final |current |new )?step\s*(?:\d+|[ivx]+)?(?:\.\d+)*\s*(?:\([^)]{0,30}\))?\s*(?:\*\*)?\s*[:.)\-–—]+"
    r"|(?:policy|assistant|user|critic|agent|system|human|ai|model|student|solver|teacher|thought|reasoning|solution"
    r"|explanation|calculation|output|response)\s*(?:\*\*)?\s*:"
    r")\s*(?:\*\*|__)?\s*",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\s*\(?\d{1,2}[.)]\s+(?=\S)")
_BULLET = re.compile(r"^\s*[-*•–]\s+(?=[A-Za-z$\\(\[])|^\s*•\s*")
_HEADING = re.compile(r"^\s*#{1,6}\s+(?!\d)")
_LABEL_ALONE = re.compile(r"^\s*(?:final |the )?(?:answer|solution|result|step \d+)\s*:?\s*$", re.IGNORECASE)
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
ANSWER_LABEL = re.compile(
    r"^\s*(?:the\s+)?(?:final\s+)?answer\s*[:=]\s*(.*\S)\s*$|^\s*####\s*(.*\S)\s*$", re.IGNORECASE
)
_LAYOUT = re.compile(r"\\begin\{|\\\[|\$\$|^\s*\||\S {3,}\S|\t", re.MULTILINE)
_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\bMr\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bMs\.)(?<!\bvs\.)(?<!\bMrs\.)(?<!\be\.g\.)(?<!\bi\.e\.)"
    r"[\"')\]]?\s+(?=\S)"
)
_TIGHT = re.compile(r"\s*([=+\-*/^(){}<>_|])\s*")
_EQUATION = re.compile(r"[^\s,;:!?=]+(?:=[^\s,;:!?=]+)+")
_RAW_EQUATION = re.compile(
    r"\$[^$\n]*=[^$\n]*\$|(?<![\w\\])[-(]?[$€£]?(?:\d|\(|\b[a-z]\b)[\d\s.,()+\-*/×÷^$€£%−]*(?:\b[a-z]\b[\d\s.()+\-*/×÷^]*)*"
    r"(?:=\s*[-$€£(]*(?:\d[\d.,/()\s+\-*×÷^]*[\d)]|\d|[a-z]\b)%?)+"
)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SAME_SIGN = {"\\times": "*", "\\cdot": "*", "×": "*", "·": "*", "÷": "/", "\\div": "/", "−": "-", "–": "-", "—": " - "}
_SIGNS = re.compile("|".join(re.escape(sign) for sign in sorted(_SAME_SIGN, key=len, reverse=True)) + r"|\$|\*\*")

_STATED_ANSWER = re.compile(r"answer\s*(?:is|:|=|comes to|must be|has to be)?:?\s+(?=\S)|\\boxed\s*(?=\{)")
_POSSESSED = re.compile(r"\b(?:the|my|our|final)\s+(?:final\s+|correct\s+)?$")

TRACES = re.compile(
    r"\b(?:critics?|critiques?|assistant|users?|agents?|policy|checkers?|verifiers?|verdict|persona|prompt"
    r"|language model)\b",
    re.IGNORECASE,
)
"""Words for the machinery; fine in a thought only where the problem itself uses them."""


def normal(text: str) -> str:
    """One spelling for text that means the same: case, whitespace, signs, thousands commas, dollar signs.

    Operators lose the spaces around them, so that an equation is one token.
    """
    text = text.casefold()
    if "$" in text or "*" in text or "\\" in text or not text.isascii():
        text = _SIGNS.sub(lambda sign: _SAME_SIGN.get(sign.group(), ""), text)
    if "," in text:
        text = _THOUSANDS.sub("", text)
    return " ".join(_TIGHT.sub(_first_group, text).split())


def _first_group(found: re.Match[str]) -> str:
    return found[1]


def equations(normalised: str) -> list[str]:
    """Every equation in `normal` text, in order."""
    return [found.group().rstrip(".") for found in _EQUATION.finditer(normalised)] if "=" in normalised else []


def raw_equations(text: str) -> list[str]:
    """Every equation as written: plain ones without the words around them, LaTeX ones with their dollar signs."""
    found = [match.group().strip(" ,;") for match in _RAW_EQUATION.finditer(text)] if "=" in text else []
    return [equation for equation in found if "=" in equation]


def numbers(normalised: str) -> list[str]:
    return _NUMBER.findall(normalised)


def sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE_END.split(text) if part]


def stated_answers(text: str) -> list[tuple[int, str]]:
    """Where `text` states an answer as final, and the answer in `normal` form."""
    low = text.lower()
    if "answer" not in low and "\\boxed" not in low:
        return []
    stated = []
    for found in _STATED_ANSWER.finditer(low):
        if found.group().startswith("answer") and not _POSSESSED.search(
            low[max(0, found.start() - 24) : found.start()]
        ):
            continue
        rest = low[found.end() :]
        stated.append(
            (found.start(), normal(braced(rest) if rest.startswith("{") else sentences(rest)[0]).rstrip(". "))
        )
    return stated


def braced(text: str) -> str:
    """The content of the brace group that `text` begins with."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[1:at]
    return text[1:]


def cleaned(step: str) -> str:
    """A step as its author meant it: no labels, list numbers, markup or template tokens; mathematics untouched."""
    text = _TEMPLATE_TOKENS.sub("", _unwrapped(step)) if "<" in step or "[" in step or "{" in step else step
    if _LAYOUT.search(text):
        lines = [_bare(line).rstrip() for line in text.strip().splitlines()]
        return "\n".join(line for line in lines if line.strip())
    lines = [" ".join(_bare(line).split()) for line in text.splitlines()]
    lines = [line for line in lines if line]
    return " ".join([*(ended(line) for line in lines[:-1]), *lines[-1:]])


def ended(text: str) -> str:
    """`text` with a full stop, unless it has an end of its own."""
    text = text.rstrip()
    return text if not text or text[-1] in ".!?:;,…" or text.endswith(("$$", "\\]", "|", "```")) else text + "."


def capital(text: str) -> str:
    """`text` with a capital letter, unless it begins with a variable or a function."""
    return text[0].upper() + text[1:] if re.match(r"[a-z]{2,}(?:['’]\w+)?(?:[ ,.!?:]|$)|a ", text) else text


def _bare(line: str) -> str:
    if line.lstrip().startswith("```"):
        return ""
    line = _BOLD.sub(r"\2", _HEADING.sub("", line)) if "*" in line or "#" in line or "_" in line else line
    before = None
    while before != line:
        before = line
        line = _BULLET.sub("", _NUMBERED.sub("", _LABEL.sub("", line)))
    return "" if _LABEL_ALONE.match(line) else line


def _unwrapped(step: str) -> str:
    """The sentences of a step that came as a JSON object."""
    if not step.lstrip().startswith("{"):
        return step
    try:
        value = json.loads(step)
    except ValueError:
        return step
    texts = [item for item in value.values() if isinstance(item, str)] if isinstance(value, dict) else []
    return "\n".join(texts) or step
