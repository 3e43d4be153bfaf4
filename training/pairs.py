"""Preference pairs for DPO: out of samples that were graded, or out of the preferences a run has exported.

As in O1 Journey (methods 1.8), the samples of a question are split by their final answer, and up to five right ones
stand against five wrong ones; the repairs of Marco-o1 v2 (methods 6) decide which, and what of them the loss falls on.
"""

import random
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from journeys.formats import Tags
from settings import UserError
from training.dpo_settings import DPOSettings
from training.rows import Message, SFTRow, Source, find_file, messages, read_file, written
from training.samples import Sample, by_question, distinct
from training.tokens import Encoded, Encoder, check_length
from training.trim import thought_span, trimmed


@dataclass(frozen=True, slots=True)
class Side:
    """What the assistant writes on one side of a pair."""

    source: Source
    text: str
    ends: bool
    """Whether the message ends here; a single step, or a sample that ran out of tokens, goes on."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt, what to prefer and what to it."""

    prompt: tuple[Message, ...]
    """Ends with the user; what the assistant has begun stands at the beginning of both sides."""
    chosen: Side
    rejected: Side
    kind: Literal["outcome", "step"]
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """A pair as ids."""

    prompt: "array[int]"
    chosen: "array[int]"
    rejected: "array[int]"

    @property
    def longer(self) -> Encoded:
        """The pair as one row, the longer of its sides behind the prompt."""
        return Encoded(self.prompt, max(self.chosen, self.rejected, key=len))


@dataclass
class PairCounts:
    """What became of the data."""

    outcome: int = 0
    step: int = 0
    questions: int = 0
    """Questions that were sampled."""
    one_sided: int = 0
    """Of these, those with right samples only, or wrong ones only: nothing to prefer."""
    no_difference: int = 0
    """Pairs whose sides are the same to the token, or of which one is the beginning of the other."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Pairs of a kind that was not asked for."""


def read_pairs(settings: DPOSettings, *, system: str = "") -> tuple[list[Pair], PairCounts]:
    """The pairs of all data, in order.

    Args:
        system: the system text under which sampled models were asked, blank for none.

    Raises:
        UserError: nothing named, no such file, a row that is no row, or no pair in all of it.
    """
    if not settings.data:
        raise UserError(
            "data: nothing to train on; name a run folder, an evaluation's folder or a file of rows with --data"
        )
    counts = PairCounts()
    pairs: list[Pair] = []
    for path in settings.data:
        pairs += _of_kind(settings.pairs, _read(path, settings, counts, system=system), counts)
    for pair in pairs:
        if pair.kind == "outcome":
            counts.outcome += 1
        else:
            counts.step += 1
    if not pairs:
        raise UserError(f"data: {', '.join(settings.data)}: no pairs in it{_why_none(counts)}")
    return pairs, counts


def encode_pairs(
    pairs: Iterable[Pair], encoder: Encoder, *, settings: DPOSettings, counts: PairCounts
) -> list[EncodedPair]:
    """Pairs as ids. Each side is exactly what SFT would make of it; both differ in their first token.

    With `prefix_in_prompt` the tokens both sides begin with move to the prompt's end. Pairs without a difference are
    counted and dropped.

    Raises:
        UserError: a pair is longer than `max_length`, or none is left.
    """
    encoded = []
    for pair in pairs:
        chosen, rejected = (_encode(pair.prompt, side, encoder) for side in (pair.chosen, pair.rejected))
        for side, one in ((pair.chosen, chosen), (pair.rejected, rejected)):
            check_length(len(one), side.source, max_length=settings.max_length, what="side of a pair")
        shared = _shared(chosen.completion, rejected.completion)
        if shared == min(len(chosen.completion), len(rejected.completion)):
            counts.no_difference += 1
            continue
        cut = shared if settings.prefix_in_prompt else 0
        prompt = chosen.prompt + chosen.completion[:cut]
        encoded.append(EncodedPair(prompt, chosen.completion[cut:], rejected.completion[cut:]))
    if not encoded:
        raise UserError(f"data: {', '.join(settings.data)}: no pair whose sides differ")
    return encoded


def pair_up(samples: Sequence[Sample], settings: DPOSettings, *, system: str) -> Iterator[Pair]:
    """Outcome pairs of one question, drawn by the seed and the question's id; equal texts count once."""
    draw = random.Random(f"pairs {settings.seed} {samples[0].question_id}")
    right = distinct(one for one in samples if one.right)
    wrong = distinct(one for one in samples if not one.right)
    if not right or not wrong:
        return
    count = min(settings.pairs_per_question, len(wrong))
    rejected = draw.sample(wrong, count)
    if settings.chosen == "shortest":
        chosen = [min(right, key=lambda one: one.length)] * count
    else:
        chosen = draw.sample(right, min(count, len(right)))
    asked = (Message("user", samples[0].question),)
    prompt = (Message("system", system), *asked) if system.strip() else asked
    for better, worse in zip(chosen, rejected, strict=False):
        yield Pair(prompt, _side(better), _side(worse), "outcome", better.answer)


