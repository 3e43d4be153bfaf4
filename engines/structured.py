"""Typed values out of model text: the schema that engines enforce, and a lenient reader for where none was enforced.

Models write LaTeX into JSON and rarely double its backslashes, so `"\\frac"` as JSON reads as a form feed and `rac`.
The reader therefore decides for each backslash what was meant. Nothing is evaluated, and time is linear in the text.
"""

import contextlib
import functools
import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

T = TypeVar("T", bound=BaseModel)

MAX_CHARS = 200_000
"""Longer texts are read only this far."""
MAX_OBJECTS = 8
"""Places in a text where an object may begin that are tried."""
MAX_STRING = 1000
"""`maxLength` given to string fields that declare none: without it a weak model babbles inside valid JSON."""
MAX_ITEMS = 16
"""`maxItems` for arrays that declare none."""
MAX_DEPTH = 64


@functools.cache
def json_schema(model: type[BaseModel]) -> str:
    """The JSON schema text of a model, made once per type so that engines can cache their grammar by it.

    Strings and arrays are bounded, every field is required (small models leave optional ones out), no other is allowed.
    """
    return json.dumps(_bounded(model.model_json_schema()))


def parse_json(text: str, model: type[T]) -> T | None:
    """The first object in `text` that is a valid `model`, or None.

    Accepts code fences and prose around it, single backslashes of LaTeX, raw line breaks in strings, trailing commas,
    and an end that was cut off.
    """
    for value in _objects(text[:MAX_CHARS]):
        try:
            return model.model_validate(value)
        except (ValidationError, RecursionError):
            continue
    return None


class Grammars:
    """xgrammar masks for one tokenizer; without the package every request is free text, and callers parse leniently."""

    def __init__(self, tokenizer: Any, vocab_size: int) -> None:
        self._compiled: dict[str, Any] = {}
        try:
            import xgrammar
        except ImportError:
            self._compiler: Any = None
            return
        self._xgrammar = xgrammar
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocab_size)
        self._compiler = xgrammar.GrammarCompiler(info)

    def matcher(self, output: bool | type[BaseModel]) -> Any:
        """A fresh matcher for one request, or None where nothing is enforced."""
        if self._compiler is None or output is False:
            return None
        key = "" if output is True else json_schema(output)
        if key not in self._compiled:
            self._compiled[key] = (
                self._compiler.compile_json_schema(key, any_whitespace=False)
                if key
                else self._compiler.compile_builtin_json_grammar()
            )
        return self._xgrammar.GrammarMatcher(self._compiled[key])


def _bounded(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_bounded(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _bounded(value) for key, value in schema.items() if key != "default"}
    if made.get("type") == "string" and not made.keys() & {"maxLength", "enum", "const", "format", "pattern"}:
        made["maxLength"] = MAX_STRING
    if made.get("type") == "array":
        made.setdefault("maxItems", MAX_ITEMS)
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made["required"] = list(made["properties"])
        made["additionalProperties"] = False
    return made


# The lenient reader


def _objects(text: str) -> Iterator[Any]:
    """Candidate objects, from left to right; the text as plain JSON first."""
    whole = text.strip()
    if whole.startswith("{") and "\\" not in whole:
        with contextlib.suppress(ValueError, RecursionError):
            yield json.loads(whole)
    at = 0
    for _ in range(MAX_OBJECTS):
        opening = _OPENING.search(text, at)
        if opening is None:
            return
        reader = _Reader(text, opening.start())
        try:
            value = reader.value(0)
        except _Unreadable:
            at = opening.start() + 1
            continue
        yield value
        at = max(reader.at, opening.start() + 1)


_OPENING = re.compile(r'\{(?=\s*["\'}])')
_SPACE = re.compile(r"\s*")
_SCALAR = re.compile(r"[^\s,}\]]{1,64}")
_PLAIN = re.compile(r'[^"\\]+')
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_COMMAND = re.compile(r"[A-Za-z]+")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "n": "\n", "r": "\r", "t": "\t"}
_PROPER = re.compile(r"\\\\[A-Za-z]{2}")
_IMPROPER = re.compile(r'(?<!\\)(?:\\\\)*\\[^"\\/nrtu]')
_SCALARS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


class _Unreadable(Exception):
    """No object begins here."""


