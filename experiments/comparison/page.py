"""The page of the comparison, written from its results: nothing on it is known beforehand but the questions."""

from collections.abc import Callable, Mapping
from pathlib import Path

from evaluation.intervals import Estimate
from evaluation.tables import Sheet
from experiments.comparison.arms import BY_NAME, Arm
from experiments.comparison.plot import draw
from experiments.comparison.results import BUDGET, COMPARED, FIRST, Results
from experiments.comparison.tables import IN_VIEW, differences, main_table, quotient, selections, share, told
from experiments.words import in_words

FEWEST = 30
"""Problems or pairs, below which nothing is said to be shown."""
METHOD = """\
All arms grow journeys over the same problems with the same policy, drawn at the same temperature, under the same
budgets of a journey. Two views:

- **One attempt at each problem**, whatever that costs: what a protocol does with a problem.
- **At the same budget**: {budget:,} tokens a problem on average ({tokens:,} an arm and seed), policy, judges and search
  together. A cheap protocol makes more attempts. They are charged in order, the first at every problem before the
  second at any; the journey that would overdraw the budget and all after it do not count. A problem is solved when one
  of its journeys came right; a row of training data is a journey that was accepted.

Tokens are those written; reading is not charged, which flatters arms that ask a model critic or a reward model.
Rejection sampling and the searches ask the verifier which of several solutions to tell; so at one attempt their shares
of solved problems are those of several tries, and their rivals' are those of one. The budget makes that even. A
training token is {chars:.2f} characters of an accepted row: so many has a token of the policy's own lines. A true
backtrack took back a step that a program had proven wrong.

A difference counts as shown where its 95% interval leaves 0 out and every seed agrees on its sign; what is not shown
may still be there. Seeds are other draws on the same problems, so intervals speak of problems like these and of this
policy.
"""


