"""The page's two pictures."""

from pathlib import Path
from typing import Any

from experiments.results import IN_WORDS, SETTINGS, Results

DPI = 110


def draw_accuracy(results: Results, path: Path) -> None:
    """Each arm's accuracy with its interval, and its seeds as small dots, under every setting."""
    figure, axes = panels(len(SETTINGS), width=12.5, height=3.4)
    arms, names = list(results.titles), list(results.titles.values())
    for axis, setting in zip(axes, SETTINGS, strict=True):
        for place, arm in enumerate(arms):
            pooled = results.pooled[setting][arm]
            value, low, high = (100 * x for x in (pooled.accuracy.value, pooled.accuracy.low, pooled.accuracy.high))
            error = [[max(0, value - low)], [max(0, high - value)]]
            axis.errorbar(value, place, xerr=error, fmt="o", color=f"C{place}", capsize=4)
            if len(pooled.by_seed) > 1:
                seeds = [100 * one for one in pooled.by_seed]
                axis.plot(seeds, [place + 0.28] * len(seeds), ".", color=f"C{place}", markersize=4, alpha=0.7)
        axis.set_title(IN_WORDS[setting], fontsize=9)
        axis.set_xlabel("accuracy, % (95% interval)", fontsize=8)
        axis.grid(axis="x", alpha=0.3)
        axis.set_ylim(len(arms) - 0.5, -0.5)
        axis.set_yticks(range(len(arms)), names if axis is axes[0] else [""] * len(names), fontsize=8)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})


def draw_mending(results: Results, path: Path) -> None:
    """Of each arm's calculations, the share that is false when first stated: mended before the end, or left."""
    figure, axes = panels(len(SETTINGS), width=12.5, height=3.2)
    names = list(results.titles.values())
    for axis, setting in zip(axes, SETTINGS, strict=True):
        for place, pooled in enumerate(results.pooled[setting].values()):
            whole = max(1, pooled.calculations)
            mended, left = (100 * n / whole for n in (pooled.repaired, pooled.stated_false - pooled.repaired))
            axis.barh(place, left, color="C3", alpha=0.8, label="left" if not place else None)
            axis.barh(place, mended, left=left, color="C2", alpha=0.8, label="mended" if not place else None)
        axis.set_title(IN_WORDS[setting], fontsize=9)
        axis.set_xlabel("false when first stated, % of calculations", fontsize=8)
        axis.invert_yaxis()
        axis.set_yticks(range(len(names)), names if axis is axes[0] else [""] * len(names), fontsize=8)
        axis.grid(axis="x", alpha=0.3)
    axes[-1].legend(fontsize=8)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})


def panels(count: int, *, width: float, height: float) -> tuple[Any, Any]:
    """A picture that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, count, squeeze=False)[0]
