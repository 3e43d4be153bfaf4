"""The page of the experiment, written from its results: nothing on it is known beforehand but the question."""

from pathlib import Path

from pydantic import JsonValue

from evaluation.intervals import Estimate
from evaluation.tables import Sheet, number, percent
from experiments.arms import BASE, TITLES, label
from experiments.judgement import MAIN, bought, dpo_verdict, in_words, mends, searches, target_verdict
from experiments.plots import draw_accuracy, draw_mending
from experiments.question import question
from experiments.results import IN_WORDS, SETTINGS, Results
from experiments.words import points
from problems.sources import TaskSettings

FEWEST = 500
"""Held-out problems of a kind, below which nothing is said to be shown."""
ONE_SEED = (
    "**One seed**: the intervals know of other problems, not of other trainings, which differ by several points. What "
    "is said below is a hint."
)


def write_page(results: Results, path: Path, *, command: str) -> list[Path]:
    """Write the page and its two pictures beside it. Returns the files, the page first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = [path.with_name(f"{path.stem}-{what}.png") for what in ("accuracy", "mending")]
    draw_accuracy(results, pictures[0])
    draw_mending(results, pictures[1])
    parts = [
        "# Journey against shortcut\n",
        f"Written by `{command}`; do not edit. Every figure comes from the folders of that run.\n",
        "## What was asked\n",
        question(results.settings),
        "## What the data say\n",
        _said(results),
        f"![Accuracy of each arm under each setting]({pictures[0].name})\n",
        "## Accuracy\n",
        *(_accuracy(results, setting) for setting in SETTINGS),
        "## Differences\n",
        *(_differences(results, setting) for setting in SETTINGS),
        "## What do its tokens buy?\n",
        "Whoever can tell a right answer from a wrong one may draw several short answers in place of a long one. Here "
        "an oracle picks the right one out of k, which no model can do for itself; the answers of the seeds are what "
        "is drawn from.\n",
        *(_several(results, setting) for setting in SETTINGS if "sampled" in setting),
        *_dead_ends(results),
        "## Does it mend its lines?\n",
        "Calculations are those that exact arithmetic can read. Mended: false when first stated, true when last stated "
        "in the same text; broken: the other way round. Wrong→right and right→wrong compare the first and the last of "
        "several stated answers. Seeds are added up.\n",
        *(_mending(results, setting) for setting in SETTINGS),
        f"![False calculations, mended and left]({pictures[1].name})\n",
        "## By family\n",
        *(_families(results, setting) for setting in SETTINGS),
        "## Plugged back in\n",
        _plugged(results),
        "## Set-up\n",
        _set_up(results),
        "## To reproduce\n",
        f"```sh\n{command}\n```\n",
        "Stopped anywhere, the same command goes on. Problems, seeds and recipes are fixed; bfloat16 sums depend on "
        "which rows share a batch, so single texts may differ from run to run.",
    ]
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    return [path, *pictures]


def _said(results: Results) -> str:
    held_out = results.settings.count.held_out
    rehearsal = f"**Only a rehearsal**: {held_out} held-out problems prove that the chain runs, nothing else.\n\n"
    lines = [*([ONE_SEED] if len(results.settings.seeds) == 1 else []), *target_verdict(results)]
    for setting in SETTINGS:
        lines.append(
            f"{_capital(IN_WORDS[setting])}: journey {in_words(results.compared(setting, 'shortcut', 'journey'))}."
        )
    does = mends if results.settings.errors == "slips" else searches
    lines.append(f"The journey models, {IN_WORDS[MAIN]}: {does(results, MAIN)}.")
    sampled = MAIN.replace("greedy", "sampled")
    lines.append(f"The same, {IN_WORDS[sampled]}: {does(results, sampled)}.")
    lines += filter(None, [bought(results, sampled)])
    for arm in results.settings.dpo_arms:
        for setting in ("trained-greedy", "untrained-greedy"):
            verdict = dpo_verdict(results, setting, arm.name)
            lines.append(f"{_capital(arm.title)} against journey SFT, {IN_WORDS[setting]}: {verdict}.")
    return (rehearsal if held_out < FEWEST else "") + "\n".join(f"- {line}" for line in lines) + "\n"


def _accuracy(results: Results, setting: str) -> str:
    heads = ("arm", "accuracy", "each seed", "no answer", "tokens")
    rows = [
        (
            TITLES[arm],
            _interval(pooled.accuracy),
            ", ".join(f"{100 * value:.1f}" for value in pooled.by_seed),
            _interval(pooled.no_answer),
            number(pooled.tokens),
        )
        for arm, pooled in results.pooled[setting].items()
    ]
    each = 1 if setting.endswith("greedy") else results.settings.samples
    note = (
        f"{len(results.pooled[setting][BASE].right)} problems, {each} sample{'s' if each > 1 else ''} each; 95% "
        "intervals by bootstrap over problems, seeds pooled."
    )
    return _under(Sheet(_capital(IN_WORDS[setting]), heads, tuple(rows), note))


def _differences(results: Results, setting: str) -> str:
    heads = ("second less first", "accuracy, points", "each seed", "p", "p (Holm)", "no answer, points")
    rows = [
        (
            f"{TITLES[one.second]} - {TITLES[one.first]}",
            points(one.accuracy),
            ", ".join(f"{100 * value:+.1f}" for value in one.by_seed),
            _p(one.accuracy.p),
            _p(one.p_holm),
            points(one.no_answer),
        )
        for one in results.comparisons[setting]
    ]
    return _under(Sheet(_capital(IN_WORDS[setting]), heads, tuple(rows)))


def _mending(results: Results, setting: str) -> str:
    heads = ("arm", "calculations", "stated false", "mended", "broken", "doubt in words", "wrong→right", "right→wrong")
    rows = [
        (
            TITLES[arm],
            f"{pooled.calculations:,}",
            _of(pooled.stated_false, pooled.calculations),
            _of(pooled.repaired, pooled.stated_false),
            str(pooled.broken),
            percent(pooled.doubting),
            str(pooled.wrong_to_right),
            str(pooled.right_to_wrong),
        )
        for arm, pooled in results.pooled[setting].items()
    ]
    return _under(Sheet(_capital(IN_WORDS[setting]), heads, tuple(rows)))


def _several(results: Results, setting: str) -> str:
    """Each arm's answers by ones, twos, ...: right with an oracle, and the tokens that they take."""
    by_arm = results.pooled[setting]
    most = max(max(arm.several) for arm in by_arm.values())
    heads = ("arm", *(f"one of {k} right (tokens)" if k > 1 else "right (tokens)" for k in range(1, most + 1)))
    rows = [
        (
            TITLES[arm],
            *(
                f"{percent(pooled.several[k].value)} ({k * pooled.tokens:.0f})" if k in pooled.several else "-"
                for k in range(1, most + 1)
            ),
        )
        for arm, pooled in by_arm.items()
    ]
    return _under(Sheet(_capital(IN_WORDS[setting]), heads, tuple(rows)))


