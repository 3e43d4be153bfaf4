"""evaluation.png: accuracy with its interval for each model, and pass@k with maj@k where there are several samples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def draw(evaluation: Mapping[str, Any], path: Path) -> None:
    """Write the picture. Needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    several = evaluation["samples"] > 1
    models = evaluation["models"]
    figure = Figure(figsize=(11 if several else 6, 1.6 + max(2.4, 0.6 * len(models))), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if several else 1, squeeze=False)[0]
    _accuracies(axes[0], evaluation)
    if several:
        _curves(axes[1], evaluation)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def _accuracies(axis: Any, evaluation: Mapping[str, Any]) -> None:
    for place, model in enumerate(evaluation["models"]):
        found = model["scores"]["accuracy"]
        value, low, high = (100 * found[key] for key in ("value", "low", "high"))
        axis.errorbar(value, place, xerr=[[max(0, value - low)], [max(0, high - value)]], fmt="o", capsize=4)
        axis.annotate(f"{value:.1f}", (value, place), xytext=(0, 7), textcoords="offset points", ha="center")
    axis.set_yticks(range(len(evaluation["models"])), [_short(model["model"]) for model in evaluation["models"]])
    axis.set_ylim(len(evaluation["models"]) - 0.5, -0.5)
    axis.set_xlabel(f"accuracy, % ({evaluation['confidence']:.0%} interval)")
    axis.grid(axis="x", alpha=0.3)


def _curves(axis: Any, evaluation: Mapping[str, Any]) -> None:
    for place, model in enumerate(evaluation["models"]):
        scores = model["scores"]
        for figure, style in (("pass_at", "-"), ("maj_at", "--")):
            ks = [int(k) for k in scores[figure]]
            values = [100 * found["value"] for found in scores[figure].values()]
            name = f"{'pass@k' if figure == 'pass_at' else 'maj@k'} {_short(model['model'])}"
            axis.plot(ks, values, style, color=f"C{place}", marker=".", label=name)
            if figure == "pass_at":
                lows = [100 * found["low"] for found in scores[figure].values()]
                highs = [100 * found["high"] for found in scores[figure].values()]
                axis.fill_between(ks, lows, highs, color=f"C{place}", alpha=0.12)
    axis.set_xscale("log", base=2)
    ticks = [int(k) for k in evaluation["models"][0]["scores"]["pass_at"]]
    axis.set_xticks(ticks, [str(k) for k in ticks])
    axis.minorticks_off()
    axis.set_xlabel("k")
    axis.set_ylabel("%")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)


def _short(label: str) -> str:
    """The end of a label, in which nothing is read as mathematics."""
    return label[-32:].replace("$", r"\$")
