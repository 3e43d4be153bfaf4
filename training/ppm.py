"""A process preference model: a number for a step that is higher where the search did better (methods 3.7).

Simplified: rStar-Math's head ends in a dropout of 0.1 and, by the paper, in tanh; here it is linear, and readers take
the sigmoid, which is the same curve as tanh between 0 and 1.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engines.rewards.contract import OWN_FILE
from engines.rewards.layouts import PPMLayout
from settings import UserError
from training.ppm_model import open_ppm, write_ppm
from training.ppm_settings import PPMSettings
from training.reward_pairs import EncodedRewards, RewardPair, encode_rewards, read_reward_pairs, split
from training.rows import digest, drawn
from training.sft import lengths
from training.stage import Material
from training.start import Start, find_start, open_tokenizer, window_of
from training.tokens import check_length


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before a model is loaded."""

    start: Start
    tokenizer: Any
    encoded: Sequence[EncodedRewards]
    material: Material


def prepare(settings: PPMSettings) -> Prepared:
    """Look the model up, read the pairs, and make ids of them.

    Raises:
        UserError: data or model are not as they must be; the first defect, in one line.
    """
    start = find_start(settings)
    if ((start.adapter or Path(start.base)) / OWN_FILE).is_file():
        raise UserError(
            f"model: {settings.model}: is a reward model already; start from the policy that it shall judge"
        )
    pairs, kinds = read_reward_pairs(settings)
    pairs = drawn(pairs, limit=settings.limit, seed=settings.seed)
    tokenizer = open_tokenizer(start)
    encoded = encode_rewards(pairs, PPMLayout(tokenizer), settings=settings)
    longest = max(range(len(encoded)), key=lambda place: len(encoded[place]))
    check_length(len(encoded[longest]), pairs[longest].source, max_length=settings.max_length, window=window_of(start))
    learnt, apart = split(pairs, held_out=settings.held_out, seed=settings.seed)
    rows, held_out = [encoded[place] for place in learnt], [encoded[place] for place in apart]
    name = digest(encoded, lambda pair: f"{pair.chosen} {pair.rejected} {pair.weight}")
    return Prepared(
        start=start,
        tokenizer=tokenizer,
        encoded=rows,
        material=Material(
            method="ppm",
            items=len(rows),
            facts=_facts(pairs, rows, held_out, kinds, settings) | {"digest": name},
            digest=name,
            persona={},
            tokenizer=tokenizer,
            stop_id=-1,
            trainer=partial(build_trainer, settings=settings, rows=rows, held_out=held_out, tokenizer=tokenizer),
            open=open_ppm,
            write=write_ppm,
            measure=partial(measure, pairs=len(held_out)),
        ),
    )


def build_trainer(
    *,
    model: Any,
    adapter: Any,
    arguments: dict[str, Any],
    callbacks: list[Any],
    settings: PPMSettings,
    rows: Sequence[EncodedRewards],
    held_out: Sequence[EncodedRewards],
    tokenizer: Any,
) -> Any:
    """TRL's RewardTrainer on pairs that are ids already."""
    from training.ppm_trainer import reward_trainer

    return reward_trainer(
        settings,
        rows,
        held_out,
        model=model,
        adapter=adapter,
        tokenizer=tokenizer,
        arguments=arguments,
        callbacks=callbacks,
    )


def measure(trainer: Any, *, pairs: int) -> dict[str, Any]:
    """How the trained model does on the pairs that were held out."""
    if not pairs:
        return {}
    told = trainer.evaluate()
    figures = {name: round(told[f"eval_{name}"], 4) for name in ("loss", "accuracy", "margin")}
    return {"held_out": {"pairs": pairs, **figures}}


def _facts(
    pairs: Sequence[RewardPair],
    rows: Sequence[EncodedRewards],
    held_out: Sequence[EncodedRewards],
    kinds: Counter[str],
    settings: PPMSettings,
) -> dict[str, Any]:
    """For training.json, the card and --dry-run."""
    center = f", centred by {settings.center:g}" if settings.center else ""
    return {
        "sources": dict(Counter(pair.source.file for pair in pairs)),
        "rows": len(rows),
        "held_out_pairs": len(held_out),
        "kinds": dict(kinds),
        "questions": len({pair.question for pair in pairs}),
        "left_out": {},
        "lengths": lengths([pair.longer for pair in rows]),
        "learnt_tokens": 2 * len(rows),
        "objective": f"-log sigmoid(better - worse), weighted by pair{center}",
        "tags": {},
        "stop_token": None,
    }