def _dead_ends(results: Results) -> list[str]:
    """What the models do with tries at number games; nothing where the experiment has none."""
    if results.settings.errors == "slips":
        return []
    heads = (
        *("arm", "tries an answer", "first try hits", "misses", "another try follows", "hits", "another try follows"),
        *("lines that state the target", "by a false calculation"),
    )
    sheets = []
    for setting in SETTINGS:
        rows = [
            (
                TITLES[arm],
                f"{found.tries / found.samples:.1f}",
                percent(found.at_once / found.samples),
                f"{found.misses:,}",
                _of(found.seen, found.misses),
                f"{found.hits:,}",
                _of(found.left, found.hits),
                f"{found.claimed:,}",
                _of(found.bent, found.claimed),
            )
            for arm, pooled in results.pooled[setting].items()
            if (found := pooled.dead_ends).samples
        ]
        sheets += [_under(Sheet(_capital(IN_WORDS[setting]), heads, tuple(rows)))] if rows else []
    told = (
        "A try is a line that uses up all the numbers of a countdown game; it hits the target or misses it. Behind a "
        "miss another try is the way out; behind a hit it throws the answer away. A line that cannot be read as true "
        "calculations is no try; where it states the target all the same, it was bent to. Seeds are added up.\n"
    )
    return ["## Does it see dead ends?\n", told, *sheets]


def _families(results: Results, setting: str) -> str:
    by_arm = results.pooled[setting]
    families = list(by_arm[BASE].families)
    rows = [(TITLES[arm], *(percent(pooled.families[family]) for family in families)) for arm, pooled in by_arm.items()]
    return _under(Sheet(_capital(IN_WORDS[setting]), ("arm", *families), tuple(rows)))