def repaired(pairs: Iterable[Pair], settings: DPOSettings, *, tags: Tags) -> Iterator[Pair]:
    """The pairs with what is to be left out of their texts left out: trimmed thoughts, or no answers.

    A step pair has neither an answer to leave out nor a whole thought to trim.
    """
    for pair in pairs:
        if pair.kind == "outcome":
            text = trimmed(pair.chosen.text, answer=pair.answer, tags=tags, trim=settings.trim)
            pair = replace(pair, chosen=replace(pair.chosen, text=text))
            if settings.thought_only:
                pair = replace(pair, chosen=_thought(pair.chosen, tags), rejected=_thought(pair.rejected, tags))
        yield pair


def _thought(side: Side, tags: Tags) -> Side:
    return replace(side, text=side.text[: thought_span(side.text, tags)[1]], ends=False)


def _encode(prompt: tuple[Message, ...], side: Side, encoder: Encoder) -> Encoded:
    whole = encoder.encode(SFTRow(side.source, prompt, side.text))
    return whole if side.ends else Encoded(whole.prompt, whole.completion[:-1])


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Tokens that both begin with."""
    differing = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _read(path: str, settings: DPOSettings, counts: PairCounts, *, system: str) -> Iterator[Pair]:
    """The pairs of one run folder, evaluation folder or file."""
    sampled = (Path(path).expanduser() / "samples.jsonl").is_file()
    file = find_file(path, exports="samples" if sampled else "preferences")
    rows = read_file(file)
    first = next(rows, None)
    if first is None:
        raise UserError(f"data: {file}: is empty; there is nothing to train on")
    rows = _again(first, rows)
    if "status" in first[0] and "text" in first[0]:
        yield from _sampled(rows, file, settings, counts, system=system)
    else:
        yield from (_preference(raw, source) for raw, source in rows)


def _again(
    first: tuple[Mapping[str, Any], Source], rows: Iterator[tuple[Mapping[str, Any], Source]]
) -> Iterator[tuple[Mapping[str, Any], Source]]:
    yield first
    yield from rows


def _sampled(
    rows: Iterable[tuple[Mapping[str, Any], Source]],
    file: Path,
    settings: DPOSettings,
    counts: PairCounts,
    *,
    system: str,
) -> Iterator[Pair]:
    for samples in by_question(rows, file, sampled_from=settings.sampled_from):
        counts.questions += 1
        pairs = list(pair_up(samples, settings, system=system))
        counts.one_sided += not pairs
        yield from pairs


def _preference(raw: Mapping[str, Any], source: Source) -> Pair:
    """A row in TRL's columns, in either of its formats."""
    missing = [column for column in ("prompt", "chosen", "rejected") if column not in raw]
    if missing:
        raise UserError(
            f"{source}: column {missing[0]!r} is missing (there is {', '.join(map(str, sorted(raw)))}); "
            "DPO takes rows of 'prompt', 'chosen', 'rejected', or an evaluation's samples"
        )
    step = raw.get("kind") == "step"
    if step and isinstance(raw["prompt"], str):
        raise UserError(
            f"{source}: prompt: a step pair's must be messages, so that what is begun can be told from the question; "
            "export the run with --export.format conversational"
        )
    prompt = messages(raw["prompt"], source, column="prompt", default_role="user")
    begun = ""
    if prompt[-1].role == "assistant":
        prompt, begun = prompt[:-1], prompt[-1].content
    if not prompt:
        raise UserError(f"{source}: prompt: has no question before what the assistant has begun")
    chosen, rejected = (
        Side(source, begun + written(raw[column], source, column=column), ends=not step)
        for column in ("chosen", "rejected")
    )
    answer = raw.get("answer")
    return Pair(prompt, chosen, rejected, "step" if step else "outcome", answer if isinstance(answer, str) else None)


def _side(sample: Sample) -> Side:
    return Side(sample.source, sample.text, ends=sample.finished)


def _of_kind(wanted: str, pairs: Iterable[Pair], counts: PairCounts) -> Iterator[Pair]:
    for pair in pairs:
        if wanted in ("all", pair.kind):
            yield pair
        else:
            counts.left_out[pair.kind] += 1


def _why_none(counts: PairCounts) -> str:
    if counts.left_out:
        kind, count = counts.left_out.most_common(1)[0]
        return f" of the kind asked for, but {count} {kind} pairs; say --pairs {kind}"
    if counts.questions:
        return f": none of its {counts.questions} questions has both right and wrong samples; draw more samples"
    return ""
