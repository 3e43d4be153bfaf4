"""Long thoughts from elsewhere as rows of ours: whatever the columns and tags, one thought, one answer, one style.

Understood are thoughts in a column of their own; texts with `<think>`, `<|begin_of_thought|>`, `<Thought>` and the
like, the answer in tags or behind them; texts that end in `#### answer` (O1 Journey's released longCOT); chats with
any of these in the assistant's message. A row that cannot be learnt from is left out and counted.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from journeys.formats import TAG_STYLES, Tags
from problems.answers import final_answer, reference_answer, tidy
from problems.verifier import equal_numbers
from settings import Settings, UserError
from training.rows import Message, SFTRow, Source, read_file

USUAL_NAMES = {
    "question": ("question", "problem", "prompt", "instruction", "query", "input", "task"),
    "thought": (
        *("thought", "thoughts", "long_thought", "longcot", "reasoning_content", "reasoning", "thinking", "think"),
        *("thinking_trajectory", "deepseek_reasoning", "long_cot", "chain_of_thought", "cot", "rationale", "trace"),
    ),
    "text": ("combined_text", "response", "output", "completion", "generation", "text", "model_output"),
    "solution": ("solution", "final_solution", "deepseek_solution", "attempt", "explanation"),
    "answer": ("final_answer", "answer", "expected_answer", "ground_truth", "gold", "target", "label"),
}
CHATS = ("messages", "conversations", "conversation")
QUESTIONERS, ANSWERERS = ("user", "human"), ("assistant", "gpt", "model")
LONGEST_ANSWER = 200
"""Characters above which an answer column holds a written solution."""
LONGEST_BARE = 40
"""Characters up to which a text without any statement is an answer by itself."""

_OPEN = r"<\|?(?:begin_of_)?(?:think|thinking|thought|thoughts|reasoning)\|?>"
_CLOSE = r"</(?:think|thinking|thought|thoughts|reasoning)>|<\|end_of_thought\|>"
_OPENS, _CLOSES = re.compile(_OPEN, re.IGNORECASE), re.compile(_CLOSE, re.IGNORECASE)
_AROUND_ANSWER = re.compile(
    r"</?(?:answer|output|solution|response)>|<\|(?:begin|end)_of_solution\|>|<\|(?:im_end|endoftext|eot_id)\|>|</s>",
    re.IGNORECASE,
)
_HASHES = re.compile(r"\n?[ \t]*####[ \t]*\n*(?P<answer>[^\n#][^\n]{0,199})\s*\Z")
_HASHES_ALONE = re.compile(r"[ \t]*####\s*\Z")


class ForeignFields(Settings):
    """The columns that hold a row's parts; null finds them by their usual names."""

    question: str | None = None
    thought: str | None = None
    """The thought, or a text with the thought in tags."""
    answer: str | None = None
    """The final answer, or a written solution that ends in it."""


class ForeignSettings(Settings):
    """How rows from elsewhere are read and written down again."""

    fields: ForeignFields = ForeignFields()
    answer_line: str = Field("Answer: $answer", pattern=r"\$answer")
    """What stands after a thought whose row has no written solution."""


@dataclass
class Refused:
    """Rows left out for one reason."""

    count: int
    first: Source


@dataclass
class ForeignRows:
    """What became of a file."""

    rows: list[SFTRow] = field(default_factory=list)
    refused: dict[str, Refused] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What was left out, a line for each reason."""
        return [f"{one.count} rows left out: {why} (first: {one.first})" for why, one in self.refused.items()]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a row says."""

    question: str
    thought: str
    solution: str
    """What the reader is given after the thought; may be blank."""
    answer: str | None
    """None where only a written solution says it, in its own way."""


class _Malformed(Exception):
    """Why a row cannot be learnt from, in a few words."""


