"""training.png: loss over steps, and for DPO the margins between chosen and rejected."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PANELS = (
    ("loss", ("loss",)),
    ("reward margin", ("rewards/margins",)),
    ("margin of scores", ("margin",)),
    ("better scores higher", ("accuracy",)),
    ("log-probability", ("logps/chosen", "logps/rejected")),
    ("accuracy of the implicit reward", ("rewards/accuracies",)),
)
"""A panel's title and the keys of the history that it shows; panels without points are left out."""


def draw(history: Sequence[Mapping[str, Any]], path: Path, *, title: str) -> None:
    """Write the picture. It replaces an earlier one whole."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [(name, keys) for name, keys in PANELS if any(key in point for point in history for key in keys)]
    figure = Figure(figsize=(6.4, 2.6 * max(1, len(panels)) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (name, keys) in enumerate(panels, start=1):
        axes = figure.add_subplot(len(panels), 1, place)
        for key in keys:
            points = [(point["step"], point[key]) for point in history if key in point]
            steps, values = [step for step, _ in points], [value for _, value in points]
            many = len(points) > 30
            axes.plot(steps, values, color=None, alpha=0.35 if many else 1.0, linewidth=1, label=None if many else key)
            if many:
                axes.plot(steps, smoothed(values), color=axes.lines[-1].get_color(), linewidth=1.8, label=key)
        axes.set_ylabel(name)
        axes.grid(alpha=0.25)
        if len(keys) > 1:
            axes.legend(frameon=False, fontsize="small")
        if place == len(panels):
            axes.set_xlabel("step")
    figure.suptitle(title, fontsize="medium")
    temporary = path.with_name(f".{path.name}")
    figure.savefig(temporary, dpi=130, format="png", metadata={"Software": "retrace"})
    temporary.replace(path)


def smoothed(values: Sequence[float]) -> list[float]:
    """A running mean that forgets over about a twentieth of the points, started without a bias towards zero."""
    keep = 1 - min(1.0, 20 / len(values))
    mean, weight, out = 0.0, 0.0, []
    for value in values:
        mean, weight = keep * mean + (1 - keep) * value, keep * weight + (1 - keep)
        out.append(mean / weight)
    return out