class _Reader:
    """Reads one JSON value forgivingly, left to right, each character once."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.escaped = _PROPER.search(text) is not None and _IMPROPER.search(text) is None
        """Whether the writer doubles its backslashes, so that single ones are JSON's own."""

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise _Unreadable
        match self._peek():
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case '"':
                return self._string()
            case "":
                raise _Unreadable
        scalar = _SCALAR.match(self.text, self.at)
        if scalar is None:
            raise _Unreadable
        self.at = scalar.end()
        word = scalar.group()
        if word in _SCALARS:
            return _SCALARS[word]
        try:
            return json.loads(word)
        except (ValueError, RecursionError):
            raise _Unreadable from None

    def _object(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        self.at += 1
        while True:
            match self._peek():
                case "}":
                    self.at += 1
                    return made
                case ",":
                    self.at += 1
                    continue
                case "":
                    return made  # cut off: what was said so far counts
                case '"':
                    pass
                case _:
                    raise _Unreadable
            key = self._string()
            if self._peek() != ":":
                if self._peek() == "":
                    return made
                raise _Unreadable
            self.at += 1
            if self._peek() == "":
                return made
            made[key] = self.value(depth + 1)

    def _array(self, depth: int) -> list[Any]:
        made: list[Any] = []
        self.at += 1
        while True:
            match self._peek():
                case "]":
                    self.at += 1
                    return made
                case ",":
                    self.at += 1
                case "":
                    return made
                case _:
                    made.append(self.value(depth + 1))

    def _string(self) -> str:
        """A string; ends at its quote or, cut off, at the end of the text."""
        text, parts = self.text, []
        self.at += 1
        while self.at < len(text):
            if (plain := _PLAIN.match(text, self.at)) is not None:
                parts.append(plain.group())
                self.at = plain.end()
            elif text[self.at] == '"':
                self.at += 1
                return "".join(parts)
            else:
                parts.append(self._backslash())
        return "".join(parts)

    def _backslash(self) -> str:
        """What the backslash at `at` stands for: a JSON escape, or the start of a LaTeX command."""
        text, at = self.text, self.at
        following = text[at + 1 : at + 2]
        if following == "u" and (code := _HEX.match(text, at + 2)) is not None:
            self.at = at + 6
            return self._unicode(int(code.group(), 16))
        if following in {'"', "\\", "/"}:
            self.at = at + 2
            return _ESCAPES[following]
        if following in {"n", "r", "t"}:
            command = _COMMAND.match(text, at + 1)
            assert command is not None
            # `\nThen` is a line break, `\neq` a command. `\b` and `\f` are never meant as JSON means them.
            if self.escaped or command.group() not in _COMMANDS:
                self.at = at + 2
                return _ESCAPES[following]
        self.at = at + 1
        return "\\"

    def _unicode(self, code: int) -> str:
        """`\\uXXXX`, joined with its second half where it is one of a pair; a lone half becomes U+FFFD."""
        if 0xD800 <= code < 0xDC00 and self.text.startswith("\\u", self.at):
            low = _HEX.match(self.text, self.at + 2)
            if low is not None and 0xDC00 <= (second := int(low.group(), 16)) < 0xE000:
                self.at += 6
                return chr(0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00))
        return "�" if 0xD800 <= code < 0xE000 else chr(code)

    def _peek(self) -> str:
        space = _SPACE.match(self.text, self.at)
        assert space is not None
        self.at = space.end()
        return self.text[self.at : self.at + 1]


_COMMANDS = frozenset(
    re.findall(
        r"[A-Za-z]+",
        """
    nabla natural ncong ne nearrow neg negthinspace neq newcommand newline nexists ngeq ni nleftarrow nleq nless nmid
    noindent nolimits nonumber normalsize not notag notin nparallel nprec nrightarrow nsim nsubseteq nsupseteq nu
    nwarrow
    raise rangle rbrace rbrack rceil re real rfloor rgroup rho right rightarrow rightharpoonup rightleftharpoons
    rightsquigarrow risingdotseq rm root rtimes rvert rVert
    tag tan tanh tau tbinom text textbf textcolor textit textrm textsf textstyle texttt tfrac therefore theta
    thickapprox thicksim thinspace tilde times tiny to top triangle triangleleft triangleq triangleright tt
    twoheadrightarrow
    """,
    )
)
"""LaTeX commands whose first letter is also a JSON escape that text may need (n, r, t)."""