def read_foreign(file: Path, *, settings: ForeignSettings | None = None, tags: Tags | None = None) -> ForeignRows:
    """The rows of a .jsonl or .parquet file of long thoughts, re-tagged.

    Args:
        tags: what to write around thoughts; `<think>` when not given.

    Raises:
        UserError: no such file, no rows, or none that can be learnt from.
    """
    settings = settings or ForeignSettings()
    found = ForeignRows()
    seen: set[tuple[str, str]] = set()
    for raw, source in _raw_rows(file):
        try:
            parts = read_parts(raw, settings.fields)
            if (parts.question, parts.thought) in seen:
                raise _Malformed("the same question and thought as an earlier row")
            seen.add((parts.question, parts.thought))
            found.rows.append(_row(parts, source, settings, tags or TAG_STYLES["think"]))
        except _Malformed as why:
            refused = found.refused.setdefault(str(why), Refused(0, source))
            refused.count += 1
    if not found.rows:
        reasons = sorted(found.refused.items(), key=lambda one: -one[1].count)
        said = "is empty"
        if reasons:
            said = f"none of its rows can be learnt from: {reasons[0][0]} (first: {reasons[0][1].first})"
        raise UserError(f"data: {file}: {said}; name the columns with foreign.fields.question, .thought and .answer")
    return found


def is_foreign(raw: Mapping[str, Any]) -> bool:
    """Whether a raw row is a long thought from elsewhere, and no SFT row of TRL's kind."""
    columns = _columns(raw)
    if "prompt" in columns and ("completion" in columns or "chosen" in columns):
        return False
    if any(name in columns for name in CHATS):
        chat = _chat(raw)
        return chat is not None and (bool(chat[1]) or _OPENS.search(chat[2]) is not None)
    return _find(columns, "thought") is not None or _find(columns, "text") is not None


def read_parts(raw: Mapping[str, Any], fields: ForeignFields) -> Parts:
    """Question, thought, solution and answer of a raw row. Raises _Malformed where one of them is not there."""
    chat = _chat(raw) if fields.thought is None and fields.question is None else None
    if chat is not None:
        question, thought, text = chat
    else:
        question = _question(raw, fields)
        thought, text = _thought_and_text(raw, fields)
    columns = _columns(raw)
    given = _text(raw, fields.answer or _find(columns, "answer"))
    solution = _text(raw, _find(columns, "solution")) if fields.answer is None else ""
    if given and (len(given) > LONGEST_ANSWER or "\n" in given):
        solution, given = given, ""
    beside = text if thought else ""  # a thought in a column of its own leaves the text to the solution
    thought, after = _split(thought or text)
    after = after or (_split(beside)[1] if _CLOSES.search(beside) else beside)
    after = _AROUND_ANSWER.sub("", after).strip()
    if not thought.strip():
        raise _Malformed("the thought is blank")
    written = after or solution
    stated = _answer(written) or final_answer(thought)
    answer = (reference_answer(given) if given else None) or stated
    if not answer and not written:
        raise _Malformed("no final answer in a column, after the thought or at its end")
    if answer and given and stated and equal_numbers(answer, stated) is False:
        raise _Malformed("the text ends in another answer than the answer column has")
    return Parts(question, thought.strip(), written, answer)


def _row(parts: Parts, source: Source, settings: ForeignSettings, tags: Tags) -> SFTRow:
    solution = parts.solution
    if parts.answer and final_answer(solution) is None:
        line = settings.answer_line.replace("$answer", parts.answer)
        solution = line if not solution or tidy(solution) == parts.answer else f"{solution}\n\n{line}"
    marks = [mark.strip() for mark in (tags.open, tags.close, tags.answer_open, tags.answer_close) if mark.strip()]
    if any(mark in text for mark in marks for text in (parts.thought, solution)):
        raise _Malformed("a tag stands inside the thought or the solution")
    if not all(_is_text(text) for text in (parts.question, parts.thought, solution)):
        raise _Malformed("half a character (a lone surrogate) in it, which no tokenizer can read")
    completion = f"{tags.open}{parts.thought}{tags.close}{tags.answer_open}{solution}{tags.answer_close}"
    return SFTRow(source, (Message("user", parts.question),), completion, parts.answer)


