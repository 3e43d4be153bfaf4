"""The page's picture: what each arm solved and what a training token cost it, at the same budget."""

from pathlib import Path

from evaluation.intervals import Estimate
from experiments.comparison.arms import BY_NAME
from experiments.comparison.results import BUDGET, FIRST, Results
from experiments.plots import DPI, panels

COLOURS = {FIRST: "C7", BUDGET: "C0"}
WORDS = {FIRST: "one attempt", BUDGET: "same budget"}


def draw(results: Results, path: Path) -> None:
    """Points with intervals, an arm a row; grey for one attempt each."""
    from matplotlib.ticker import LogLocator, NullFormatter

    arms = list(results.figures[BUDGET])
    figure, (solved, mended, price) = panels(3, width=12.5, height=0.34 * len(arms) + 1.3)
    for place, arm in enumerate(arms):
        for view, up in ((FIRST, -0.15), (BUDGET, 0.15)):
            found = results.figures[view][arm]
            for axis, estimate, times in (
                (solved, found.solved, 100),
                (mended, found.mended, 100),
                (price, found.price, 1),
            ):
                if estimate is not None:
                    _point(axis, estimate, place + up, times, view, named=not place)
    for axis, label in (
        (solved, "problems solved, %"),
        (mended, "accepted journeys with a true backtrack, %"),
        (price, "tokens for a training token"),
    ):
        axis.set_xlabel(f"{label} (95% interval)", fontsize=8)
        axis.grid(axis="x", alpha=0.3)
        axis.set_ylim(len(arms) - 0.5, -0.5)
        titles = [BY_NAME[arm].title for arm in arms] if axis is solved else [""] * len(arms)
        axis.set_yticks(range(len(arms)), titles, fontsize=8)
    price.set_xscale("log")
    price.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    price.xaxis.set_major_formatter("{x:g}")
    price.xaxis.set_minor_formatter(NullFormatter())
    solved.legend(fontsize=7)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})


def _point(axis: object, found: Estimate, height: float, times: float, view: str, *, named: bool) -> None:
    value, low, high = (times * one for one in (found.value, found.low, found.high))
    error = [[max(0.0, value - low)], [max(0.0, high - value)]]
    axis.errorbar(  # type: ignore[attr-defined]
        value,
        height,
        xerr=error,
        fmt="o",
        markersize=4,
        capsize=3,
        color=COLOURS[view],
        label=WORDS[view] if named else None,
    )
