"""Templates: everything that is put into them is escaped; what they lack is an error, never an empty word."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from viewer.mathematics import shown

HERE = Path(__file__).parent
OUTCOME_WORDS = {
    "solved": "solved",
    "wrong": "wrong",
    "unparsed": "unparsed",
    "exhausted": "exhausted",
    "engine_error": "engine error",
    "growing": "growing",
}
MOVE_WORDS = {"c": "continue", "b": "backtrack", "r": "reflect", "t": "terminate"}


def environment() -> Environment:
    """The one environment of the viewer."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"shown": shown, "percent": percent, "number": number, "short": short}
    made.globals |= {"outcome_words": OUTCOME_WORDS, "move_words": MOVE_WORDS}
    return made


def render(made: Environment, name: str, context: Mapping[str, Any]) -> Markup:
    return Markup(made.get_template(name).render(**context))


def percent(value: float | None, places: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{places}f}%"


def number(value: float | None, places: int = 0) -> str:
    return "–" if value is None else f"{value:,.{places}f}"


def short(text: str, length: int = 160) -> str:
    """One line of a text."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