def write_page(results: Results, path: Path, *, command: str) -> list[Path]:
    """Write the page and its picture beside it. Returns the files, the page first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = path.with_name(f"{path.stem}.png")
    draw(results, picture)
    settings = results.settings
    method = METHOD.format(budget=settings.budget, tokens=settings.tokens, chars=results.chars_per_token)
    parts = [
        "# Protocols side by side\n",
        f"Written by `{command}`; do not edit. Every figure comes from the folders of that run.\n",
        _rehearsal(results),
        "## In short\n",
        _list(_in_short(results)),
        "## How\n",
        method,
        *_answers(results),
        f"![Every arm, with intervals]({picture.name})\n",
        "## Figures\n",
        *(_under(main_table(results, view)) for view in (FIRST, BUDGET)),
        "## Against the baselines\n",
        *(_under(differences(results, view, figure)) for view in (FIRST, BUDGET) for figure in COMPARED),
        "## One answer out of several\n",
        _eight(results),
        "## Set-up\n",
        _set_up(results),
        "## To reproduce\n",
        f"```sh\n{command}\n```\n",
        "Stopped anywhere, the same command goes on. Problems, seeds and recipes are fixed; bfloat16 sums depend on "
        "which rows share a batch, so single journeys may differ from run to run.",
    ]
    path.write_text("\n".join(part for part in parts if part).rstrip() + "\n", encoding="utf-8")
    return [path, picture]


def _rehearsal(results: Results) -> str:
    settings = results.settings
    if settings.problems >= FEWEST and len(settings.seeds) > 2:
        return ""
    return (
        f"**Only a rehearsal**: {settings.problems} problems and {len(settings.seeds)} seed"
        f"{'s' if len(settings.seeds) > 1 else ''} prove that the chain runs, nothing else.\n"
    )


def _in_short(results: Results) -> list[str]:
    """The first three by each figure at the budget; whether they differ is said further down."""
    paid = results.figures[BUDGET]
    solved = {arm: found.solved for arm, found in paid.items()}
    price = {arm: found.price for arm, found in paid.items() if found.price}
    mended = {arm: found.mended for arm, found in paid.items() if found.mended}

    def first(figures: Mapping[str, Estimate], shown: Callable[[Estimate], str], *, least: bool = False) -> str:
        ranked = sorted(figures, key=lambda arm: figures[arm].value, reverse=not least)[:3]
        return "; ".join(f"{BY_NAME[arm].title} {shown(figures[arm])}" for arm in ranked) or "none"

    return [
        f"Most problems solved at the same budget: {first(solved, share)}.",
        f"Fewest tokens written for a training token: {first(price, quotient, least=True)}.",
        f"Most true backtracks in accepted journeys: {first(mended, share)}.",
    ]


def _answers(results: Results) -> list[str]:
    """A section for each question, made of sentences about its arms."""
    parts = []
    for part, title in (("critic", "Does the critic help?"), ("search", "Does search help?")):
        lines = [line for arm in results.settings.run_arms if arm.part == part for line in _of_arm(results, arm)]
        if lines:
            parts += [f"## {title}\n", _list(lines)]
    return [*parts, "## At what cost?\n", _list(_costs(results))]


def _of_arm(results: Results, arm: Arm) -> list[str]:
    """Beside each rival: problems solved at one attempt and at the budget, training tokens at the budget."""
    lines = []
    for rival in [rival for rival in arm.rivals if rival in results.figures[FIRST]]:
        told_of = [
            f"{IN_VIEW[view]} {_predicate(results, view, figure, rival, arm.name)}"
            for view, figure in ((FIRST, "solved"), (BUDGET, "solved"), (BUDGET, "rows_tokens"))
        ]
        lines.append(f"**{_capital(arm.title)}** against {BY_NAME[rival].title}: " + "; ".join(told_of) + ".")
    return lines


def _predicate(results: Results, view: str, figure: str, first: str, second: str) -> str:
    one = results.pair(view, figure, first, second)
    unit = {"solved": " points of problems solved", "rows_tokens": " training tokens a problem"}[figure]
    return in_words(one.found, one.by_seed, told=told(one.found, figure) + unit, better="higher", worse="lower")


def _costs(results: Results) -> list[str]:
    """What a training token and a journey cost, the cheapest first."""
    paid = {arm: found.price for arm, found in results.figures[BUDGET].items() if found.price is not None}
    lines = []
    for arm in sorted(paid, key=lambda arm: paid[arm].value):
        found, price = results.figures[FIRST][arm], paid[arm]
        lines.append(
            f"{_capital(BY_NAME[arm].title)}: {price.value:.1f} [{price.low:.1f}, {price.high:.1f}] tokens for a "
            f"training token at the budget; {found.tokens / max(1, found.journeys):.0f} tokens for a journey."
        )
    if none := [BY_NAME[arm].title for arm in results.figures[BUDGET] if arm not in paid]:
        lines.append(f"No accepted journey at all, and so no price: {', '.join(none)}.")
    return lines


def _eight(results: Results) -> str:
    lines = []
    for one in results.one_of_many.selections:
        if one.less_majority is not None:
            told_of = f"{told(one.less_majority, 'solved')} points"
            verdict = in_words(one.less_majority, one.less_by_seed, told=told_of, better="better", worse="worse")
            lines.append(f"{_capital(one.name)} against the majority: {verdict}.")
    return _list(lines) + "\n" + _under(selections(results))


def _set_up(results: Results) -> str:
    settings = results.settings
    arms = [f"{arm.title}: `{dict(arm.recipe)}`" for arm in settings.run_arms]
    lines = [
        f"Policy: `{settings.base_model}`, persona `{settings.base_persona}`, sampling `{dict(settings.sampling)}`; "
        f"budgets of a journey `{dict(settings.budgets)}`. {sum(results.seconds.values()) / 60:.0f} minutes of stages, "
        f"{settings.jobs} at once.",
        f"Families: {', '.join(f'{task.name} ({task.weight:g})' for task in settings.tasks)}.",
        f"Seeds: {', '.join(map(str, settings.seeds))}; problems drawn by {settings.draw}. None was taught to the "
        f"base, none is in both sets. Digests: {', '.join(f'{name} `{it}`' for name, it in results.digests.items())}.",
        *arms,
        *_taught(results),
        "In the tables of differences, Holm's adjustment counts every arm beside one baseline by one figure; sentences "
        "are not adjusted.",
    ]
    return _list(lines)


def _taught(results: Results) -> list[str]:
    """Where the reward model came from, and what it knows of pairs that it has not seen."""
    settings, note = results.settings, results.taught
    if note is None:
        return [f"Reward model: `{settings.reward}`."] if settings.reward else []
    told = (
        f"Reward model: `train ppm` on {note['data']['rows']} pairs from the trees of {settings.searched} other "
        f"problems ({note['data']['questions']} gave any), {note['steps']} steps, {note['seconds']:.0f} s."
    )
    held = note["held_out"]
    if held["pairs"] >= FEWEST:
        told += f" Of {held['pairs']} pairs held out, the better step scores higher in {100 * held['accuracy']:.0f}%."
    return [told]


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _under(sheet: Sheet) -> str:
    """A table one heading further down."""
    return f"#{sheet.markdown}"


def _capital(text: str) -> str:
    """At a sentence's beginning; a name such as rStar keeps its own letters."""
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]
