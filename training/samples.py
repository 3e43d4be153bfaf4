"""Graded samples of an evaluation, question by question: what outcome pairs are made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings import UserError
from training.rows import Source

RIGHT, WRONG = "right", ("wrong", "unparsed")


@dataclass(frozen=True, slots=True)
class Sample:
    """One graded answer to a question, as evaluation writes it."""

    source: Source
    model: str
    question_id: str
    question: str
    text: str
    right: bool
    finished: bool
    length: int
    answer: str | None


def by_question(
    rows: Iterable[tuple[Mapping[str, Any], Source]], file: Path, *, sampled_from: str | None
) -> list[list[Sample]]:
    """The samples of one model, those of a question together, in order.

    Args:
        sampled_from: the model's name; None where there is but one.

    Raises:
        UserError: a row is no sample, or it is not plain whose samples are meant.
    """
    found: dict[str, list[Sample]] = {}
    models: set[str] = set()
    for raw, source in rows:
        sample = read_sample(raw, source)
        models.add(sample.model)
        if sampled_from in (None, sample.model):
            found.setdefault(sample.question_id, []).append(sample)
    known = ", ".join(sorted(models))
    if not found:
        raise UserError(f"data: {file}: no samples of {sampled_from!r}; there are some of {known}")
    if len(models) > 1 and sampled_from is None:
        raise UserError(f"data: {file}: samples of several models ({known}); name one with --sampled-from")
    return list(found.values())


def read_sample(raw: Mapping[str, Any], source: Source) -> Sample:
    """A raw row as a sample. Raises UserError where it is none."""
    missing = [name for name in ("question", "text", "status") if not isinstance(raw.get(name), str)]
    if missing:
        raise UserError(f"{source}: {missing[0]}: expected a text; is this a samples.jsonl that evaluate has written?")
    if raw["status"] not in (RIGHT, *WRONG):
        raise UserError(f"{source}: status: is {raw['status']!r}; expected right, wrong or unparsed")
    tokens, answer = raw.get("tokens"), raw.get("answer")
    return Sample(
        source=source,
        model=str(raw.get("model", "")),
        question_id=str(raw.get("problem_id", raw["question"])),
        question=raw["question"],
        text=raw["text"],
        right=raw["status"] == RIGHT,
        finished=raw.get("finish") != "length",
        length=tokens if isinstance(tokens, int) else len(raw["text"]),
        answer=answer if isinstance(answer, str) else None,
    )


def distinct(samples: Iterable[Sample]) -> list[Sample]:
    """Samples that say something, each text once."""
    return list({one.text.strip(): one for one in samples if one.text.strip()}.values())
