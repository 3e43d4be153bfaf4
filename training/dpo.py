"""Direct preference optimisation: pairs made ready, every defect found before a model is loaded."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from journeys.formats import TAG_STYLES, Tags
from settings import UserError
from training.dpo_settings import DPOSettings
from training.pairs import EncodedPair, Pair, PairCounts, encode_pairs, read_pairs, repaired
from training.rows import digest, drawn
from training.sft import lengths
from training.stage import Material
from training.start import Start, find_start, in_every_process, open_model, open_tokenizer
from training.tags import NO_TAGS, find_system, find_tags, fitted, own_persona, voice
from training.tokens import Encoder, hidden_tags, tag_kinds


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before a model is loaded."""

    start: Start
    encoder: Encoder
    encoded: Sequence[EncodedPair]
    material: Material


def prepare(settings: DPOSettings) -> Prepared:
    """Look the model up, read and repair the pairs, and make ids of them.

    Raises:
        UserError: data, model, persona or tags are not as they must be; the first defect, in one line.
    """
    start = find_start(settings)
    own = own_persona(start)
    pairs, counts = read_pairs(settings, system=str(own.get("system") or ""))
    tags = _tags(settings, own, pairs)
    persona = _persona(settings, own, pairs, tags)
    encoder = Encoder(open_tokenizer(start))
    kinds = tag_kinds(encoder.tokenizer, tags)
    pairs = drawn(list(repaired(pairs, settings, tags=tags)), limit=settings.limit, seed=settings.seed)
    encoded = encode_pairs(pairs, encoder, settings=settings, counts=counts)
    name = digest(encoded, lambda pair: f"{pair.prompt} {pair.chosen} {pair.rejected}")
    return Prepared(
        start=start,
        encoder=encoder,
        encoded=encoded,
        material=Material(
            method="dpo",
            items=len(encoded),
            facts=_facts(pairs, encoded, counts)
            | {"digest": name, "tags": kinds, "stop_token": encoder.stop_text, "objective": _objective(settings)},
            digest=name,
            persona=persona,
            tokenizer=encoder.tokenizer,
            stop_id=encoder.stop_id,
            hidden_tags=hidden_tags(encoder.tokenizer, tags),
            trainer=partial(
                build_trainer, settings=settings, start=start, encoded=encoded, tokenizer=encoder.tokenizer
            ),
        ),
    )


def build_trainer(
    *,
    model: Any,
    adapter: Any,
    arguments: dict[str, Any],
    callbacks: list[Any],
    settings: DPOSettings,
    start: Start,
    encoded: Sequence[EncodedPair],
    tokenizer: Any,
) -> Any:
    """TRL's DPOTrainer, holding the model to what it was at the start."""
    from training.dpo_trainer import pair_trainer

    return pair_trainer(
        settings,
        encoded,
        model=model,
        reference=None if settings.lora else _reference(start, settings),
        adapter=adapter,
        tokenizer=tokenizer,
        arguments=arguments,
        callbacks=callbacks,
    )


def _reference(start: Start, settings: DPOSettings) -> Any:
    """A second copy. TRL would open the base by its name, which is another model where an adapter has been merged in;
    and it cuts a reference into shards without sharing the first process's weights out."""
    with in_every_process():
        return open_model(start, settings)[0]


def _tags(settings: DPOSettings, own: dict[str, Any], pairs: Sequence[Pair]) -> Tags:
    if own and settings.tags == "auto":
        return Tags(open=str(own.get("opens", "")), close=str(own.get("closes", "")))
    texts = [pair.chosen.text for pair in pairs]
    tags, carriers = find_tags(texts, asked=settings.tags)
    if carriers or settings.tags != "auto":
        return tags
    # Single steps break off before their thought is closed.
    opened = (style for style in TAG_STYLES.values() if texts[0].startswith(style.open.strip()))
    return next(opened, NO_TAGS)


def _persona(settings: DPOSettings, own: dict[str, Any], pairs: Sequence[Pair], tags: Tags) -> dict[str, Any]:
    """The model goes on being asked as before, unless the recipe names another persona.

    Raises:
        UserError: the pairs ask it in another way than that.
    """
    system = find_system(pair.prompt for pair in pairs)
    if not own or settings.persona != "auto":
        return fitted(voice(settings.persona, own), tags=tags, system=system)
    asked = str(own.get("system") or "")
    if asked.strip() != system.strip():
        raise UserError(
            f"data: its system message is {system[:60]!r}, but {settings.model} is asked under {asked[:60]!r}; "
            "export the run with that --export.system, or say --persona tuned to ask it as the data does"
        )
    return own


def _facts(pairs: Sequence[Pair], encoded: Sequence[EncodedPair], counts: PairCounts) -> dict[str, Any]:
    """For training.json, the card and --dry-run."""
    return {
        "sources": dict(Counter(pair.chosen.source.file for pair in pairs)),
        "rows": len(encoded),
        "outcome_pairs": counts.outcome,
        "step_pairs": counts.step,
        "questions": counts.questions,
        "questions_one_sided": counts.one_sided,
        "left_out": {f"{kind} pairs": count for kind, count in counts.left_out.items()}
        | ({"pairs without a difference": counts.no_difference} if counts.no_difference else {}),
        "lengths": lengths([pair.longer for pair in encoded]),
        "learnt_tokens": sum(len(pair.chosen) + len(pair.rejected) for pair in encoded),
        "chosen_tokens": sum(len(pair.chosen) for pair in encoded),
        "rejected_tokens": sum(len(pair.rejected) for pair in encoded),
    }


def _objective(settings: DPOSettings) -> str:
    """What is minimised, in words."""
    if settings.plain:
        return f"plain DPO, beta {settings.beta:g}"
    terms = [f"DPO, beta {settings.beta:g}"]
    terms += [f"SFT term of weight {settings.sft_weight:g}"] if settings.sft_weight else []
    terms += ["shared prefix in the prompt"] if settings.prefix_in_prompt else []
    terms += ["thoughts only"] if settings.thought_only else []
    return ", ".join(terms)
