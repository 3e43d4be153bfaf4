"""Supervised fine-tuning: the loss falls on thought, answer and one stop token, and on nothing else."""

import logging
import statistics
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from journeys.formats import TAG_STYLES, Tags
from settings import UserError
from training.batches import WIDTH
from training.foreign import is_foreign, read_foreign
from training.packing import PackCollator, pack
from training.rows import SFTRow, digest, drawn, find_file, read_file, read_sft
from training.sft_settings import SFTSettings
from training.stage import Material, steps_per_epoch
from training.start import Start, find_start, open_tokenizer, window_of
from training.tags import find_system, find_tags, fitted, own_persona, voice
from training.tokens import Encoded, Encoder, encode_all, hidden_tags, tag_kinds
from training.trim import trim_rows
from training.worked import worked_rows

logger = logging.getLogger(__name__)
ASKED = 8
"""Rows looked at for how the chat template treats unfinished messages."""


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before a model is loaded."""

    start: Start
    encoder: Encoder
    rows: Sequence[SFTRow]
    encoded: Sequence[Encoded]
    material: Material


def prepare(settings: SFTSettings) -> Prepared:
    """Read the rows, look the model up, and make ids of the one with the tokenizer of the other.

    Raises:
        UserError: data, model, persona or tags are not as they must be; the first defect, in one line.
    """
    rows, left_out = read_rows(settings)
    start = find_start(settings)
    persona = voice(settings.persona, own_persona(start))
    encoder = Encoder(open_tokenizer(start))
    tags, tagged = find_tags(_as_they_stand(rows), asked=settings.tags)
    kinds = tag_kinds(encoder.tokenizer, tags)
    rows = drawn(trim_rows(rows, tags=tags, trim=settings.trim), limit=settings.limit, seed=settings.seed)
    window = window_of(start)
    encoded = encode_all(rows, encoder, max_length=settings.max_length, window=window, learn=settings.learn)
    if not all(encoder.asked_alike(row) for row in rows[:ASKED]):
        logger.warning(
            "tokenizer: it merges the end of a prompt with what follows; a policy that goes on with its own unfinished "
            "message sees other tokens there than are trained here, so evaluate before you trust it"
        )
    packs = pack([len(row) for row in encoded], capacity=settings.max_length) if settings.packing else None
    learnt = sum(row.learnt for row in encoded)
    items = len(packs or encoded)
    return Prepared(
        start=start,
        encoder=encoder,
        rows=rows,
        encoded=encoded,
        material=Material(
            method="sft",
            items=items,
            facts={
                "sources": _sources(rows, settings),
                "rows": len(rows),
                "packs": len(packs) if packs else None,
                "left_out": left_out,
                "lengths": lengths(encoded),
                "learnt_tokens": learnt,
                "digest": digest(rows, _content),
                "tags": kinds,
                "tagged_rows": tagged,
                "stop_token": encoder.stop_text,
            },
            digest=digest(rows, _content),
            persona=fitted(persona, tags=tags, system=find_system(row.prompt for row in rows)),
            tokenizer=encoder.tokenizer,
            stop_id=encoder.stop_id,
            hidden_tags=hidden_tags(encoder.tokenizer, tags),
            steps=_steps_for(settings.max_tokens, settings, items=items, learnt=learnt),
            trainer=partial(
                build_trainer, settings=settings, encoded=encoded, packs=packs, tokenizer=encoder.tokenizer
            ),
        ),
    )


def read_rows(settings: SFTSettings) -> tuple[list[SFTRow], dict[str, int]]:
    """The rows of every source in order, and how many rows from elsewhere were left out, by reason."""
    tags = _tags_to_write(settings)
    rows: list[SFTRow] = []
    left_out: dict[str, int] = {}
    for path in settings.data:
        file = find_file(path, exports=f"{settings.data_kind}_sft")
        first = next(read_file(file), None)
        if first is not None and is_foreign(first[0]):
            found = read_foreign(file, settings=settings.foreign, tags=tags)
            rows += found.rows
            for reason, refused in found.refused.items():
                left_out[reason] = left_out.get(reason, 0) + refused.count
        else:
            rows += read_sft([path], data_kind=settings.data_kind)
    if settings.worked:
        rows += worked_rows(settings.worked, tags=tags)
    if not rows:
        raise UserError("data: nothing to train on; name a run folder or a file of rows with --data")
    return rows, left_out


def build_trainer(
    *,
    model: Any,
    adapter: Any,
    arguments: dict[str, Any],
    callbacks: list[Any],
    settings: SFTSettings,
    encoded: Sequence[Encoded],
    packs: Sequence[Sequence[int]] | None,
    tokenizer: Any,
) -> Any:
    """TRL's SFTTrainer on rows that are ids already, so that it neither templates, cuts nor adds anything."""
    from training.trl_sft import RowTrainer, sft_config

    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return RowTrainer(
        row_lengths=[len(row) for row in encoded] if settings.group_by_length and packs is None else None,
        model=model,
        args=sft_config(arguments),
        train_dataset=as_dataset(encoded, packs=packs),
        data_collator=PackCollator(pad_id, flat=settings.attention == "flash_attention_2", multiple=WIDTH)
        if packs
        else None,
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks,
    )