def _split(text: str) -> tuple[str, str]:
    """A text as its thought and what stands after it, tags and all removed."""
    opening, closing = _OPENS.search(text), _CLOSES.search(text)
    if closing is not None:  # models whose prompt holds the opening tag write the closing one alone
        begin = opening.end() if opening and opening.start() < closing.start() else 0
        return text[begin : closing.start()], text[closing.end() :]
    if opening is not None:
        raise _Malformed("the thought is never closed; the text was cut off")
    hashes = _HASHES.search(text)
    if hashes is not None:
        return text[: hashes.start()], hashes["answer"].strip()
    return _HASHES_ALONE.sub("", text), ""


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _answer(text: str) -> str | None:
    """The final answer that a text states; a text that is nothing but a few words is the answer."""
    stated = final_answer(text)
    if stated is not None or "\n" in text or len(text) > LONGEST_BARE:
        return stated
    return None if text.endswith(".") and len(text.split()) > 3 else tidy(text)


def _question(raw: Mapping[str, Any], fields: ForeignFields) -> str:
    name = fields.question or _find(_columns(raw), "question")
    value = raw.get(name) if name else None
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = next((_content(one) for one in reversed(value) if _role(one) in QUESTIONERS), None)
    if not isinstance(value, str) or not value.strip():
        raise _Malformed("no question" if name is None or name not in raw else "the question is blank or no text")
    return value.strip()


def _thought_and_text(raw: Mapping[str, Any], fields: ForeignFields) -> tuple[str, str]:
    columns = _columns(raw)
    if fields.thought is not None and fields.thought not in raw:
        raise _Malformed(f"no column {fields.thought!r}")
    thought = _text(raw, fields.thought or _find(columns, "thought"))
    text = _text(raw, _find(columns, "text")) if fields.thought is None else ""
    if not thought and not text:
        text = _text(raw, _find(columns, "solution"))  # a solution with the thought in tags
        if not _OPENS.search(text):
            raise _Malformed("no thought")
    return thought, text


def _chat(raw: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The last question of a chat, the thought that came back in a field of its own, and the text."""
    turns = next((raw[name] for name in CHATS if isinstance(raw.get(name), Sequence)), None)
    if not turns or not isinstance(turns[-1], Mapping) or _role(turns[-1]) not in ANSWERERS:
        return None
    question = next((_content(one) for one in reversed(turns) if _role(one) in QUESTIONERS), "")
    thought = _text(turns[-1], _find(_columns(turns[-1]), "thought"))
    return (question.strip(), thought, _content(turns[-1])) if question.strip() else None


def _role(message: Any) -> str:
    return str(message.get("role") or message.get("from") or "") if isinstance(message, Mapping) else ""


def _content(message: Any) -> str:
    value = message.get("content") or message.get("value") if isinstance(message, Mapping) else None
    return value if isinstance(value, str) else ""


def _columns(raw: Mapping[str, Any]) -> dict[str, str]:
    """The names of a row's columns, by the way they are written in `USUAL_NAMES`."""
    return {str(name).lower(): str(name) for name in raw}


def _find(columns: Mapping[str, str], part: str) -> str | None:
    return next((columns[name] for name in USUAL_NAMES[part] if name in columns), None)


def _text(raw: Mapping[str, Any], name: str | None) -> str:
    """A column's text; numbers are text too, everything else is as if it were not there."""
    value = raw.get(name) if name else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def _raw_rows(file: Path) -> Iterator[tuple[Mapping[str, Any], Source]]:
    """As `read_file`, but a line that is no JSON object is a row without columns: it will be counted."""
    if file.suffix.lower() not in (".jsonl", ".ndjson"):
        yield from read_file(file)
        return
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _object(line), Source(str(file), number)
    except OSError as error:
        raise UserError(f"data: {file}: cannot be read: {error.strerror}") from None


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    return row if isinstance(row, dict) else {}
