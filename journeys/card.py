"""The dataset card: what the rows are, where they come from, what was kept out, and what they cannot tell."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from journeys.formats import ExportSettings
from journeys.record import Record, Voice

if TYPE_CHECKING:
    from journeys.exports import ExportCounts

MATCHES_SHOWN = 10


class Provenance(Record):
    """Where a run's journeys come from, as its card tells it."""

    name: str
    protocol: str
    policy: Voice
    critic: Voice | None = None
    second: Voice | None = None
    narrator: str = "template"
    problems: str
    """The source in a few words: `reasoning-gym: chain_sum` or a file's name."""
    num_problems: int
    seed: int
    digest: str
    """Names the configuration."""
    decontaminated_against: tuple[str, ...] = ()
    ngram: int = 13


def write_card(
    path: Path, *, settings: ExportSettings, counts: "ExportCounts", run: Provenance, dirty: Mapping[str, str]
) -> None:
    """A README.md that `datasets.load_dataset(folder, "journey_sft")` and a reader both understand."""
    parts = (_front_matter(settings, counts), _what(settings, counts, run), _from(run), _kept_out(settings, counts))
    path.write_text("\n".join((*parts, _decontamination(run, dirty), LIMITS)), encoding="utf-8")


def _front_matter(settings: ExportSettings, counts: "ExportCounts") -> str:
    front = {
        "license": settings.license,
        "language": ["en"],
        "task_categories": ["text-generation"],
        "tags": ["reasoning", "chain-of-thought", "sft", "dpo", "trl", "synthetic"],
        "configs": [
            {"config_name": name, "data_files": [{"split": "train", "path": f"{name}.parquet"}]}
            | ({"default": True} if name == "journey_sft" else {})
            for name, rows in counts.rows.items()
            if rows  # `datasets` cannot load a file without rows
        ],
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n"


def _what(settings: ExportSettings, counts: "ExportCounts", run: Provenance) -> str:
    words = SETS_IN_WORDS | ({"shortcut_sft": EVERY_SHORTCUT} if settings.shortcuts == "all" else {})
    rows = "\n".join(
        f"| `{name}` | {counts.rows[name]} | {text} |" for name, text in words.items() if name in counts.rows
    )
    opens, closes = _inline(settings.around.open), _inline(settings.around.close)
    return f"""# {_inline(run.name)}: reflective long thoughts

Two agents solved problems together: a policy wrote one step at a time, a critic let it go on, sent it back, or made it
reconsider. A program checked every final answer. Each journey, wrong turns and repairs included, was then told as one
person's train of thought.

| set | rows | columns |
|---|---|---|
{rows}

Format `{settings.format}`. A completion is `{opens}` thought `{closes}` and then `{_inline(settings.answer_line)}`.
`spans` gives, for every piece of a completion, the turn that it comes from (characters from `start` to `end`; `also`
names further turns that the same words tell, such as a wrong result that came again).

A step pair (`kind` is `step`) shares its prefix inside `prompt`: in the conversational format the last message is the
assistant's unfinished one, to be rendered with `continue_final_message=True`; `chosen` and `rejected` continue it, end
in the middle of a thought, and so should be trained without an end-of-text token.

In `step_labels`, unknown steps are never labelled: they stand in `prompt`. `steps` and `ratings` hold the whole branch
with 1, 0 (unknown) and -1, `whys` and `sources` say who knows (`labeller`: the people who rated a ready tree's steps).
"""


def _from(run: Provenance) -> str:
    facts = {
        "problems": f"{run.num_problems} from {run.problems}",
        "protocol": run.protocol,
        "policy": _speaker(run.policy),
        **({"second policy": _speaker(run.second)} if run.second else {}),
        "critic": _speaker(run.critic) if run.critic else "none",
        "narrator": run.narrator,
        "seed": str(run.seed),
        "configuration": run.digest,
    }
    lines = "\n".join(f"| {name} | {_inline(value)} |" for name, value in facts.items())
    return f"## Where it comes from\n\n| | |\n|---|---|\n{lines}\n"


def _speaker(voice: Voice) -> str:
    """A critic that follows programs has no model."""
    return f"{voice.persona} ({voice.model or 'no model'})"


def _kept_out(settings: ExportSettings, counts: "ExportCounts") -> str:
    hinted = "was never told that an answer does not hold" if not settings.allow_hinted else "may have had a hint"
    refused = "\n".join(f"| {name} | {number} |" for name, number in counts.refused.items()) or "| nothing | 0 |"
    gate = ", ".join(f"{name} {number}" for name, number in counts.gate_failures.items()) or "none"
    return f"""## What was accepted

A journey is accepted when the verifier says that its final answer is right, the answer follows from the steps that
stand (it is not *lucky*), the policy {hinted}, no step was *guessed* (found after more than {settings.max_tries} failed
tries in a row at its place), its problem is not in an evaluation file, and its thought passes the fidelity gate.
Accepted: {counts.accepted}, of them {counts.accepted_with_backtrack} with a backtrack and
{counts.accepted_with_error_removed} in which a backtrack removed a step that a checker had proven wrong.

| kept out because | journeys |
|---|---|
{refused}

Rules of the gate that were broken: {gate}. Thoughts in which a model's telling failed the gate and the template's took
its place: {counts.fell_back}.{_forced(counts)}
"""


def _forced(counts: "ExportCounts") -> str:
    if not counts.accepted_with_forced_reflection:
        return ""
    return (
        f"\n\nIn {counts.accepted_with_forced_reflection} accepted journeys the words after which a finished thought "
        "is looked over again were put there by the recipe; nobody had found a fault."
    )


def _decontamination(run: Provenance, dirty: Mapping[str, str]) -> str:
    if not run.decontaminated_against:
        return "## Decontamination\n\nNone was done: no evaluation file was named. Do it before you report a score.\n"
    names = ", ".join(f"`{_inline(name)}`" for name in run.decontaminated_against)
    shown = "".join(f"- `{_inline(key)}`: {_inline(text)}\n" for key, text in list(dirty.items())[:MATCHES_SHOWN])
    return f"""## Decontamination

Problems that share {run.ngram} words in a row (or their whole text) with {names} were left out: {len(dirty)}.

{shown}"""


def _inline(text: str) -> str:
    """Foreign text on one line that neither ends a table cell nor opens markup."""
    kept = " ".join(text.split()).replace("|", "\\|").replace("`", "'")
    return kept[:200]


SETS_IN_WORDS = {
    "journey_sft": "`prompt`, `completion`: the whole thought, wrong turns included",
    "shortcut_sft": "`prompt`, `completion`: the same prompts, only the steps that stood",
    "preferences": "`prompt`, `chosen`, `rejected`: `kind` is `outcome` or `step`",
    "step_labels": "`prompt`, `completions`, `labels`: stepwise supervision",
    "ppm": "`prompt`, `chosen`, `rejected`, `weight`: steps that a search tried in one place, for a reward model",
}

EVERY_SHORTCUT = (
    "`prompt`, `completion`: the steps that stood, and the other right ways of the same search; `leaf` is such a way's "
    "last step in the search tree, null for the way that was told"
)

LIMITS = """## Known limits

- The text is synthetic. A right answer does not prove every step before it; the checkers see arithmetic, not argument.
- A critic may have removed right steps. Such steps are labelled 0 and make no pair.
- Thoughts told by template share their connectives; mix with other data if the style should not stick.
- Rejected thoughts of outcome pairs are failed attempts of this policy, not the mistakes people make.
"""