def as_dataset(encoded: Sequence[Encoded], *, packs: Sequence[Sequence[int]] | None) -> Any:
    """Rows, or packs of rows with the lengths of their parts, as a `datasets.Dataset` in memory."""
    from datasets import Dataset  # type: ignore[import-untyped]

    groups = packs if packs is not None else [[place] for place in range(len(encoded))]
    members = [[encoded[place] for place in group] for group in groups]
    columns = {
        "input_ids": _lists((row.input_ids for row in group) for group in members),
        "labels": _lists((row.labels for row in group) for group in members),
    }
    if packs is not None:
        columns["lengths"] = _lists([[len(row) for row in group]] for group in members)
    return Dataset.from_dict(columns)


def lengths(encoded: Sequence[Encoded]) -> dict[str, int]:
    """Tokens a row: the shortest, the middle, the 95th of a hundred, the longest; and all together."""
    counted = sorted(len(row) for row in encoded)
    return {
        "min": counted[0],
        "median": int(statistics.median(counted)),
        "p95": counted[min(len(counted) - 1, round(0.95 * (len(counted) - 1)))],
        "max": counted[-1],
        "total": sum(counted),
    }


def _lists(rows: Iterable[Iterable[Iterable[int]]]) -> Any:
    """Each row's parts behind one another, as a column of lists that never were Python's: four bytes a token."""
    import pyarrow  # type: ignore[import-untyped]

    values, ends = array("i"), array("i", [0])
    for row in rows:
        for part in row:
            values.extend(part)
        ends.append(len(values))
    flat, borders = (
        pyarrow.Array.from_buffers(pyarrow.int32(), len(a), [None, pyarrow.py_buffer(a)]) for a in (values, ends)
    )
    return pyarrow.ListArray.from_arrays(borders, flat)


def _steps_for(max_tokens: int | None, settings: SFTSettings, *, items: int, learnt: int) -> int | None:
    if max_tokens is None:
        return None
    return max(1, round(max_tokens / (learnt / steps_per_epoch(settings, items))))


def _tags_to_write(settings: SFTSettings) -> Tags:
    """The tags for rows that are written down here."""
    if settings.tags == "auto":
        return TAG_STYLES["think"]
    return TAG_STYLES[settings.tags] if isinstance(settings.tags, str) else settings.tags


def _as_they_stand(rows: Sequence[SFTRow]) -> list[str]:
    """What the assistant has written in the end: what stood there already, and the completion."""
    return [(row.prompt[-1].content if row.prompt[-1].role == "assistant" else "") + row.completion for row in rows]


def _content(row: SFTRow) -> str:
    return "\x1f".join([*(f"{message.role}\x1e{message.content}" for message in row.prompt), row.completion])


def _sources(rows: Sequence[SFTRow], settings: SFTSettings) -> dict[str, int]:
    """Rows taken from each source."""
    counted: dict[str, int] = {}
    for row in rows:
        counted[row.source.file] = counted.get(row.source.file, 0) + 1
    return counted
