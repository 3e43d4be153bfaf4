"""The tables of the page; the first of them is also what the command prints."""

from collections.abc import Sequence

from evaluation.intervals import Difference, Estimate
from evaluation.tables import Sheet
from experiments.comparison.arms import BY_NAME
from experiments.comparison.results import BUDGET, FIRST, Results
from experiments.words import points

TITLES = {FIRST: "One attempt at each problem", BUDGET: "At the same budget"}
IN_VIEW = {FIRST: "at one attempt each", BUDGET: "at the same budget"}
"""Inside a sentence."""
FIGURES = {
    "solved": "problems solved, points",
    "accepted": "accepted journeys a problem",
    "rows_tokens": "training tokens a problem",
}


def main_table(results: Results, view: str) -> Sheet:
    """What each arm came to."""
    settings, seeds = results.settings, len(results.settings.seeds)
    heads = (
        *("arm", "problems solved", "each seed", "right by luck", "accepted journeys"),
        *("with a true backtrack", "tokens for a training token", "tokens a journey", "attempts a problem"),
    )
    rows = []
    for name, found in results.figures[view].items():
        rows.append(
            (
                BY_NAME[name].title,
                share(found.solved),
                ", ".join(f"{100 * value:.0f}" for value in found.by_seed["solved"]),
                share(found.lucky),
                f"{found.accepted_journeys / seeds:.1f} [{_low_high(found.accepted, settings.problems)}]",
                share(found.mended),
                quotient(found.price),
                f"{found.tokens / found.journeys:.0f}" if found.journeys else "-",
                f"{found.journeys / seeds / settings.problems:.2f}",
            )
        )
    note = (
        f"{settings.problems} problems, {seeds} seed{'s' if seeds > 1 else ''}; 95% intervals by bootstrap over "
        "problems, seeds pooled. Accepted journeys are rows of journey SFT, for each seed."
    )
    return Sheet(TITLES[view], heads, tuple(rows), note + (_unspent(results) if view == BUDGET else ""))


def _unspent(results: Results) -> str:
    """Words for the arms to which the budget means something else than to the others."""
    budget = results.settings.tokens * len(results.settings.seeds)
    said = ""
    for name, found in results.figures[BUDGET].items():
        if found.reached < 1:
            said += f" The budget of {BY_NAME[name].title} reached {found.reached:.0%} of the problems."
        elif found.tokens < 0.9 * budget:
            title = BY_NAME[name].title
            said += f" {title[:1].upper()}{title[1:]} spent {found.tokens / budget:.0%} of it."
    return said


def differences(results: Results, view: str, figure: str) -> Sheet:
    """Each arm less both baselines, by one figure."""
    heads = ("second less first", FIGURES[figure], "each seed", "p", "p (Holm)")
    rows = [
        (
            f"{BY_NAME[one.second].title} - {BY_NAME[one.first].title}",
            told(one.found, figure),
            ", ".join(f"{_scaled(value, figure):+.1f}" for value in one.by_seed),
            _p(one.found.p),
            _p(one.p_holm),
        )
        for one in results.compared[view][figure]
    ]
    return Sheet(f"{TITLES[view]}: {FIGURES[figure]}", heads, tuple(rows))


def selections(results: Results) -> Sheet:
    """One answer out of several."""
    found = results.one_of_many
    rows = [
        (
            one.name,
            share(one.share),
            ", ".join(f"{100 * value:.1f}" for value in one.by_seed),
            points(one.less_majority) if one.less_majority else "-",
        )
        for one in found.selections
    ]
    note = (
        f"{found.problems} held-out problems, {found.samples} samples of each with every seed, temperature "
        f"{results.settings.temperature:g}; the same samples for every row. Only the verifier could choose `any`."
    )
    return Sheet(
        "One answer out of several", ("chosen", "right", "each seed", "less majority, points"), tuple(rows), note
    )


def printed(results: Results) -> str:
    """What the command prints."""
    return "\n".join(_plain(main_table(results, view)) for view in (FIRST, BUDGET)) + "\n" + _plain(selections(results))


def told(found: Difference, figure: str) -> str:
    """A difference in its unit."""
    if figure == "solved":
        return points(found)
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def share(found: Estimate | None) -> str:
    return "-" if found is None else f"{100 * found.value:.1f}% [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def quotient(found: Estimate | None) -> str:
    return "-" if found is None else f"{found.value:.1f} [{found.low:.1f}, {found.high:.1f}]"


def _low_high(found: Estimate, problems: int) -> str:
    return f"{found.low * problems:.1f}, {found.high * problems:.1f}"


def _scaled(value: float, figure: str) -> float:
    return 100 * value if figure == "solved" else value


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _plain(sheet: Sheet) -> str:
    """Columns for a terminal."""
    rows: list[Sequence[str]] = [sheet.columns, *sheet.rows]
    wide = [max(len(row[n]) for row in rows) for n in range(len(sheet.columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]
    return "\n".join([sheet.title, *lines, sheet.note, ""])
