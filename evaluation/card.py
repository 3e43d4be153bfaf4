"""A row about this evaluation in the model's own card, where training left one."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.tables import interval, number, percent
from settings.files import write_text

OPEN, CLOSE = "<!-- evaluation -->", "<!-- /evaluation -->"
HEAD = "| evaluation | problems | samples | accuracy | no answer | tokens |\n| --- | ---: | ---: | ---: | ---: | ---: |"


def write_into_card(card: Path, evaluation: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    """Put or replace this evaluation's row between the markers; other rows and the rest of the card stay.

    A card without markers gets a section at its end. Returns whether there was a card.
    """
    if not card.is_file():
        return False
    text = card.read_text("utf-8")
    row = _row(evaluation, model)
    if OPEN not in text:
        text = f"{text.rstrip()}\n\n## Evaluation\n\n{OPEN}\n{CLOSE}\n"
    before, _, rest = text.partition(OPEN)
    inside, closed, after = rest.partition(CLOSE)
    if not closed:
        inside, after = "", rest
    kept = [line for line in inside.splitlines() if re.match(r"\| (?!evaluation \||---)", line)]
    kept = [line for line in kept if _name(line) != _name(row)]
    lines = "\n".join([HEAD, *kept, row])
    write_text(card, f"{before}{OPEN}\n{lines}\n{CLOSE}{after if after.strip() else chr(10)}")
    return True


def _row(evaluation: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    scores = model["scores"]
    cells = (
        evaluation["name"],
        str(evaluation["problems"]["count"]),
        str(evaluation["samples"]),
        interval(scores["accuracy"]),
        percent(scores["no_answer_rate"]["value"]),
        number(scores["tokens"]["mean"]),
    )
    return "| " + " | ".join(cells) + " |"


def _name(row: str) -> str:
    return row.split("|")[1].strip()