def _plugged(results: Results) -> str:
    both = results.plug_back
    runs = (both.base, both.tuned)
    rows: list[tuple[str, ...]] = [
        ("solved", *(percent(_mean(run.solved)) for run in runs), points(both.solve_rate)),
        ("accepted into the data", *(percent(_mean(run.accepted)) for run in runs), points(both.accepted)),
        ("tokens for an accepted journey", *(number(run.tokens_per_accepted) for run in runs), ""),
        ("accepted with a backtrack", *(str(run.with_backtrack) for run in runs), ""),
        ("backtracks", *(str(run.backtracks) for run in runs), ""),
        ("backtrack precision", *(percent(run.precision) for run in runs), ""),
        ("next try holds", *(percent(run.mending) for run in runs), ""),
    ]
    sheet = Sheet("Two runs", ("", "base", results.best, "difference, points"), tuple(rows))
    accuracy = results.validation[results.best]
    return (
        f"`{results.best}` was best on the validation set ({accuracy:.1%}; base {results.validation[BASE]:.1%}) and "
        f"took the base's place in `generate`: {both.base.problems} fresh problems, {both.base.journeys} journeys, the "
        "same critic and budgets. Backtrack precision: the share of backtracks from a step that was proven wrong.\n\n"
        + _under(sheet)
    )


def _set_up(results: Results) -> str:
    settings, data, rows = results.settings, results.data, results.rows
    first = settings.seeds[0]
    circles = "" if settings.circles else ", those that go in circles left out"
    samples = settings.samples_per_question
    dpo = f" DPO's questions: {samples} samples each at top_p 0.95." if settings.dpo_arms else ""
    lines = [
        f"Base: `{settings.base_model}`. Machine: {results.machine}. "
        f"{sum(results.seconds.values()) / 60:.0f} minutes in all.",
        f"Data: {data['journeys']} journeys on {data['problems']} problems under the critic that follows the checkers, "
        f"drawn at temperature {settings.data_sampling.get('temperature')}, {settings.retry_temperature:g} behind a "
        f"backtrack. {data['accepted']} were accepted, {data['accepted_with_backtrack']} of them with a backtrack.",
        f"{rows['rows']} rows for each arm, {rows['with_backtrack']} of them with a backtrack ({rows['backtracks']} in "
        f"all), journeys without one thinned out{circles}; the same journeys row for row: "
        f"{'yes' if rows['same_journeys'] else '**no**'}. Characters a row: journey {rows['journey_chars']:.0f}, "
        f"shortcut {rows['shortcut_chars']:.0f}. Shortcuts that still hold a word of doubt: "
        f"{rows['shortcuts_that_doubt']}.",
        f"Trained: {_told(settings.trained)}. Untrained: {_told(settings.untrained)}.",
        f"Families in the data: {', '.join(f'{name} {count}' for name, count in rows['families'].items())}.",
        f"Thoughts are told in {settings.layout}.",
        f"Seeds: {', '.join(map(str, settings.seeds))}; problems drawn by {settings.draw}.",
        "Digests of the problem sets: "
        + ", ".join(f"{name} `{digest}`" for name, digest in results.digests.items())
        + ".",
        f"Sampled: temperature {settings.temperature:g}, top_p 1. At most {settings.max_tokens} tokens." + dpo,
    ]
    training = [
        (
            TITLES[arm.name],
            str(report["steps"]),
            str(report["data"]["rows"]),
            f"{report['data']['learnt_tokens'] * report['epochs']:,.0f}" if arm.method == "sft" else "-",
            f"{report['epochs']:g}",
            f"{report['loss']['first']} → {report['loss']['last']}",
            f"{report['seconds']:.0f}",
        )
        for arm in settings.trained_arms
        for report in [results.trainings[label(arm.name, first)]]
    ]
    sheet = Sheet(
        f"Trainings, seed {first}",
        ("arm", "steps", "rows or pairs", "learnt tokens", "epochs", "loss", "seconds"),
        tuple(training),
    )
    return "\n".join(f"- {line}" for line in lines) + "\n\n" + _under(sheet)


def _told(tasks: tuple[TaskSettings, ...]) -> str:
    """Tasks with what sets their problems apart."""
    return "; ".join(
        f"{task.name} ({', '.join(f'{key} {_plain(value)}' for key, value in task.config.items())})" for task in tasks
    )


def _plain(value: JsonValue) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _under(sheet: Sheet) -> str:
    """A table one heading further down."""
    return f"#{sheet.markdown}"


def _interval(found: Estimate) -> str:
    return f"{100 * found.value:.1f}% [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _of(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else "0"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _mean(values: dict[str, float]) -> float:
    return sum(values.values()) / len(values)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
